//! What all jobs on scenes have in common: tiles that fit the memory, the engine, the stream. A command's job adds
//! what becomes of the network's results.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::budget::Budget;
use super::choices::write_choices;
use super::fit::{input_size, load, Fitted, Wanted};
use super::guard::Guard;
use super::input::Input;
use super::preview::Picture;
use super::progress::{Progress, ProgressMode};
use super::stream::{stream, Choice, Layer, StreamReport, StreamSpec, TileNet};
use super::target::{open_sink, Target};
use super::tiling::{OverlapChoice, BLOCK};
use super::TileOutput;
use crate::engine::{DevicePick, Engine, LoadedModel, Memory, Precision, Precisions, Session};
use crate::error::{Error, InFile, Result};
use crate::raster::cog::{CogOptions, CogSpec};
use crate::raster::scene::{Series, SeriesOptions};
use crate::raster::warp::Sampling;
use crate::raster::{BlockSink, FrameSource, ReadStats, SampleType, Summary};
use crate::tensor::DType;
use crate::tile::{Blend, TileGrid};

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
    /// Bytes it may take of a GPU's memory; all that is free where not said.
    pub gpu_memory: Option<u64>,
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
            gpu_memory: None,
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
    /// Runs of the network that were repeated in f32, because rounding left no result.
    pub repeated: usize,
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
    gpu: Option<Budget>,
    note: Option<String>,
    /// Sessions of the network that take turns.
    depth: usize,
    /// The network as it was loaded to see whether the GPU takes it.
    loaded: Mutex<Vec<Session>>,
    working_set: u64,
    cache: u64,
}

impl<'a> Job<'a> {
    /// Chooses tiles that fit the memory and compiles the network. Writes nothing.
    ///
    /// # Errors
    /// `Usage` for overlaps that do not fit the network and for two results of one name; `Limit` when the memory
    /// does not suffice for the smallest tile.
    pub fn fit(
        options: &'a JobOptions,
        model: &'a LoadedModel,
        input: Input,
        demand: Demand,
    ) -> Result<Self> {
        let paths: Vec<&PathBuf> = demand.targets.iter().map(|target| &target.path).collect();
        if let Some(twice) = paths.iter().enumerate().find(|(i, path)| paths[..*i].contains(path)) {
            return Err(Error::usage("two results of this name").in_file(twice.1));
        }
        let Input { mut series, layout, samples } = input;
        let shared = options.overlap.pixels(model)?;
        let wanted =
            Wanted { options, model, series: &series, layout: &layout, samples, demand: &demand, shared };
        let Fitted { engine, grid, batch, plan, precisions, budget, gpu, note, depth, loaded } =
            wanted.fit()?;
        let least = series.least_cache(options.threads);
        let working_set = series.working_set(&grid.strips(), grid.y.tile).saturating_add(least);
        let wish = working_set.saturating_add(series.row_ahead(&grid.strips(), grid.y.tile));
        let cache = wish.min(budget.left());
        series.set_cache_bytes(cache as usize);
        let spec = StreamSpec {
            grid,
            input: layout,
            samples: engine.samples(),
            bands: demand.bands,
            block: BLOCK,
            seed: options.seed,
            batch,
            slots: depth * batch + 1,
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
        let loaded = Mutex::new(loaded);
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
            gpu,
            note,
            depth,
            loaded,
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

    /// What the network is given: numbers, or samples that the device makes numbers of.
    pub fn samples(&self) -> DType {
        self.spec.samples
    }

    /// Where the memory goes.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Where the GPU's memory goes, if the network runs on one.
    pub fn gpu_budget(&self) -> Option<&Budget> {
        self.gpu.as_ref()
    }

    /// Why tiles are smaller than they would be, on a GPU.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
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
        net.input().fill(0);
        net.run()?;
        let started = Instant::now();
        net.run()?;
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
        let repeated = net.repeated();
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
            repeated,
            reads: self.series.stats(),
            summaries,
            elapsed: (streaming, overviews.elapsed()),
            peak_memory: tiles.peak_memory().max(overviews.peak_memory()),
        })
    }

    fn load(&self) -> Result<Guard<'_, Session>> {
        let size = input_size(&self.spec.input, &self.spec.grid, self.spec.batch);
        let loaded = self.loaded.lock().map(|mut loaded| std::mem::take(&mut *loaded)).unwrap_or_default();
        let nets = match loaded.is_empty() {
            true => load(&self.engine, self.model, size, self.depth)?,
            false => loaded,
        };
        Ok(Guard::of(&self.engine, self.model, size, nets, self.options.threads))
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

/// A file beside the output, on its disk.
fn beside(output: &Path, suffix: &str) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(suffix);
    output.with_file_name(name)
}

impl TileNet for Session {
    fn input(&mut self) -> &mut [u8] {
        self.input_bytes()
    }

    fn run(&mut self) -> Result<&[f32]> {
        self.compute()?;
        Ok(self.output())
    }

    fn start(&mut self) -> Result<()> {
        Session::start(self)
    }

    fn finish(&mut self) -> Result<&[f32]> {
        self.wait()?;
        Ok(self.output())
    }
}
