//! Who touched global memory last, per grain, and what releases left there for those who acquire: accesses conflict
//! when one writes (unless both are strong) and nothing orders them. Of a block the last reader alone is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::clocks::{join_published, Clocks, Published, Stamp};
use super::Refusal;

/// Bits of time and thread in a mark; the block takes the rest.
const TIME: u32 = 30;
const THREAD: u32 = 10;
/// The mark of several blocks, none of which can be ordered before another.
const MANY: u64 = u64::MAX;

/// Most blocks of a launch that can be told apart.
pub const MOST_BLOCKS: u64 = (1 << (64 - TIME - THREAD)) - 2;

#[derive(Default)]
struct Cell {
    write: AtomicU64,
    read: AtomicU64,
    strong: AtomicU64,
}

/// Number of an allocation and a place in it.
pub type Place = (usize, usize);

/// The shadow of all global memory for one launch.
pub struct Races {
    /// Bytes of each allocation, and its cells once it is touched.
    allocations: Vec<(usize, OnceLock<Vec<Cell>>)>,
    grain: u32,
    /// Where blocks may be ordered: what they have kept.
    meeting: Option<Mutex<Meeting>>,
}

/// What blocks that meet leave behind.
#[derive(Default)]
struct Meeting {
    /// Marks of further blocks beside a cell's own, for reads and for strong writes.
    more: HashMap<(Place, bool), Vec<u64>>,
    published: HashMap<Place, Published>,
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
    /// Nothing was touched yet; no access is smaller than `grain`, a power of two. Blocks that do not meet are never
    /// ordered.
    pub fn new(sizes: impl Iterator<Item = usize>, grain: usize, meet: bool) -> Races {
        let grain = grain.max(1).trailing_zeros();
        let allocations = sizes.map(|n| (n, OnceLock::new())).collect();
        Races { allocations, grain, meeting: meet.then(Mutex::default) }
    }

    fn meeting(&self) -> Option<MutexGuard<'_, Meeting>> {
        self.meeting.as_ref().map(|m| m.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What writes left at a place for those who acquire.
    pub fn published(&self, place: Place) -> Published {
        self.meeting().and_then(|m| m.published.get(&place).cloned()).unwrap_or_default()
    }

    /// A write leaves something at a place, beside what was there before if it also read that.
    pub fn publish(&self, place: Place, handed: Published, keeps: bool) {
        let Some(mut meeting) = self.meeting() else { return };
        if !keeps {
            meeting.published.remove(&place);
        }
        if !handed.is_empty() {
            join_published(meeting.published.entry(place).or_default(), &handed);
        }
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
            let check_all = |own: &AtomicU64, strong: bool, did: &str| -> Result<(), Refusal> {
                check(own.load(SeqCst), block, thread, clocks, did)?;
                let Some(meeting) = self.meeting() else { return Ok(()) };
                let more = meeting.more.get(&((allocation, g), strong));
                more.into_iter().flatten().try_for_each(|mark| check(*mark, block, thread, clocks, did))
            };
            match kind {
                Kind::Read => self.leave(&cell.read, ((allocation, g), false), mark, thread, clocks),
                Kind::Write => check(cell.write.swap(mark, SeqCst), block, thread, clocks, "written")?,
                Kind::StrongWrite => self.leave(&cell.strong, ((allocation, g), true), mark, thread, clocks),
                Kind::StrongRead => {}
            }
            if kind != Kind::Write {
                check(cell.write.load(SeqCst), block, thread, clocks, "written")?;
            }
            if matches!(kind, Kind::Write | Kind::StrongWrite) {
                check_all(&cell.read, false, "read")?;
            }
            if matches!(kind, Kind::Read | Kind::Write) {
                check_all(&cell.strong, true, "changed by an atomic")?;
            }
        }
        Ok(())
    }

    /// Leaves a mark beside those of other blocks that are not ordered before it.
    fn leave(&self, cell: &AtomicU64, place: (Place, bool), mark: u64, thread: usize, clocks: &Clocks) {
        let old = cell.load(SeqCst);
        if old == mark || old == MANY {
            return;
        }
        let same = |old: u64| old >> (TIME + THREAD) == mark >> (TIME + THREAD);
        let Some(mut meeting) = self.meeting() else {
            let alone = old == 0 || same(old);
            if !alone || cell.compare_exchange(old, mark, SeqCst, SeqCst).is_err() {
                cell.store(MANY, SeqCst);
            }
            return;
        };
        let gone = |old: u64| {
            let (block, stamp) = of_mark(old);
            same(old) || clocks.knows(thread, block, stamp)
        };
        if let Some(more) = meeting.more.get_mut(&place) {
            more.retain(|old| !gone(*old));
        }
        match old == 0 || gone(old) {
            true => cell.store(mark, SeqCst),
            false => meeting.more.entry(place).or_default().push(mark),
        }
    }
}

/// Block, thread and time of a mark.
fn of_mark(mark: u64) -> (u64, Stamp) {
    let who = (mark >> TIME) as u32 & ((1 << THREAD) - 1);
    ((mark >> (TIME + THREAD)).wrapping_sub(1), Stamp { who, time: mark as u32 & ((1 << TIME) - 1) })
}

fn check(mark: u64, block: u64, thread: usize, clocks: &Clocks, did: &str) -> Result<(), Refusal> {
    if mark == 0 {
        return Ok(());
    }
    if mark == MANY {
        return Err(format!("touches global memory that several blocks have {did}").into());
    }
    let (other, stamp) = of_mark(mark);
    if other != block {
        return match clocks.knows(thread, other, stamp) {
            true => Ok(()),
            false => Err(format!(
                "touches global memory that was {did} by block {other} of the same launch with nothing in between that orders the two"
            )
            .into()),
        };
    }
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
