//! The stream itself: a reader thread, the network on the calling thread, writer threads; a free list of slots
//! between the first two. The first error wins and stops everything.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::Mutex;

use super::accumulate::{blocks_of, Accumulator, BlockId, BlockSums, TileOutput};
use super::encode::Encoding;
use super::frames::InputLayout;
use super::progress::Progress;
use super::reader::{Reader, Slot};
use super::seam::{Borders, SeamReport};
use crate::error::{Error, Result};
use crate::raster::{BlockSink, FrameSource};
use crate::tensor::DType;
use crate::tile::{Rect, Tile, TileGrid};

/// A network compiled for a number of tiles of one size.
pub trait TileNet {
    /// Memory of the input, `[tile][frame][band][y][x]`, f32 or samples, to be filled before each [`TileNet::run`].
    fn input(&mut self) -> &mut [u8];

    /// Runs on what lies in the input: `[tile][band][y][x]` at output resolution.
    ///
    /// # Errors
    /// What the device says.
    fn run(&mut self) -> Result<&[f32]>;

    /// Runs that may be under way at once.
    fn depth(&self) -> usize {
        1
    }

    /// Starts a run on what lies in the input, which then is the next run's. As many as [`TileNet::depth`] may be
    /// started and not finished.
    ///
    /// # Errors
    /// What the device says.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// Ends the run that was started first, with its result as of [`TileNet::run`].
    ///
    /// # Errors
    /// What the device says.
    fn finish(&mut self) -> Result<&[f32]> {
        self.run()
    }

    /// Tiles of the run that was finished last, by their place in it, whose result is one value all over though their
    /// input varies.
    fn constant(&self) -> &[usize] {
        &[]
    }
}

/// One raster that is made of the blended tiles.
pub struct Layer<'a> {
    /// Where its blocks go.
    pub sink: &'a dyn BlockSink,
    /// What they hold.
    pub encoding: Encoding,
}

/// What is streamed and how.
pub struct StreamSpec {
    /// The tiles.
    pub grid: TileGrid,
    /// How dates become network input.
    pub input: InputLayout,
    /// What the network is given: numbers, or samples it makes its own numbers of.
    pub samples: DType,
    /// Bands of the network's result that are blended; 0 where it is no image.
    pub bands: usize,
    /// Side of an output block.
    pub block: usize,
    /// Draws among equally good dates.
    pub seed: u64,
    /// Tiles the network takes at once.
    pub batch: usize,
    /// Tiles in flight between reader and network, at least as many.
    pub slots: usize,
    /// Threads that read dates, and threads that write blocks.
    pub threads: usize,
    /// Where blocks wait for the next strip.
    pub scratch: PathBuf,
    /// Measure how visible tile borders are.
    pub seams: bool,
}

/// Grid position of a tile, and the dates it was made from.
pub type Choice = ((usize, usize), Vec<usize>);

/// What a stream did.
#[derive(Debug, Default)]
pub struct StreamReport {
    /// Tiles run through the network.
    pub tiles: usize,
    /// Tiles skipped because no date has data there.
    pub skipped: usize,
    /// Largest number of unfinished blocks in memory.
    pub peak_blocks: usize,
    /// Visibility of tile borders, where asked for.
    pub seams: SeamReport,
    /// Dates chosen for the tiles of this run.
    pub choices: Vec<Choice>,
    /// Input pixels of tiles whose result is one value all over though their input varies.
    pub constant: Vec<Rect>,
}

struct Shared<'a> {
    source: &'a dyn FrameSource,
    layers: &'a [Layer<'a>],
    spec: &'a StreamSpec,
    progress: &'a Progress,
    stop: &'a AtomicBool,
    borders: Option<Borders>,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Shared<'_> {
    fn fail(&self, error: Error) {
        if let Ok(mut first) = self.error.lock() {
            first.get_or_insert(error);
        }
        self.failed.store(true, Ordering::SeqCst);
    }

    fn going(&self) -> bool {
        if self.stop.load(Ordering::SeqCst) && !self.failed.load(Ordering::SeqCst) {
            self.fail(Error::interrupted("stopped; run again with --resume to go on from here"));
        }
        !self.failed.load(Ordering::SeqCst)
    }

    /// Whether some raster still lacks a block.
    fn wants(&self, (column, row): BlockId) -> bool {
        self.layers.iter().any(|layer| !layer.sink.is_done(column, row))
    }
}

