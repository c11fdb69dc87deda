//! Shared memory of one block with its shadow: per byte whether it was written or awaits a copy, per
//! grain who wrote it last and who read it since. Conflicting accesses that no barrier orders are refused.

use super::clocks::{Clocks, Stamp};
use super::proxy::Proxies;
use super::Refusal;
use crate::ir::LANES;

const WRITTEN: u8 = 1;
const IN_FLIGHT: u8 = 2;
const MBARRIER: u8 = 4;
/// A copy out of shared memory, or a matrix product, still reads it.
const READING: u8 = 8;

/// Who makes an access, with which instruction.
#[derive(Clone, Copy)]
pub struct Access {
    /// Thread in the block.
    pub thread: usize,
    /// Number of the instruction.
    pub pc: u32,
    /// Atomic, volatile or otherwise meant to meet others.
    pub strong: bool,
}

/// How the last write of a grain was made.
#[derive(Clone, Copy, Default)]
struct Write {
    stamp: Stamp,
    pc: u32,
    strong: bool,
    /// By the copy unit rather than by an ordinary store.
    proxy: bool,
}

/// Lanes of one warp that read a grain at one time.
#[derive(Clone, Copy, Default)]
struct Reads {
    time: u32,
    lanes: u32,
    warp: u32,
    pc: u32,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    write: Write,
    reads: Reads,
    /// One more than the index of further readers.
    more: u32,
}

/// The shared memory of a block.
pub struct Shared {
    bytes: Vec<u8>,
    state: Vec<u8>,
    cells: Vec<Cell>,
    more: Vec<Vec<Reads>>,
    grain: u32,
}

impl Shared {
    /// `size` unwritten bytes; no access is smaller than `grain`, a power of two.
    pub fn new(size: usize, grain: usize) -> Shared {
        let grain = grain.max(1).trailing_zeros();
        let cells = size.div_ceil(1 << grain);
        Shared {
            bytes: vec![0; size],
            state: vec![0; size],
            cells: vec![Cell::default(); cells],
            more: Vec::new(),
            grain,
        }
    }

    /// The offset of an access, if it lies inside and is aligned.
    #[inline]
    pub fn locate(&self, address: u64, n: usize, align: usize) -> Result<usize, Refusal> {
        match usize::try_from(address) {
            Ok(at) if at.checked_add(n).is_some_and(|end| end <= self.bytes.len()) => match at % align {
                0 => Ok(at),
                _ => Err(format!("shared address {at} is not a multiple of {align}").into()),
            },
            _ => Err(format!(
                "{n} bytes at shared address {address:#x} are outside of the block's {} bytes",
                self.bytes.len()
            )
            .into()),
        }
    }

    #[inline]
    fn grains(&self, at: usize, n: usize) -> std::ops::Range<usize> {
        at >> self.grain..((at + n - 1) >> self.grain) + 1
    }

    /// The bytes of a range, whoever wrote them.
    pub fn peek(&self, at: usize, n: usize) -> &[u8] {
        &self.bytes[at..at + n]
    }

    /// A value of `n` ≤ 8 bytes, whoever wrote it.
    #[inline]
    pub fn value(&self, at: usize, n: usize) -> u64 {
        let mut raw = [0; 8];
        raw[..n].copy_from_slice(&self.bytes[at..at + n]);
        u64::from_le_bytes(raw)
    }

    /// Checks and notes a read.
    #[inline]
    pub fn read(&mut self, clocks: &Clocks, by: Access, at: usize, n: usize) -> Result<(), Refusal> {
        for i in at..at + n {
            if self.state[i] & !READING != WRITTEN {
                return Err(self.unreadable(i));
            }
        }
        let (warp, lane) = ((by.thread / LANES) as u32, 1 << (by.thread % LANES));
        let time = clocks.now(by.thread / LANES);
        for g in self.grains(at, n) {
            let cell = &mut self.cells[g];
            if !(clocks.ordered(by.thread, cell.write.stamp) || by.strong && cell.write.strong) {
                return Err(conflict(
                    "reads",
                    "written",
                    g << self.grain,
                    cell.write.stamp.who,
                    cell.write.pc,
                ));
            }
            if by.strong {
                continue;
            }
            let new = Reads { time, lanes: lane, warp, pc: by.pc };
            if cell.reads.warp == warp && cell.reads.time == time {
                cell.reads.lanes |= lane;
            } else if cell.reads.time == 0 || cell.reads.warp == warp && cell.reads.lanes & !lane == 0 {
                cell.reads = new;
            } else {
                if cell.more == 0 {
                    self.more.push(Vec::new());
                    cell.more = self.more.len() as u32;
                }
                let list = &mut self.more[cell.more as usize - 1];
                match list.iter_mut().find(|r| r.warp == warp && (r.time == time || r.lanes & !lane == 0)) {
                    Some(r) if r.time == time => r.lanes |= lane,
                    Some(r) => *r = new,
                    None => list.push(new),
                }
            }
        }
        Ok(())
    }

