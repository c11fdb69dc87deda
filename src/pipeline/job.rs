//! What all jobs on scenes have in common: tiles that fit the memory, the engine, the stream. A command's job adds
//! what becomes of the network's results.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::budget::{peak_blocks, Budget};
use super::choices::write_choices;
use super::frames::InputLayout;
use super::input::Input;
use super::preview::Picture;
use super::progress::{Progress, ProgressMode};
use super::reader::{Reader, Slot};
use super::stream::{stream, Choice, Layer, StreamReport, StreamSpec, TileNet};
use super::target::{open_sink, Target};
use super::tiling::{batch, sizes, tile_grid, OverlapChoice, BLOCK};
use super::{Accumulator, TileOutput};
use crate::engine::{DevicePick, Engine, LoadedModel, Memory, Precision, Precisions, Session, Setup};
use crate::error::{Error, InFile, Result};
use crate::models::InputSize;
use crate::raster::cog::{CogOptions, CogSpec};
use crate::raster::scene::{Series, SeriesOptions};
use crate::raster::warp::Sampling;
use crate::raster::{BlockSink, FrameSource, ReadStats, SampleType, Summary};
use crate::tile::{Blend, TileGrid};

/// Pixels computed over pixels wanted from which smaller weights and larger tiles are looked at:
/// about what pointwise kernels, whose weights are a quarter, take longer.
const DEAR: f64 = 2.0;

/// What all jobs are told. Plain data; see the command line's help for the meaning of each.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Scenes, each a date or a folder of them.
    pub scenes: Vec<PathBuf>,
    /// Bands, grid, window, decoder. `bands` empty: what the network was trained on.
    pub series: SeriesOptions,
    /// How pixels of other grids are resampled; `None`: as for the images the network was trained on.
    pub sampling: Option<Sampling>,
    /// Side of a tile in input pixels.
    pub tile: Option<usize>,
    /// Pixels shared by neighbours.
    pub overlap: OverlapChoice,
    /// How they are joined.
    pub blend: Blend,
    /// Draws among equally good dates.
    pub seed: u64,
    /// Bytes the whole process may take.
    pub memory: u64,
    /// Threads.
    pub threads: usize,
    /// Where the network runs.
    pub device: DevicePick,
    /// What factors of products may be rounded to.
    pub precision: Precision,
    /// Measure the visibility of tile borders.
    pub seams: bool,
    /// Also write which dates were used.
    pub choices: Option<PathBuf>,
    /// Replace existing results.
    pub overwrite: bool,
    /// Go on from an interrupted run.
    pub resume: bool,
}

impl JobOptions {
    /// The usual choices for these scenes, memory (bytes) and number of threads.
    pub fn new(scenes: Vec<PathBuf>, memory: u64, threads: usize) -> Self {
        Self {
            scenes,
            series: SeriesOptions { bands: Vec::new(), ..SeriesOptions::default() },
            sampling: None,
            tile: None,
            overlap: OverlapChoice::Family,
            blend: Blend::Cosine,
            seed: 0,
            memory,
            threads,
            device: DevicePick::Auto,
            precision: Precision::default(),
            seams: false,
            choices: None,
            overwrite: false,
            resume: false,
        }
    }
}

/// What a command makes of the network's results, as far as memory and tiles depend on it.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Bands that are blended; 0 where the result is no image.
    pub bands: usize,
    /// The rasters written.
    pub targets: Vec<Target>,
    /// Bytes a tile leaves behind until the end.
    pub kept_per_tile: usize,
    /// File beside which blocks wait for the next strip.
    pub output: PathBuf,
}

/// What a job did.
pub struct JobReport {
    /// The stream's figures.
    pub stream: StreamReport,
    /// What reading cost.
    pub reads: ReadStats,
    /// The files, in the order of the targets.
    pub summaries: Vec<Summary>,
    /// Wall time of the stream, and of completing the files.
    pub elapsed: (Duration, Duration),
    /// Largest anonymous memory seen, bytes.
    pub peak_memory: u64,
}

