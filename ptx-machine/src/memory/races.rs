//! Who touched global memory last, per grain: accesses of two blocks conflict whenever one writes
//! (unless both are atomic), those of one block when nothing orders them. The last reader alone is kept.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::OnceLock;

use super::clocks::{Clocks, Stamp};
use super::Refusal;

/// Bits of time and thread in a mark; the block takes the rest.
const TIME: u32 = 30;
const THREAD: u32 = 10;
/// The mark of several blocks.
const MANY: u64 = u64::MAX;

/// Most blocks of a launch that can be told apart.
pub const MOST_BLOCKS: u64 = (1 << (64 - TIME - THREAD)) - 2;

#[derive(Default)]
struct Cell {
    write: AtomicU64,
    read: AtomicU64,
    strong: AtomicU64,
}

/// The shadow of all global memory for one launch.
pub struct Races {
    /// Bytes of each allocation, and its cells once it is touched.
    allocations: Vec<(usize, OnceLock<Vec<Cell>>)>,
    grain: u32,
}

/// A kind of access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ordinary load.
    Read,
    /// Ordinary store.
    Write,
    /// Load that may meet atomics.
    StrongRead,
    /// Atomic, or a store that may meet atomics.
    StrongWrite,
}

impl Races {
    /// Nothing was touched yet; no access is smaller than `grain`, a power of two.
    pub fn new(sizes: impl Iterator<Item = usize>, grain: usize) -> Races {
        let grain = grain.max(1).trailing_zeros();
        let allocations = sizes.map(|n| (n, OnceLock::new())).collect();
        Races { allocations, grain }
    }

    /// Checks and notes an access of `n` bytes at an offset of an allocation.
    pub fn note(
        &self,
        allocation: usize,
        at: usize,
        n: usize,
        kind: Kind,
        block: u64,
        thread: usize,
        clocks: &Clocks,
    ) -> Result<(), Refusal> {
        let now = clocks.stamp(thread);
        let mark =
            (block + 1) << (TIME + THREAD) | (now.who as u64) << TIME | (now.time as u64 & ((1 << TIME) - 1));
        let (bytes, cells) = &self.allocations[allocation];
        let cells =
            cells.get_or_init(|| (0..bytes.div_ceil(1 << self.grain)).map(|_| Cell::default()).collect());
        for g in at >> self.grain..((at + n - 1) >> self.grain) + 1 {
            let cell = &cells[g];
            match kind {
                Kind::Read => leave(&cell.read, mark),
                Kind::Write => check(cell.write.swap(mark, SeqCst), block, thread, clocks, "written")?,
                Kind::StrongWrite => leave(&cell.strong, mark),
                Kind::StrongRead => {}
            }
            let against: &[(&AtomicU64, &str)] = match kind {
                Kind::Read => &[(&cell.write, "written"), (&cell.strong, "changed by an atomic")],
                Kind::Write => &[(&cell.read, "read"), (&cell.strong, "changed by an atomic")],
                Kind::StrongWrite => &[(&cell.write, "written"), (&cell.read, "read")],
                Kind::StrongRead => &[(&cell.write, "written")],
            };
            for (other, did) in against {
                check(other.load(SeqCst), block, thread, clocks, did)?;
            }
        }
        Ok(())
    }
}

/// Leaves a mark beside those of other blocks.
fn leave(cell: &AtomicU64, mark: u64) {
    let old = cell.load(SeqCst);
    if old == mark || old == MANY {
        return;
    }
    let same = old == 0 || old >> (TIME + THREAD) == mark >> (TIME + THREAD);
    if !same || cell.compare_exchange(old, mark, SeqCst, SeqCst).is_err() {
        cell.store(MANY, SeqCst);
    }
}

fn check(mark: u64, block: u64, thread: usize, clocks: &Clocks, did: &str) -> Result<(), Refusal> {
    if mark == 0 {
        return Ok(());
    }
    let other = (mark >> (TIME + THREAD)).wrapping_sub(1);
    if mark == MANY {
        return Err(format!("touches global memory that several blocks have {did}").into());
    }
    if other != block {
        return Err(
            format!("touches global memory that was {did} by block {other} of the same launch").into()
        );
    }
    let stamp =
        Stamp { who: (mark >> TIME) as u32 & ((1 << THREAD) - 1), time: mark as u32 & ((1 << TIME) - 1) };
    match clocks.ordered(thread, stamp) {
        true => Ok(()),
        false => Err(Refusal {
            text: format!(
                "touches global memory that thread {} of the block has {did} with nothing in between that orders the two",
                stamp.who
            ),
            lane: None,
            other: None,
        }),
    }
}
