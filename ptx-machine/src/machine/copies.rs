//! Copies that run by themselves: `cp.async` by groups of a thread, bulk copies by groups or mbarriers.
//! A copied byte arrives when its group (or phase) is waited for; until then it may not be touched.

use std::rc::Rc;

use super::block::{Block, Flow};
use crate::ir::units::CopyOp;
use crate::ir::{Address, Reg, Row, Space};
use crate::memory::address::{window, SHARED};
use crate::memory::clocks::{bits, Knowledge};
use crate::memory::races::Kind;
use crate::memory::shared::Access;
use crate::memory::Refusal;

/// A copy by `cp.async` on its way.
struct Copy {
    lane: usize,
    group: u32,
    at: usize,
    data: [u8; 16],
    bytes: usize,
    pc: u32,
}

/// The copies of a warp's lanes.
#[derive(Default)]
pub struct Copies {
    under_way: Vec<Copy>,
    /// Number of the group that each lane fills.
    group: [u32; 32],
}

/// Bulk copies out of shared memory, by lane and group.
#[derive(Default)]
pub struct Bulk {
    /// Lane, group, offset, bytes, instruction.
    under_way: Vec<(usize, u32, usize, usize, u32)>,
    group: [u32; 32],
}

impl Block<'_> {
    /// One operation on copies or mbarriers.
    pub fn copy_operation(&mut self, w: usize, pc: u32, lanes: u32, op: &CopyOp) -> Result<Flow, Refusal> {
        match op {
            CopyOp::Copy { to, from, bytes, size, ignore } => {
                let skip = match ignore {
                    Some(c) => self.warps[w].condition(self.code, *c, lanes)?,
                    None => 0,
                };
                let size = match size {
                    Some(reg) => Some(*self.warps[w].row(self.code, *reg, lanes)?),
                    None => None,
                };
                let (to_row, from_row) = (self.base(w, *to, lanes)?, self.base(w, *from, lanes)?);
                for lane in bits(lanes) {
                    let size =
                        if skip >> lane & 1 == 1 { 0 } else { size.map_or(*bytes as u64, |s| s[lane]) };
                    self.copy(
                        w,
                        pc,
                        lane,
                        to_row[lane],
                        from_row[lane],
                        *bytes as usize,
                        size as u32 as usize,
                    )
                    .map_err(|e| e.of(lane))?;
                }
            }
            CopyOp::Commit => bits(lanes).for_each(|lane| self.warps[w].copies.group[lane] += 1),
            CopyOp::Wait { keep } => self.wait_copies(w, lanes, *keep, false),
            CopyOp::WaitAll => self.wait_copies(w, lanes, 0, true),
            CopyOp::BulkCommit => bits(lanes).for_each(|lane| self.warps[w].bulk.group[lane] += 1),
            CopyOp::BulkWait { keep } => self.wait_bulk(w, lanes, *keep),
            CopyOp::BulkLoad { to, from, bytes, mbarrier } => {
                let (to, from) = (self.base(w, *to, lanes)?, self.base(w, *from, lanes)?);
                let (bytes, mbarrier) =
                    (*self.warps[w].row(self.code, *bytes, lanes)?, self.base(w, *mbarrier, lanes)?);
                for lane in bits(lanes) {
                    self.bulk_load(
                        w,
                        pc,
                        lane,
                        to[lane],
                        from[lane],
                        bytes[lane] as u32 as usize,
                        mbarrier[lane],
                    )
                    .map_err(|e| e.of(lane))?;
                }
            }
            CopyOp::BulkStore { to, from, bytes } => {
                let (to, from) = (self.base(w, *to, lanes)?, self.base(w, *from, lanes)?);
                let bytes = *self.warps[w].row(self.code, *bytes, lanes)?;
                for lane in bits(lanes) {
                    self.bulk_store(w, pc, lane, to[lane], from[lane], bytes[lane] as u32 as usize)
                        .map_err(|e| e.of(lane))?;
                }
            }
            CopyOp::TensorLoad { to, map, at, mbarrier } => {
                let (to, map) = (self.base(w, *to, lanes)?, self.base(w, *map, lanes)?);
                let mbarrier = self.base(w, *mbarrier, lanes)?;
                for lane in bits(lanes) {
                    let corner = self.corner(w, lane, at)?;
                    self.tensor_load(w, pc, lane, to[lane], map[lane], &corner, mbarrier[lane])
                        .map_err(|e| e.of(lane))?;
                }
            }
            CopyOp::TensorStore { map, at, from } => {
                let (map, from) = (self.base(w, *map, lanes)?, self.base(w, *from, lanes)?);
                for lane in bits(lanes) {
                    let corner = self.corner(w, lane, at)?;
                    self.tensor_store(w, pc, lane, map[lane], &corner, from[lane]).map_err(|e| e.of(lane))?;
                }
            }
            _ => return self.mbarrier_operation(w, pc, lanes, op),
        }
        Ok(Flow::Next)
    }

    fn corner(&self, w: usize, lane: usize, at: &[Reg]) -> Result<Vec<i64>, Refusal> {
        at.iter().map(|r| Ok(self.warps[w].value(self.code, *r, lane)? as i32 as i64)).collect()
    }

    /// The addresses of the lanes; shared ones as offsets.
    pub fn base(&self, w: usize, address: Address, lanes: u32) -> Result<Row, Refusal> {
        let row = self.warps[w].row(self.code, address.base, lanes)?;
        Ok(std::array::from_fn(|i| {
            let at = row[i].wrapping_add(address.offset as u64);
            match address.space {
                Space::Shared => at & 0xffff_ffff,
                Space::Generic if window(at) == SHARED => at - SHARED,
                _ => at,
            }
        }))
    }

    /// One lane's `cp.async`: the rest of the destination becomes zero.
    fn copy(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        to: u64,
        from: u64,
        bytes: usize,
        size: usize,
    ) -> Result<(), Refusal> {
        if size > bytes {
            return Err(format!("copies {size} bytes where {bytes} are to be written").into());
        }
        if !from.is_multiple_of(bytes as u64) {
            return Err(format!("address {from:#x} is not a multiple of {bytes}").into());
        }
        let thread = self.thread(w, lane);
        let mut data = [0; 16];
        if size > 0 {
            let source = self.read_global(from, size, thread)?;
            data[..size].copy_from_slice(&source);
        }
        let at = self.shared.locate(to, bytes, bytes)?;
        self.shared.begin_copy(&self.clocks, Access { thread, pc, strong: false }, at, bytes)?;
        let copies = &mut self.warps[w].copies;
        copies.under_way.push(Copy { lane, group: copies.group[lane], at, data, bytes, pc });
        Ok(())
    }

    /// Checked bytes of global memory.
    pub fn read_global(&self, from: u64, bytes: usize, thread: usize) -> Result<Vec<u8>, Refusal> {
        let (index, allocation, at) = self.memory.locate(from, bytes, 1)?;
        self.races.note(index, at, bytes, Kind::Read, self.index, thread, &self.clocks)?;
        (at..at + bytes).map(|i| Ok(allocation.get(i, 1)? as u8)).collect()
    }

    /// Checked write of global memory.
    pub fn write_global(&self, to: u64, data: &[u8], thread: usize) -> Result<(), Refusal> {
        let (index, allocation, at) = self.memory.locate(to, data.len(), 1)?;
        self.races.note(index, at, data.len(), Kind::Write, self.index, thread, &self.clocks)?;
        data.iter().enumerate().for_each(|(i, b)| allocation.put(at + i, 1, *b as u64));
        Ok(())
    }

    /// The copies of all but the last `keep` groups arrive; with `all` also those in no group yet.
    fn wait_copies(&mut self, w: usize, lanes: u32, keep: u32, all: bool) {
        let copies = &mut self.warps[w].copies;
        let group = copies.group;
        let done = |c: &Copy| lanes >> c.lane & 1 == 1 && (all || c.group + keep < group[c.lane]);
        let under_way = std::mem::take(&mut copies.under_way);
        let (arrived, left): (Vec<Copy>, Vec<Copy>) = under_way.into_iter().partition(done);
        copies.under_way = left;
        for c in arrived {
            let stamp = self.clocks.stamp(w * 32 + c.lane);
            self.shared.end_copy(c.at, &c.data[..c.bytes], stamp, c.pc, false);
        }
        self.effects += 1;
    }

    /// Copies of lanes in no matter which group arrive with what `known` gathers: for an mbarrier.
    pub fn arrive_copies(&mut self, w: usize, lanes: u32) {
        self.wait_copies(w, lanes, 0, true);
    }

    /// Notes that a bulk copy reads shared memory until it is waited for.
    pub fn begin_bulk(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        at: usize,
        bytes: usize,
    ) -> Result<Vec<u8>, Refusal> {
        let by = Access { thread: self.thread(w, lane), pc, strong: false };
        self.shared.read(&self.clocks, by, at, bytes)?;
        self.shared.in_proxy(&self.proxies, by.thread, at, bytes)?;
        self.shared.reading(at, bytes, true);
        let bulk = &mut self.warps[w].bulk;
        bulk.under_way.push((lane, bulk.group[lane], at, bytes, pc));
        Ok(self.shared.peek(at, bytes).to_vec())
    }

    fn wait_bulk(&mut self, w: usize, lanes: u32, keep: u32) {
        let bulk = &mut self.warps[w].bulk;
        let group = bulk.group;
        let shared = &mut self.shared;
        bulk.under_way.retain(|(lane, g, at, bytes, _)| {
            let done = lanes >> lane & 1 == 1 && g + keep < group[*lane];
            if done {
                shared.reading(*at, *bytes, false);
            }
            !done
        });
        self.effects += 1;
    }

    fn bulk_load(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        to: u64,
        from: u64,
        bytes: usize,
        mbarrier: u64,
    ) -> Result<(), Refusal> {
        whole_sixteens(bytes, from)?;
        let at = self.shared.locate(to, bytes, 16)?;
        let data = self.read_global(from, bytes, self.thread(w, lane))?;
        self.begin_transfer(w, pc, lane, at, bytes)?;
        self.transfer(w, pc, lane, mbarrier, vec![(at, data)])
    }

    /// Checks the destination of a copy that an mbarrier will complete.
    pub fn begin_transfer(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        at: usize,
        bytes: usize,
    ) -> Result<(), Refusal> {
        if let Some(product) = self.warps.iter().find_map(|warp| warp.wgmma.reads(at, bytes)) {
            let text = &self.code.insts[product as usize].text;
            return Err(format!(
                "copies over shared byte {at}, which a product not waited for reads: {text}"
            )
            .into());
        }
        let by = Access { thread: self.thread(w, lane), pc, strong: false };
        self.shared.begin_copy(&self.clocks, by, at, bytes)
    }

    fn bulk_store(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        to: u64,
        from: u64,
        bytes: usize,
    ) -> Result<(), Refusal> {
        whole_sixteens(bytes, to)?;
        let at = self.shared.locate(from, bytes, 16)?;
        let data = self.begin_bulk(w, pc, lane, at, bytes)?;
        self.write_global(to, &data, self.thread(w, lane))
    }

    /// `fence.proxy.async`.
    pub fn proxy_fence(&mut self, w: usize, lanes: u32) {
        let mut known = Knowledge::default();
        self.clocks.release(w, lanes, &mut known);
        let known = Rc::new(known);
        bits(lanes).for_each(|lane| self.proxies.fence(w * 32 + lane, &known));
        self.mbarriers.fence(w, lanes);
    }

    /// Checks that exiting lanes leave no copy behind that reads shared memory.
    pub fn exit(&mut self, w: usize, lanes: u32) -> Result<(), Refusal> {
        match self.warps[w].bulk.under_way.iter().find(|(lane, ..)| lanes >> lane & 1 == 1) {
            None => Ok(()),
            Some((lane, ..)) => {
                Err(Refusal::from("exits before a bulk copy out of shared memory was waited for").of(*lane))
            }
        }
    }
}

/// What a bulk copy asks of its size and of its address in global memory.
fn whole_sixteens(bytes: usize, address: u64) -> Result<(), Refusal> {
    if bytes == 0 || !bytes.is_multiple_of(16) || !address.is_multiple_of(16) {
        return Err(
            format!("a bulk copy of {bytes} bytes at {address:#x}: both must be multiples of 16").into()
        );
    }
    Ok(())
}