/// A job with everything common decided.
pub struct Job<'a> {
    options: &'a JobOptions,
    model: &'a LoadedModel,
    series: Series,
    engine: Engine,
    plan: Memory,
    precisions: Precisions,
    spec: StreamSpec,
    targets: Vec<Target>,
    budget: Budget,
    working_set: u64,
    cache: u64,
}

impl<'a> Job<'a> {
    /// Chooses tiles that fit the memory and compiles the network. Writes nothing.
    ///
    /// # Errors
    /// `Usage` for overlaps that do not fit the network; `Limit` when the memory does not suffice for the smallest
    /// tile.
    pub fn fit(
        options: &'a JobOptions,
        model: &'a LoadedModel,
        input: Input,
        demand: Demand,
    ) -> Result<Self> {
        let Input { mut series, layout } = input;
        let shared = options.overlap.pixels(model)?;
        let fitted = |engine: Engine| fitted(options, model, &series, &layout, &demand, shared, engine);
        let open = |pointwise| {
            let JobOptions { device, threads, precision, .. } = *options;
            fitted(Engine::open(Setup { device, threads, precision, pointwise })?)
        };
        let pointwise = || open(true);
        let Fitted { engine, grid, batch, plan, precisions, budget } = match options.overlap {
            OverlapChoice::Exact => pointwise()?,
            _ => match open(false) {
                Ok(fast) if fast.grid.redundancy() < DEAR => fast,
                fast => match (fast, pointwise()) {
                    (Ok(fast), Ok(other)) if fast.grid.redundancy() < DEAR * other.grid.redundancy() => fast,
                    (Ok(fast), Err(_)) => fast,
                    (_, other) => other?,
                },
            },
        };
        let least = series.least_cache(options.threads);
        let working_set = series.working_set(&grid.strips(), grid.y.tile).saturating_add(least);
        let cache = working_set.min(budget.left());
        series.set_cache_bytes(cache as usize);
        let spec = StreamSpec {
            grid,
            input: layout,
            bands: demand.bands,
            block: BLOCK,
            seed: options.seed,
            batch,
            slots: batch + 1,
            threads: options.threads,
            scratch: beside(&demand.output, "swath-scratch"),
            seams: options.seams,
        };
        let budget = budget.with("decoded blocks", cache);
        let mut targets = demand.targets;
        if options.precision != Precision::F32 {
            let ran = || ("SWATH_PRECISION".to_string(), precisions.to_string());
            targets.iter_mut().for_each(|target| target.cog.metadata.push(ran()));
        }
        Ok(Self {
            options,
            model,
            series,
            engine,
            plan,
            precisions,
            spec,
            targets,
            budget,
            working_set,
            cache,
        })
    }

    /// What it was told.
    pub fn options(&self) -> &JobOptions {
        self.options
    }

    /// What the network's products are computed in.
    pub fn precisions(&self) -> &Precisions {
        &self.precisions
    }

    /// The network.
    pub fn model(&self) -> &LoadedModel {
        self.model
    }

    /// The time series.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The tiles.
    pub fn grid(&self) -> &TileGrid {
        &self.spec.grid
    }

    /// The scenes as a small picture.
    ///
    /// # Errors
    /// What reading says.
    pub fn picture(&self) -> Result<Picture> {
        Picture::of(&self.series, &self.spec.input)
    }

    /// Dates the network is given at a time.
    pub fn dates(&self) -> usize {
        self.spec.input.frames
    }

    /// Where the memory goes.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The rasters to be written, the main one first.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What the network takes.
    pub fn plan(&self) -> Memory {
        self.plan
    }

    /// Bytes of decoded blocks that let each be decoded once (decoders included), and bytes there are for them.
    pub fn working_set(&self) -> (u64, u64) {
        (self.working_set, self.cache)
    }

