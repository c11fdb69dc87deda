//! Decoded blocks shared by many sources and threads, within a byte budget that also covers the decoders'
//! scratch memory. Each block is decoded once however many threads ask for it, and again only when the
//! budget had it dropped. Where there is an [`Outlook`], only what it expects to be read again is kept.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::window::{check_window, split, Job};
use super::{Block, BlockRange, BlockSource, Outlook, ReadStats, SampleType, Task};
use crate::error::{Error, InFile, Result};
use crate::tile::Rect;

/// A source's number in a cache, from [`BlockCache::source_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(u32);

/// Bytes that one block of a source takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCost {
    /// Kept while the block is cached.
    pub decoded: usize,
    /// Taken beside that while it is decoded.
    pub scratch: usize,
}

impl BlockCost {
    /// Cost of the largest block at a level, an upper bound.
    pub fn of(source: &dyn BlockSource, level: u8) -> Self {
        let info = source.info();
        let (width, height) = source.block_size(level);
        let pixels = width.saturating_mul(height);
        let sample = match info.sample {
            SampleType::U8 => 1,
            SampleType::U16 => 2,
            _ => 4,
        };
        let mask = 1;
        let decoded = pixels.saturating_mul(sample * info.bands.len() + mask);
        Self { decoded, scratch: source.scratch_bytes(level) }
    }

    /// Both together: the least budget that can decode the block.
    pub fn total(&self) -> usize {
        self.decoded.saturating_add(self.scratch)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: SourceId,
    level: u8,
    column: u32,
    row: u32,
}

impl Key {
    fn new(source: SourceId, level: u8, column: usize, row: usize) -> Self {
        Self { source, level, column: column as u32, row: row as u32 }
    }
}

enum Slot {
    /// A thread is decoding it.
    Filling,
    /// Here. Readers that copy from it right now keep it from being dropped.
    Full { block: Arc<Block>, used: u64, readers: usize },
}

#[derive(Default)]
struct State {
    slots: HashMap<Key, Slot>,
    /// Bytes of decoded blocks.
    held: usize,
    /// Bytes promised to running decodes, results included.
    promised: usize,
    readers: usize,
    clock: u64,
    outlooks: HashMap<SourceId, Outlook>,
    decoded_before: HashSet<Key>,
    stats: ReadStats,
}

/// A bounded cache of decoded blocks.
///
/// A thread that needs room waits for other threads' decodes and copies, never while it holds a block
/// itself, so waiting always ends.
pub struct BlockCache {
    budget: usize,
    next_source: AtomicU32,
    state: Mutex<State>,
    changed: Condvar,
}

impl BlockCache {
    /// A cache of at most `budget` bytes: decoded blocks, and decoders while they run.
    pub fn new(budget: usize) -> Self {
        Self { budget, next_source: AtomicU32::new(0), state: Mutex::default(), changed: Condvar::new() }
    }

    /// A number for one more source.
    pub fn source_id(&self) -> SourceId {
        SourceId(self.next_source.fetch_add(1, Ordering::Relaxed))
    }

    /// The budget in bytes.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Counters since the start.
    pub fn stats(&self) -> ReadStats {
        self.lock().stats
    }

    /// Reads a window of one level as f32: `out` is `[band][y][x]` over `rect` for the given bands (indices
    /// into the source's), `valid` is `[y][x]`, 0 where the file's mask or alpha says there is no data and
    /// 1 elsewhere. Missing blocks are decoded in parallel on the current rayon pool.
    ///
    /// # Errors
    /// `Usage` when `rect` is not inside the image, bands do not exist or buffers have another size; `Limit`
    /// when one block is over the budget; what decoding says.
    pub fn read(
        &self,
        id: SourceId,
        source: &dyn BlockSource,
        level: u8,
        rect: Rect,
        bands: &[usize],
        out: &mut [f32],
        valid: Option<&mut [u8]>,
    ) -> Result<()> {
        check_window(source, level, &rect, bands, out.len(), valid.as_deref().map(<[u8]>::len))
            .in_file(source.name())?;
        if rect.is_empty() || bands.is_empty() {
            return Ok(());
        }
        let mut jobs = split(source, level, rect, out, valid);
        let stride = source.info().bands.len();
        // Copying what is here costs less than waking threads for it.
        jobs.retain_mut(|job| match self.held(Key::new(id, level, job.column, job.row)) {
            Some(block) => {
                job.copy(&block, bands, stride);
                false
            }
            None => true,
        });
        let fill = |job: &mut Job, wait| -> Result<bool> {
            let block = self.get(Key::new(id, level, job.column, job.row), source, wait)?;
            block.iter().for_each(|block| job.copy(block, bands, stride));
            Ok(block.is_some())
        };
        if jobs.len() > 1 {
            // Blocks that other threads are decoding come last, so that this one does not stand idle.
            let filled = jobs.par_iter_mut().map(|job| fill(job, Wait::ForRoom));
            let mut filled = filled.collect::<Result<Vec<bool>>>()?.into_iter();
            jobs.retain(|_| filled.next() == Some(false));
        }
        jobs.iter_mut().try_for_each(|job| fill(job, Wait::ForBlock).map(|_| ()))
    }