    fn unreadable(&self, at: usize) -> Refusal {
        match self.state[at] {
            s if s & MBARRIER != 0 => format!("shared byte {at} belongs to an mbarrier"),
            s if s & IN_FLIGHT != 0 => {
                format!("reads shared byte {at}, which an asynchronous copy is still writing")
            }
            _ => format!("reads shared byte {at}, which was never written"),
        }
        .into()
    }

    /// Checks that a write would conflict with nothing.
    pub fn may_write(&self, clocks: &Clocks, by: Access, at: usize, n: usize) -> Result<(), Refusal> {
        if let Some(i) = (at..at + n).find(|i| self.state[*i] & !WRITTEN != 0) {
            return Err(match self.state[i] {
                s if s & MBARRIER != 0 => format!("writes shared byte {i}, which belongs to an mbarrier"),
                s if s & IN_FLIGHT != 0 => {
                    format!("writes shared byte {i}, which an asynchronous copy is still writing")
                }
                _ => format!("writes shared byte {i}, which an asynchronous copy is still reading"),
            }
            .into());
        }
        for g in self.grains(at, n) {
            let cell = &self.cells[g];
            if !(clocks.ordered(by.thread, cell.write.stamp) || by.strong && cell.write.strong) {
                return Err(conflict(
                    "writes",
                    "written",
                    g << self.grain,
                    cell.write.stamp.who,
                    cell.write.pc,
                ));
            }
            let more = cell.more.checked_sub(1).map_or(&[][..], |i| &self.more[i as usize]);
            for r in std::iter::once(&cell.reads).chain(more).filter(|r| r.time != 0) {
                let left = clocks.unordered(by.thread, r.warp as usize, r.lanes, r.time);
                if left != 0 {
                    let who = r.warp * LANES as u32 + left.trailing_zeros();
                    return Err(conflict("writes", "read", g << self.grain, who, r.pc));
                }
            }
        }
        Ok(())
    }

    fn note_write(&mut self, at: usize, n: usize, write: Write) {
        for g in self.grains(at, n) {
            let cell = &mut self.cells[g];
            cell.write = write;
            cell.reads.time = 0;
            if cell.more != 0 {
                self.more[cell.more as usize - 1].clear();
            }
        }
        self.state[at..at + n].fill(WRITTEN);
    }

    /// Checks, notes and makes a write.
    pub fn write(&mut self, clocks: &Clocks, by: Access, at: usize, data: &[u8]) -> Result<(), Refusal> {
        self.may_write(clocks, by, at, data.len())?;
        let write = Write { stamp: clocks.stamp(by.thread), pc: by.pc, strong: by.strong, proxy: false };
        self.note_write(at, data.len(), write);
        self.bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }

    /// Marks a range as the destination of a copy that has been issued.
    pub fn begin_copy(&mut self, clocks: &Clocks, by: Access, at: usize, n: usize) -> Result<(), Refusal> {
        self.may_write(clocks, by, at, n)?;
        self.state[at..at + n].iter_mut().for_each(|s| *s |= IN_FLIGHT);
        Ok(())
    }

    /// The copied bytes arrive; they count as written by `stamp`.
    pub fn end_copy(&mut self, at: usize, data: &[u8], stamp: Stamp, pc: u32, proxy: bool) {
        self.note_write(at, data.len(), Write { stamp, pc, strong: false, proxy });
        self.bytes[at..at + data.len()].copy_from_slice(data);
    }

    /// Marks a range as being read by a copy, or no longer.
    pub fn reading(&mut self, at: usize, n: usize, still: bool) {
        for s in &mut self.state[at..at + n] {
            *s = if still { *s | READING } else { *s & !READING };
        }
    }

    /// Checks that ordinary writes to a range were fenced before the copy or matrix unit reads it.
    pub fn in_proxy(&self, proxies: &Proxies, thread: usize, at: usize, n: usize) -> Result<(), Refusal> {
        for g in self.grains(at, n) {
            let write = &self.cells[g].write;
            if !write.proxy && !proxies.covers(thread, write.stamp) {
                let mut refusal = conflict("reads", "written", g << self.grain, write.stamp.who, write.pc);
                refusal.text = format!(
                    "reads shared byte {} through the async proxy, but no fence.proxy.async follows the write to it",
                    g << self.grain
                );
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Makes a range an mbarrier; the write of its initialisation.
    pub fn begin_mbarrier(&mut self, clocks: &Clocks, by: Access, at: usize) -> Result<(), Refusal> {
        self.state[at..at + 8].iter_mut().for_each(|s| *s &= !MBARRIER);
        self.write(clocks, by, at, &[0; 8])?;
        self.state[at..at + 8].fill(MBARRIER);
        Ok(())
    }

    /// Makes an mbarrier plain bytes again, which nobody has written.
    pub fn end_mbarrier(&mut self, at: usize) {
        self.state[at..at + 8].fill(0);
    }
}

fn conflict(does: &str, was: &str, at: usize, who: u32, pc: u32) -> Refusal {
    Refusal {
        text: format!("{does} shared byte {at}, which was {was} with nothing in between that orders the two"),
        lane: None,
        other: Some((who, pc)),
    }
}