    /// Runs tiles of zeros and tells how long one took.
    ///
    /// # Errors
    /// What loading the weights and the device say.
    pub fn time_one_tile(&self) -> Result<Duration> {
        let mut net = self.load()?;
        net.input().fill(0.0);
        TileNet::run(&mut net)?;
        let started = Instant::now();
        TileNet::run(&mut net)?;
        Ok(started.elapsed() / self.spec.batch as u32)
    }

    /// Streams the scenes through the network into the targets and past `each`, and completes the files. `stop` ends
    /// it early with `Interrupted`.
    ///
    /// # Errors
    /// The first error of reading, computing or writing.
    pub fn run(
        &self,
        each: &mut dyn FnMut(&TileOutput),
        progress: ProgressMode,
        stop: &AtomicBool,
    ) -> Result<JobReport> {
        let options = self.cog_options()?;
        let sinks: Vec<_> = self.targets.iter().map(|t| t.open(options)).collect::<Result<_>>()?;
        let layers = self.targets.iter().zip(&sinks);
        let layers: Vec<Layer> = layers
            .map(|(target, sink)| Layer { sink: sink.as_ref(), encoding: target.encoding.clone() })
            .collect();
        let mut net = self.load()?;
        let tiles = Progress::new(progress, "tiles", self.spec.grid.len() as u64);
        let streamed = stream(&self.series, &mut net, &layers, each, &self.spec, &tiles, stop);
        tiles.finish();
        drop((net, layers));
        let streaming = tiles.elapsed();
        let mut report = streamed?;
        if let Some(path) = &self.options.choices {
            self.write_choices(path, std::mem::take(&mut report.choices))?;
        }
        let overviews = Progress::new(progress, "overviews", 0);
        let finish = |sink: Box<dyn BlockSink>| {
            sink.finish(&|done, total| {
                overviews.set(done, total);
                match stop.load(Ordering::SeqCst) {
                    true => Err(Error::interrupted("stopped; run again with --resume to go on from here")),
                    false => Ok(()),
                }
            })
        };
        let summaries = sinks.into_iter().map(finish).collect::<Result<_>>()?;
        overviews.finish();
        Ok(JobReport {
            stream: report,
            reads: self.series.stats(),
            summaries,
            elapsed: (streaming, overviews.elapsed()),
            peak_memory: tiles.peak_memory().max(overviews.peak_memory()),
        })
    }

    fn load(&self) -> Result<Session> {
        let size = input_size(&self.spec.input, &self.spec.grid, self.spec.batch);
        self.engine.compile(self.model, size, &[], None)
    }

    fn write_choices(&self, path: &Path, known: Vec<Choice>) -> Result<()> {
        let grid = self.series.grid();
        let bands = (1..=self.spec.input.frames).map(|i| format!("frame {i}")).collect();
        let mut cog = CogSpec::new(grid.width, grid.height, bands, SampleType::U16);
        cog.georef = grid.georef.clone();
        cog.nodata = Some(0.0);
        let dates = self.series.frames().iter().enumerate();
        cog.metadata = dates.map(|(i, f)| (format!("SWATH_DATE_{}", i + 1), f.label.clone())).collect();
        let overwrite = self.options.overwrite || self.options.resume;
        let sink = open_sink(path, cog, CogOptions { overwrite, ..Default::default() })?;
        write_choices(&self.series, &self.spec, known, sink.as_ref())?;
        sink.finish(&|_, _| Ok(())).map(|_| ())
    }

    /// How the rasters are begun: resumed only by a run on which their pixels depend alike.
    fn cog_options(&self) -> Result<CogOptions> {
        let (resume, overwrite) = (self.options.resume, self.options.overwrite);
        Ok(CogOptions { resume, overwrite, fingerprint: self.fingerprint()? })
    }

    /// Hash of all that the pixels depend on.
    fn fingerprint(&self) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        for (key, value) in self.targets.iter().flat_map(|target| &target.cog.metadata) {
            add(key);
            add(value);
        }
        add(&format!("{:?} {:?} {}", self.spec.grid.spec(), self.spec.input, self.spec.seed));
        add(if self.engine.setup().pointwise { "pointwise" } else { "" });
        for file in self.series.frames().iter().flat_map(|f| &f.files) {
            let about = std::fs::metadata(file).map_err(|e| Error::io("cannot look at", e)).in_file(file)?;
            add(&format!("{} {} {:?}", file.display(), about.len(), about.modified().ok()));
        }
        Ok(hash.finalize().into())
    }
}