    /// Says what of each source will be read, and drops the rest; all that was said before is forgotten.
    pub fn expect(&self, outlooks: HashMap<SourceId, Outlook>) {
        let mut state = self.lock();
        state.outlooks = outlooks;
        state.drop_unexpected();
    }

    /// Says that of the strip a source is read in, block rows above `row` will not be read again.
    pub fn pass(&self, id: SourceId, row: usize) {
        let mut state = self.lock();
        if let Some(outlook) = state.outlooks.get_mut(&id).filter(|o| o.strip.rows.start != row) {
            outlook.strip.rows.start = row;
            state.drop_unexpected();
        }
    }

    /// One task for each block of `now`, a part of each source's strip, that is not here; where all are, for those
    /// of what comes [after](Outlook::after). A task decodes its block if there is room without dropping expected
    /// ones; a block that cannot be decoded is left to whoever reads it.
    pub fn fetch<'a>(
        &'a self,
        level: u8,
        now: &[(SourceId, &'a dyn BlockSource, BlockRange)],
    ) -> Vec<Task<'a>> {
        let state = self.lock();
        let missing = |id: SourceId, source: &'a dyn BlockSource, range: &BlockRange| -> Vec<Task<'a>> {
            let keys = range.iter().map(|(column, row)| Key::new(id, level, column, row));
            let task = |key| -> Task<'a> {
                Box::new(move || {
                    let _ = self.get(key, source, Wait::Never);
                })
            };
            keys.filter(|key| !state.slots.contains_key(key)).map(task).collect()
        };
        let tasks: Vec<_> = now.iter().flat_map(|(id, source, range)| missing(*id, *source, range)).collect();
        if !tasks.is_empty() {
            return tasks;
        }
        let after = now.iter().filter_map(|(id, source, range)| {
            state.outlooks.get(id).map(|outlook| (*id, *source, outlook.after(range)))
        });
        after.flat_map(|(id, source, range)| missing(id, source, &range)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it held the lock left no half-made state: see `Decoding`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block, if it is here.
    fn held(&self, key: Key) -> Option<Reader<'_>> {
        self.lock().reader(self, key)
    }

    /// The block, decoded if need be; `None` where `wait` does not allow to wait for it.
    fn get(&self, key: Key, source: &dyn BlockSource, wait: Wait) -> Result<Option<Reader<'_>>> {
        let cost = BlockCost::of(source, key.level);
        let mut state = self.lock();
        loop {
            match state.slots.get(&key) {
                Some(Slot::Full { .. }) => return Ok(state.reader(self, key)),
                Some(Slot::Filling) if wait != Wait::ForBlock => return Ok(None),
                Some(Slot::Filling) => {}
                None => {
                    if state.make_room(self.budget, cost.total(), wait != Wait::Never) {
                        break;
                    }
                    if wait == Wait::Never {
                        return Ok(None);
                    }
                    if state.promised == 0 && state.readers == 0 {
                        return Err(over_budget(&cost, self.budget)).in_file(source.name());
                    }
                }
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.slots.insert(key, Slot::Filling);
        state.promise(cost.total());
        drop(state);
        let decoding = Decoding { cache: self, key, promised: cost.total() };
        let block = source.decode(key.level, key.column as usize, key.row as usize)?;
        Ok(decoding.done(block))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Not at all, and nothing expected is dropped for it.
    Never,
    /// Only for memory.
    ForRoom,
    /// Also for a block that another thread is decoding.
    ForBlock,
}

impl State {
    fn reader<'c>(&mut self, cache: &'c BlockCache, key: Key) -> Option<Reader<'c>> {
        self.clock += 1;
        let Some(Slot::Full { block, used, readers }) = self.slots.get_mut(&key) else { return None };
        *used = self.clock;
        *readers += 1;
        self.readers += 1;
        Some(Reader { cache, key, block: block.clone() })
    }

