//! Tensor maps and the copies that follow them: boxes of a tensor to and from shared memory, zero beyond
//! the tensor's edges, swizzled as the map says. The map's bytes are our own: the driver's are secret.

use super::block::Block;
use super::wgmma::swizzle;
use crate::memory::Refusal;

/// Marks the bytes of a map of this machine.
const MAGIC: u64 = 0x7061_6d5f_7074_7873;

/// What `cuTensorMapEncodeTiled` is told; the first dimension is the contiguous one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorMap {
    /// Bytes of one value: 1, 2, 4 or 8.
    pub value_bytes: u32,
    /// Address of the tensor.
    pub address: u64,
    /// Extents, one to five.
    pub extents: Vec<u64>,
    /// Bytes from one index to the next, for all dimensions but the first.
    pub strides: Vec<u64>,
    /// Extents of the box that one copy moves.
    pub window: Vec<u32>,
    /// Steps between the box's values along each dimension; 1 except for strided convolutions.
    pub steps: Vec<u32>,
    /// Bytes of a swizzled row: 128, 64, 32, or 16 for none.
    pub swizzle: u32,
}

impl TensorMap {
    /// A map with steps of one.
    pub fn new(
        value_bytes: u32,
        address: u64,
        extents: &[u64],
        strides: &[u64],
        window: &[u32],
        swizzle: u32,
    ) -> TensorMap {
        TensorMap {
            value_bytes,
            address,
            extents: extents.into(),
            strides: strides.into(),
            window: window.into(),
            steps: vec![1; extents.len()],
            swizzle,
        }
    }

    /// The 128 bytes that a kernel is given (64-byte aligned).
    ///
    /// # Errors
    /// What the driver would refuse.
    pub fn encode(&self) -> Result<[u8; 128], String> {
        self.check()?;
        let mut out = [0; 128];
        let mut at = 0;
        let mut put = |value: u64, n: usize| {
            out[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
            at += n;
        };
        put(MAGIC, 8);
        put(self.address, 8);
        put(self.extents.len() as u64, 1);
        put(self.value_bytes as u64, 1);
        put(self.swizzle as u64, 2);
        let rank = self.extents.len();
        for i in 0..5 {
            put(if i < rank { self.extents[i] } else { 1 }, 5);
            put(if i > 0 && i < rank { self.strides[i - 1] } else { 0 }, 5);
            put(if i < rank { self.window[i] as u64 } else { 1 }, 2);
            put(if i < rank { self.steps[i] as u64 } else { 1 }, 1);
        }
        Ok(out)
    }

    fn check(&self) -> Result<(), String> {
        let rank = self.extents.len();
        let need = |ok: bool, what: &str| if ok { Ok(()) } else { Err(format!("tensor map: {what}")) };
        need((1..=5).contains(&rank), "one to five dimensions")?;
        need(
            self.strides.len() + 1 == rank && self.window.len() == rank && self.steps.len() == rank,
            "lengths",
        )?;
        need(matches!(self.value_bytes, 1 | 2 | 4 | 8), "values of 1, 2, 4 or 8 bytes")?;
        need(self.address.is_multiple_of(16), "the address must be a multiple of 16")?;
        need(self.extents.iter().all(|n| (1..=1 << 32).contains(n)), "extents of 1 to 2^32")?;
        need(
            self.strides.iter().all(|n| n.is_multiple_of(16) && *n < 1 << 40),
            "strides must be multiples of 16",
        )?;
        need(self.window.iter().all(|n| (1..=256).contains(n)), "a box of 1 to 256 along each dimension")?;
        need(self.steps.iter().all(|n| (1..=8).contains(n)), "steps of 1 to 8")?;
        let inner = self.window[0] as u64 * self.value_bytes as u64;
        need(inner.is_multiple_of(16), "a box's rows must be multiples of 16 bytes")?;
        need(matches!(self.swizzle, 16 | 32 | 64 | 128), "a swizzle of 16, 32, 64 or 128 bytes")?;
        need(self.swizzle == 16 || inner <= self.swizzle as u64, "a box's rows must fit the swizzle")
    }

    fn decode(raw: &[u8]) -> Result<TensorMap, Refusal> {
        let mut at = 0;
        let mut get = |n: usize| {
            let mut word = [0; 8];
            word[..n].copy_from_slice(&raw[at..at + n]);
            at += n;
            u64::from_le_bytes(word)
        };
        if get(8) != MAGIC {
            return Err("what is used as a tensor map is none".into());
        }
        let address = get(8);
        let rank = (get(1) as usize).clamp(1, 5);
        let value_bytes = get(1) as u32;
        let swizzle = get(2) as u32;
        let mut map = TensorMap {
            value_bytes,
            address,
            extents: vec![],
            strides: vec![],
            window: vec![],
            steps: vec![],
            swizzle,
        };
        for i in 0..rank {
            map.extents.push(get(5));
            let stride = get(5);
            if i > 0 {
                map.strides.push(stride);
            }
            map.window.push(get(2) as u32);
            map.steps.push(get(1) as u32);
        }
        map.check()?;
        Ok(map)
    }

    /// Values of the box along a dimension.
    fn count(&self, i: usize) -> usize {
        self.window[i].div_ceil(self.steps[i]) as usize
    }

    /// Bytes of one row of the box, and the number of rows.
    fn rows(&self) -> (usize, usize) {
        let rows = (1..self.window.len()).map(|i| self.count(i)).product();
        (self.count(0) * self.value_bytes as usize, rows)
    }

    /// Offset in the tensor of the start of row `n` of the box at `corner`, if it lies inside.
    fn row_start(&self, corner: &[i64], mut n: usize) -> Option<u64> {
        let mut offset = 0u64;
        for i in 1..self.extents.len() {
            let count = self.count(i);
            let index = corner[i] + ((n % count) as u32 * self.steps[i]) as i64;
            n /= count;
            let index = u64::try_from(index).ok().filter(|x| *x < self.extents[i])?;
            offset = offset.wrapping_add(index.wrapping_mul(self.strides[i - 1]));
        }
        Some(offset)
    }
}

impl Block<'_> {
    fn tensor_map(&self, w: usize, lane: usize, at: u64, corner: &[i64]) -> Result<TensorMap, Refusal> {
        if !at.is_multiple_of(64) {
            return Err(format!("the tensor map at {at:#x} is not aligned to 64 bytes").into());
        }
        let map = TensorMap::decode(&self.read_global(at, 128, self.thread(w, lane))?)?;
        match map.extents.len() == corner.len() {
            true => Ok(map),
            false => {
                Err(format!("{} indices for a tensor of {} dimensions", corner.len(), map.extents.len())
                    .into())
            }
        }
    }