/// An engine, and tiles with which it keeps to the memory.
struct Fitted {
    engine: Engine,
    grid: TileGrid,
    batch: usize,
    plan: Memory,
    precisions: Precisions,
    budget: Budget,
}

/// The largest tiles with which an engine keeps to the memory.
///
/// # Errors
/// `Limit` when even the smallest do not fit, `Usage` when neighbours share all of a tile.
fn fitted(
    options: &JobOptions,
    model: &LoadedModel,
    series: &Series,
    layout: &InputLayout,
    demand: &Demand,
    shared: usize,
    engine: Engine,
) -> Result<Fitted> {
    let mut refusal = None;
    for (side, batched) in sizes(options.tile, shared, model.family().largest_tile) {
        let grid = tile_grid(series.grid(), model, options.overlap, options.blend, side, shared)?;
        let batch = if batched { batch(&grid) } else { 1 };
        let compiled = engine.plan(model, input_size(layout, &grid, batch), &[])?;
        let (plan, precisions) = (compiled.memory(), compiled.precisions());
        let budget = budget(options, series, layout, &grid, batch, &plan, demand)?;
        let least = series.least_cache(options.threads);
        match budget.clone().with("decoded blocks", least).check() {
            Ok(_) => return Ok(Fitted { engine, grid, batch, plan, precisions, budget }),
            Err(e) => refusal = Some(e),
        }
    }
    Err(refusal.unwrap_or_else(|| {
        Error::usage(format!("neighbours share {shared} px; give a larger --tile or a smaller --overlap"))
    }))
}

fn input_size(layout: &InputLayout, grid: &TileGrid, batch: usize) -> InputSize {
    InputSize { batch, frames: layout.frames, height: grid.y.tile, width: grid.x.tile }
}

fn budget(
    options: &JobOptions,
    series: &Series,
    layout: &InputLayout,
    grid: &TileGrid,
    batch: usize,
    plan: &Memory,
    demand: &Demand,
) -> Result<Budget> {
    let area = grid.x.tile * grid.y.tile;
    let (frames, bands) = (series.frames().len(), series.bands().len());
    let writers = options.threads.clamp(1, 4);
    let readers = options.threads.min(frames) as u64;
    let (mut compression, mut images) = (0, 0);
    for target in &demand.targets {
        let (thread, fixed, image) = target.memory()?;
        compression += writers as u64 * thread + fixed;
        images += image;
    }
    let sums = match demand.targets.is_empty() {
        true => 0,
        false => Accumulator::block_bytes(BLOCK, demand.bands) as u64,
    };
    Ok(Budget::new(options.memory)
        .with("network weights", plan.params as u64)
        .with("network activations", plan.per_session() as u64)
        .with("tiles in flight", (batch as u64 + 1) * Slot::bytes(layout, area) as u64)
        .with("dates of a tile", Reader::bytes(frames, bands, area) as u64)
        .with("resampling", readers * series.scratch_bytes(grid.x.tile, grid.y.tile) as u64)
        .with("unfinished blocks", (peak_blocks(grid, BLOCK) + writers + 1) as u64 * sums)
        .with("detections", (grid.len() as u64).saturating_mul(demand.kept_per_tile as u64))
        .with("whole image (PNG)", images)
        .with("compression", compression))
}

/// A file beside the output, on its disk.
fn beside(output: &Path, suffix: &str) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(suffix);
    output.with_file_name(name)
}

impl TileNet for Session {
    fn input(&mut self) -> &mut [f32] {
        Session::input(self)
    }

    fn run(&mut self) -> Result<&[f32]> {
        self.compute()?;
        Ok(self.output())
    }
}