    fn expects(&self, key: &Key) -> bool {
        let outlook = self.outlooks.get(&key.source);
        outlook.is_some_and(|o| o.expects(key.column as usize, key.row as usize))
    }

    /// Drops blocks of sources with an outlook that does not expect them; not those being copied from.
    fn drop_unexpected(&mut self) {
        let Self { slots, outlooks, held, .. } = self;
        slots.retain(|key, slot| {
            let Slot::Full { block, readers: 0, .. } = slot else { return true };
            let outlook = outlooks.get(&key.source);
            let keep = outlook.is_none_or(|o| o.expects(key.column as usize, key.row as usize));
            *held -= if keep { 0 } else { block.bytes() };
            keep
        });
    }

    /// Drops blocks until `need` more bytes fit, those used longest ago first and expected ones last, if they
    /// may be dropped at all; whether there is room now.
    fn make_room(&mut self, budget: usize, need: usize, drop_expected: bool) -> bool {
        while self.held.saturating_add(self.promised).saturating_add(need) > budget {
            let idle = self.slots.iter().filter_map(|(key, slot)| match slot {
                Slot::Full { used, readers: 0, .. } => Some((self.expects(key), *used, *key)),
                _ => None,
            });
            let oldest = idle.min_by_key(|(expected, used, _)| (*expected, *used));
            let Some((_, _, key)) = oldest.filter(|(expected, ..)| drop_expected || !expected) else {
                return false;
            };
            if let Some(Slot::Full { block, .. }) = self.slots.remove(&key) {
                self.held -= block.bytes();
            }
        }
        true
    }

    fn promise(&mut self, bytes: usize) {
        self.promised += bytes;
        self.stats.cache_peak = self.stats.cache_peak.max((self.held + self.promised) as u64);
    }
}

/// A decode under way; takes its promise back when it ends, whichever way.
struct Decoding<'c> {
    cache: &'c BlockCache,
    key: Key,
    promised: usize,
}

impl<'c> Decoding<'c> {
    fn done(self, block: Block) -> Option<Reader<'c>> {
        let mut state = self.cache.lock();
        state.held += block.bytes();
        state.stats.decoded += 1;
        if !state.decoded_before.insert(self.key) {
            state.stats.repeated += 1;
        }
        let slot = Slot::Full { block: Arc::new(block), used: 0, readers: 0 };
        state.slots.insert(self.key, slot);
        state.reader(self.cache, self.key)
    }
}

impl Drop for Decoding<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        state.promised -= self.promised;
        if let Some(Slot::Filling) = state.slots.get(&self.key) {
            state.slots.remove(&self.key);
        }
        drop(state);
        self.cache.changed.notify_all();
    }
}

/// A block that is being copied from.
struct Reader<'c> {
    cache: &'c BlockCache,
    key: Key,
    block: Arc<Block>,
}

impl Deref for Reader<'_> {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.block
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        state.readers -= 1;
        if let Some(Slot::Full { readers, .. }) = state.slots.get_mut(&self.key) {
            *readers -= 1;
        }
        drop(state);
        self.cache.changed.notify_all();
    }
}

fn over_budget(cost: &BlockCost, budget: usize) -> Error {
    let mib = |n: usize| n as f64 / f64::from(1 << 20);
    Error::limit(format!(
        "decoding one block takes {:.1} MiB ({:.1} of them the decoder's), the cache of decoded blocks has \
         {:.1} MiB; more --memory helps",
        mib(cost.total()),
        mib(cost.scratch),
        mib(budget)
    ))
}