    /// Where a 16-byte piece of the box lies.
    fn piece(&self, map: &TensorMap, at: usize) -> Result<usize, Refusal> {
        self.shared.locate(swizzle(at as u64, map.swizzle as u64), 16, 16)
    }

    /// `cp.async.bulk.tensor` into shared memory.
    pub fn tensor_load(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        to: u64,
        map: u64,
        corner: &[i64],
        mbarrier: u64,
    ) -> Result<(), Refusal> {
        let map = self.tensor_map(w, lane, map, corner)?;
        let thread = self.thread(w, lane);
        let (row_bytes, rows) = map.rows();
        let start = self.shared.locate(to, row_bytes * rows, 128)?;
        let value = map.value_bytes as usize;
        let mut parts = Vec::with_capacity(row_bytes * rows / 16);
        for n in 0..rows {
            let mut row = vec![0; row_bytes];
            if let Some(offset) = map.row_start(corner, n) {
                for (k, out) in row.chunks_mut(value).enumerate() {
                    let index = corner[0] + (k as u32 * map.steps[0]) as i64;
                    if let Some(index) = u64::try_from(index).ok().filter(|x| *x < map.extents[0]) {
                        let from = map.address.wrapping_add(offset).wrapping_add(index * value as u64);
                        let (i, allocation, at) = self.memory.locate(from, value, value)?;
                        let kind = crate::memory::races::Kind::Read;
                        self.races.note(i, at, value, kind, self.index, thread, &self.clocks)?;
                        out.copy_from_slice(&allocation.get(at, value)?.to_le_bytes()[..value]);
                    }
                }
            }
            for (piece, data) in row.chunks(16).enumerate() {
                let at = self.piece(&map, start + n * row_bytes + piece * 16)?;
                self.begin_transfer(w, pc, lane, at, data.len())?;
                parts.push((at, data.to_vec()));
            }
        }
        self.transfer(w, pc, lane, mbarrier, parts)
    }

    /// `cp.async.bulk.tensor` out of shared memory; what lies beyond the tensor is dropped.
    pub fn tensor_store(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        map: u64,
        corner: &[i64],
        from: u64,
    ) -> Result<(), Refusal> {
        let map = self.tensor_map(w, lane, map, corner)?;
        let thread = self.thread(w, lane);
        let (row_bytes, rows) = map.rows();
        let start = self.shared.locate(from, row_bytes * rows, 128)?;
        let value = map.value_bytes as usize;
        for n in 0..rows {
            let mut row = Vec::with_capacity(row_bytes);
            for piece in 0..row_bytes / 16 {
                let at = self.piece(&map, start + n * row_bytes + piece * 16)?;
                row.extend(self.begin_bulk(w, pc, lane, at, 16)?);
            }
            let Some(offset) = map.row_start(corner, n) else { continue };
            for (k, data) in row.chunks(value).enumerate() {
                let index = u64::try_from(corner[0] + k as i64).ok().filter(|x| *x < map.extents[0]);
                if let Some(index) = index {
                    let to = map.address.wrapping_add(offset).wrapping_add(index * value as u64);
                    self.write_global(to, data, thread)?;
                }
            }
        }
        Ok(())
    }
}