/// Streams `source` through `net` into the blocks that `layers` do not have yet, and shows each tile's result to
/// `each`, in computing order. Without layers all tiles are computed.
///
/// # Errors
/// The first error of source, network or sink; `Interrupted` when `stop` was set.
pub fn stream(
    source: &dyn FrameSource,
    net: &mut dyn TileNet,
    layers: &[Layer],
    each: &mut dyn FnMut(&TileOutput),
    spec: &StreamSpec,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<StreamReport> {
    let shared = Shared {
        source,
        layers,
        spec,
        progress,
        stop,
        borders: spec.seams.then(|| Borders::of(&spec.grid)),
        failed: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    let tiles = wanted_tiles(&shared);
    let mut report = StreamReport::default();
    std::thread::scope(|scope| {
        let (free_in, free_out) = channel();
        let slots = spec.slots.max(net.depth() * spec.batch).max(1);
        let (ready_in, ready_out) = sync_channel(slots);
        let (done_in, done_out) = sync_channel(1);
        let (recycle_in, recycle_out) = channel();
        let done_out = Mutex::new(done_out);
        let area = spec.grid.x.tile * spec.grid.y.tile;
        for _ in 0..slots {
            // The receiver lives on this stack, so sending cannot fail.
            let _ = free_in.send(Slot::new(&spec.input, area, spec.samples));
        }
        let (shared, tiles) = (&shared, &tiles);
        let reader = scope.spawn(move || {
            rayon::in_place_scope_fifo(|pool| read_all(shared, tiles, area, free_out, ready_in, pool))
        });
        let writers: Vec<_> = {
            let done_out = std::sync::Arc::new(done_out);
            (0..spec.threads.clamp(1, 4))
                .map(|_| {
                    let (done, recycle) = (done_out.clone(), recycle_in.clone());
                    scope.spawn(move || write_all(shared, &done, &recycle))
                })
                .collect()
        };
        drop(recycle_in);
        let ends = Ends { ready: &ready_out, free: free_in, done: &done_in, recycle: &recycle_out };
        if let Err(e) = run_all(shared, net, tiles, ends, each, &mut report) {
            shared.fail(e);
        }
        drop((ready_out, done_in));
        match reader.join() {
            Ok(choices) => report.choices = choices,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        for writer in writers {
            match writer.join() {
                Ok(seams) => report.seams.merge(&seams),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    match shared.error.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(report),
    }
}

/// The tiles that touch a block which is not written yet, in computing order with their strips.
fn wanted_tiles(shared: &Shared) -> Vec<(usize, Tile)> {
    let (grid, block) = (&shared.spec.grid, shared.spec.block);
    let scale = grid.spec().scale as i64;
    let wanted = |tile: &Tile| {
        shared.layers.is_empty() || blocks_of(&tile.active.scale_up(scale), block).any(|id| shared.wants(id))
    };
    grid.order().filter(|(_, tile)| wanted(tile)).collect()
}

/// What the tiles of a strip (or of a row of it) read; tiles come strip by strip and row by row.
fn reach(tiles: &[(usize, Tile)], strip: usize, row: Option<usize>) -> Rect {
    let first = tiles.partition_point(|(s, _)| *s < strip);
    let wanted = |(s, tile): &&(usize, Tile)| *s == strip && row.is_none_or(|row| tile.row == row);
    tiles[first..].iter().take_while(wanted).fold(Rect::of_size(0, 0), |all, (_, t)| all.around(&t.input))
}

/// The reader thread. What the source would have done meanwhile goes to `pool`.
fn read_all<'a>(
    shared: &'a Shared,
    tiles: &[(usize, Tile)],
    area: usize,
    free: Receiver<Slot>,
    ready: SyncSender<Slot>,
    pool: &rayon::ScopeFifo<'a>,
) -> Vec<Choice> {
    let spec = shared.spec;
    let mut reader = Reader::new(shared.source, &spec.input, area, spec.seed, spec.threads);
    let mut choices = Vec::with_capacity(tiles.len());
    for (sequence, (strip, tile)) in tiles.iter().enumerate() {
        let before = sequence.checked_sub(1).map(|i| &tiles[i]);
        if before.is_none_or(|(s, _)| s != strip) {
            shared.source.enter_strip(reach(tiles, *strip, None), reach(tiles, strip + 1, None));
        }
        if before.is_none_or(|(s, t)| (s, t.row) != (strip, tile.row)) {
            let row = reach(&tiles[sequence..], *strip, Some(tile.row));
            for task in shared.source.enter_row(row) {
                pool.spawn_fifo(move |_| {
                    if shared.going() {
                        task();
                    }
                });
            }
        }
        let Ok(mut slot) = free.recv() else { break };
        if !shared.going() {
            break;
        }
        (slot.tile, slot.sequence, slot.strip) = (*tile, sequence, *strip);
        match reader.fill(&mut slot) {
            Ok(()) => choices.push(((tile.column, tile.row), slot.dates.clone())),
            Err(e) => {
                shared.fail(e);
                break;
            }
        }
        if ready.send(slot).is_err() {
            break;
        }
    }
    choices
}

/// The network loop's ends of the channels.
struct Ends<'a> {
    ready: &'a Receiver<Slot>,
    free: Sender<Slot>,
    done: &'a SyncSender<BlockSums>,
    recycle: &'a Receiver<BlockSums>,
}

/// The network's loop, on the calling thread.
fn run_all(
    shared: &Shared,
    net: &mut dyn TileNet,
    tiles: &[(usize, Tile)],
    Ends { ready, free, done, recycle }: Ends,
    each: &mut dyn FnMut(&TileOutput),
    report: &mut StreamReport,
) -> Result<()> {
    let spec = shared.spec;
    let wanted = |id: BlockId| shared.wants(id);
    let mut sums = Accumulator::new(&spec.grid, spec.bands, spec.block, tiles, &wanted, spec.scratch.clone())
        .with_borders(shared.borders.as_ref())
        .on_threads(spec.threads);
    let bytes = spec.input.numbers(spec.grid.x.tile * spec.grid.y.tile) * spec.samples.size();
    let named = |e: Error, tile: &Tile| e.while_doing(format!("tile {}", tile.input));
    // Groups whose results are awaited.
    let mut started: VecDeque<Vec<Slot>> = VecDeque::new();
    loop {
        // Blocks until a batch is full or the reader has left.
        let group: Vec<Slot> = ready.iter().take(spec.batch.max(1)).collect();
        if !shared.going() {
            break;
        }
        let ended = group.is_empty();
        if let Some(first) = group.iter().find(|slot| slot.any) {
            for (lane, slot) in net.input().chunks_exact_mut(bytes).zip(group.iter().filter(|slot| slot.any))
            {
                lane.copy_from_slice(&slot.input()[..bytes]);
            }
            net.start().map_err(|e| named(e, &first.tile))?;
        }
        if !ended {
            started.push_back(group);
        }
        if started.len() < net.depth() && !ended {
            continue;
        }
        let Some(group) = started.pop_front() else { break };
        let with_data = group.iter().filter(|slot| slot.any);
        let values = match with_data.clone().next() {
            Some(first) => net.finish().map_err(|e| named(e, &first.tile))?,
            None => &[],
        };
        let run: Vec<Rect> = with_data.map(|slot| slot.tile.input).collect();
        report.tiles += run.len();
        recycle.try_iter().for_each(|b| sums.recycle(b));
        let mut lanes = values.chunks_exact((values.len() / spec.batch.max(1)).max(1));
        for slot in group {
            let values = if slot.any { lanes.next().unwrap_or_default() } else { &[] };
            report.skipped += usize::from(!slot.any);
            let from = TileOutput { tile: slot.tile, values, valid: &slot.mask, dates: &slot.dates };
            each(&from);
            for block in sums.add(slot.sequence, slot.strip, &from)? {
                if done.send(block).is_err() {
                    return Ok(());
                }
            }
            // The reader has left when it has no tile left to read.
            let _ = free.send(slot);
            shared.progress.add(1);
        }
        if !run.is_empty() {
            report.constant.extend(net.constant().iter().filter_map(|lane| run.get(*lane)));
        }
    }
    report.peak_blocks = sums.peak_blocks();
    Ok(())
}

/// A writer thread: finished blocks to the sink.
fn write_all(shared: &Shared, done: &Mutex<Receiver<BlockSums>>, recycle: &Sender<BlockSums>) -> SeamReport {
    let mut seams = SeamReport::default();
    loop {
        let Some(sums) = done.lock().ok().and_then(|r| r.recv().ok()) else { return seams };
        if shared.failed.load(Ordering::SeqCst) {
            return seams;
        }
        if let Some(borders) = &shared.borders {
            seams.add(borders, &sums);
        }
        let (column, row) = sums.id;
        let put = |layer: &Layer| match layer.encoding.block(&sums) {
            Some(block) => layer.sink.put(column, row, &block),
            None => layer.sink.put_empty(column, row),
        };
        if let Err(e) = shared.layers.iter().try_for_each(put) {
            shared.fail(e);
            return seams;
        }
        shared.progress.sample_memory();
        // Nobody takes it back once the network's loop has ended.
        let _ = recycle.send(sums);
    }
}
