//! The main job: a time series and a network to a sharper, georeferenced raster.
//!
//! [`Upscale::prepare`] decides everything (bands, tiles, memory, the file's layout) without writing;
//! [`Upscale::run`] does it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::budget::{peak_blocks, Budget};
use super::choices::write_choices;
use super::frames::InputLayout;
use super::progress::{Progress, ProgressMode};
use super::quantize::OutputKind;
use super::reader::{Reader, Slot};
use super::stream::{stream, Choice, StreamReport, StreamSpec, TileNet};
use super::tiling::{batch, sizes, tile_grid, OverlapChoice, BLOCK};
use super::Accumulator;
use crate::engine::{DevicePick, Engine, LoadedModel, Memory, Session};
use crate::error::{Error, InFile, Result};
use crate::models::{Band, InputSize};
use crate::raster::cog::{CogOptions, CogSpec, CogWriter, Compression};
use crate::raster::scene::{Series, SeriesOptions};
use crate::raster::{BlockSink, FrameSource, Georef, PngWriter, ReadStats, SampleType, Summary};
use crate::tile::{Blend, TileGrid};

/// Pixels computed over pixels wanted from which smaller weights and larger tiles are looked at:
/// about what pointwise kernels, whose weights are a quarter, take longer.
const DEAR: f64 = 2.0;
/// Reflectance above which all of red, green and blue are taken for cloud: ESA's true-colour image saturates at
/// 0.3558, its 8-bit numbers are linear below.
const BRIGHT: f32 = 0.85;

/// What to do. Plain data; see the command line's help for the meaning of each.
#[derive(Debug, Clone)]
pub struct UpscaleOptions {
    /// Scenes, each a date or a folder of them.
    pub scenes: Vec<PathBuf>,
    /// The result: `.tif` or `.png`.
    pub output: PathBuf,
    /// Bands, grid, window, decoder. `bands` empty: what the network was trained on.
    pub series: SeriesOptions,
    /// Side of a tile in input pixels.
    pub tile: Option<usize>,
    /// Pixels shared by neighbours.
    pub overlap: OverlapChoice,
    /// How they are joined.
    pub blend: Blend,
    /// Draws among equally good dates.
    pub seed: u64,
    /// Sample type of the result.
    pub kind: OutputKind,
    /// Codec of the GeoTIFF.
    pub compression: Compression,
    /// Its effort.
    pub compression_level: Option<u32>,
    /// Whether the GeoTIFF gets a mask beside its nodata value.
    pub mask: bool,
    /// Bytes the whole process may take.
    pub memory: u64,
    /// Threads.
    pub threads: usize,
    /// Where the network runs.
    pub device: DevicePick,
    /// Go on from an interrupted run.
    pub resume: bool,
    /// Replace an existing result.
    pub overwrite: bool,
    /// Measure the visibility of tile borders.
    pub seams: bool,
    /// Also write which dates were used.
    pub choices: Option<PathBuf>,
}

impl UpscaleOptions {
    /// The usual choices for these scenes, this result, memory (bytes) and number of threads.
    pub fn new(scenes: Vec<PathBuf>, output: PathBuf, memory: u64, threads: usize) -> Self {
        Self {
            scenes,
            output,
            series: SeriesOptions { bands: Vec::new(), ..SeriesOptions::default() },
            tile: None,
            overlap: OverlapChoice::Family,
            blend: Blend::Cosine,
            seed: 0,
            kind: OutputKind::U8,
            compression: Compression::Deflate,
            compression_level: None,
            mask: false,
            memory,
            threads,
            device: DevicePick::Auto,
            resume: false,
            overwrite: false,
            seams: false,
            choices: None,
        }
    }
}

/// A job with everything decided.
pub struct Upscale<'a> {
    options: &'a UpscaleOptions,
    model: &'a LoadedModel,
    series: Series,
    engine: Engine,
    plan: Memory,
    spec: StreamSpec,
    cog: CogSpec,
    budget: Budget,
    working_set: u64,
    cache: u64,
}

/// What a job did.
pub struct UpscaleReport {
    /// The stream's figures.
    pub stream: StreamReport,
    /// What reading cost.
    pub reads: ReadStats,
    /// The file.
    pub summary: Summary,
    /// Wall time of the stream, and of completing the file.
    pub elapsed: (Duration, Duration),
    /// Largest anonymous memory seen, bytes.
    pub peak_memory: u64,
}

impl<'a> Upscale<'a> {
    /// Opens the series, chooses tiles that fit the memory, compiles the network. Writes nothing.
    ///
    /// # Errors
    /// What opening says; `Usage` for bands, overlaps or outputs that do not fit the network; `Limit` when the
    /// memory does not suffice for the smallest tile.
    pub fn prepare(options: &'a UpscaleOptions, model: &'a LoadedModel) -> Result<Self> {
        if model.network().output().channels == 0 {
            return Err(Error::usage(format!(
                "{} holds a {} network, which gives no image to write; swath forward runs it",
                model.weights().path().display(),
                model.family().id
            )));
        }
        let bands = input_bands(options, model)?;
        let mut wanted = options.series.clone();
        wanted.bands = bands.iter().map(|b| b.name.clone()).collect();
        let mut series = Series::open(&options.scenes, wanted)?;
        let shared = options.overlap.pixels(model)?;
        let layout = input_layout(model, &bands, series.sample())?;
        let mut cog = cog_spec(options, &series, model);
        cog.metadata = provenance(options, &series, model, shared)?;

        let fitted = |engine: Engine| fitted(options, model, &series, &layout, &cog, shared, engine);
        let pointwise = || fitted(Engine::pointwise(options.device, options.threads)?);
        let Fitted { engine, grid, batch, plan, budget } = match options.overlap {
            OverlapChoice::Exact => pointwise()?,
            _ => match fitted(Engine::new(options.device, options.threads)?) {
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
            bands: model.network().output().channels,
            kind: options.kind,
            block: BLOCK,
            seed: options.seed,
            batch,
            slots: batch + 1,
            threads: options.threads,
            scratch: beside(&options.output, "swath-scratch"),
            seams: options.seams,
        };
        let budget = budget.with("decoded blocks", cache);
        Ok(Self { options, model, series, engine, plan, spec, cog, budget, working_set, cache })
    }

    /// The time series.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The tiles.
    pub fn grid(&self) -> &TileGrid {
        &self.spec.grid
    }

    /// Where the memory goes.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The file to be written.
    pub fn cog(&self) -> &CogSpec {
        &self.cog
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

    /// Does the job. `stop` ends it early with `Interrupted`; `--resume` goes on from there.
    ///
    /// # Errors
    /// The first error of reading, computing or writing.
    pub fn run(&self, progress: ProgressMode, stop: &AtomicBool) -> Result<UpscaleReport> {
        let sink = self.sink()?;
        let mut net = self.load()?;
        let tiles = Progress::new(progress, "tiles", self.spec.grid.len() as u64);
        let streamed = stream(&self.series, &mut net, sink.as_ref(), &self.spec, &tiles, stop);
        tiles.finish();
        drop(net);
        let streaming = tiles.elapsed();
        let mut report = streamed?;
        if let Some(path) = &self.options.choices {
            self.write_choices(path, std::mem::take(&mut report.choices))?;
        }
        let overviews = Progress::new(progress, "overviews", 0);
        let summary = sink.finish(&|done, total| {
            overviews.set(done, total);
            match stop.load(std::sync::atomic::Ordering::SeqCst) {
                true => Err(Error::interrupted("stopped; run again with --resume to go on from here")),
                false => Ok(()),
            }
        })?;
        overviews.finish();
        Ok(UpscaleReport {
            stream: report,
            reads: self.series.stats(),
            summary,
            elapsed: (streaming, overviews.elapsed()),
            peak_memory: tiles.peak_memory().max(overviews.peak_memory()),
        })
    }

    fn load(&self) -> Result<Session> {
        self.engine.compile(
            self.model,
            input_size(&self.spec.input, &self.spec.grid, self.spec.batch),
            &[],
            None,
        )
    }

    fn sink(&self) -> Result<Box<dyn BlockSink>> {
        let options = CogOptions {
            resume: self.options.resume,
            overwrite: self.options.overwrite,
            fingerprint: self.fingerprint()?,
        };
        open_sink(&self.options.output, self.cog.clone(), options)
    }

    fn write_choices(&self, path: &Path, known: Vec<Choice>) -> Result<()> {
        let grid = self.series.grid();
        let bands = (1..=self.spec.input.frames).map(|i| format!("frame {i}")).collect();
        let mut cog = CogSpec::new(grid.width, grid.height, bands, SampleType::U16);
        cog.georef = grid.georef.clone();
        cog.nodata = Some(0.0);
        let dates = self.series.frames().iter().enumerate();
        cog.metadata = dates.map(|(i, f)| (format!("SWATH_DATE_{}", i + 1), f.label.clone())).collect();
        let options =
            CogOptions { overwrite: self.options.overwrite || self.options.resume, ..Default::default() };
        let sink = open_sink(path, cog, options)?;
        write_choices(&self.series, &self.spec, known, sink.as_ref())?;
        sink.finish(&|_, _| Ok(())).map(|_| ())
    }

    /// Hash of all that the pixels depend on.
    fn fingerprint(&self) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        for (key, value) in &self.cog.metadata {
            add(key);
            add(value);
        }
        add(&format!("{:?} {:?} {}", self.spec.grid.spec(), self.spec.input, self.spec.seed));
        add(if self.engine.is_pointwise() { "pointwise" } else { "" });
        for file in self.series.frames().iter().flat_map(|f| &f.files) {
            let about = std::fs::metadata(file).map_err(|e| Error::io("cannot look at", e)).in_file(file)?;
            add(&format!("{} {} {:?}", file.display(), about.len(), about.modified().ok()));
        }
        Ok(hash.finalize().into())
    }
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

fn open_sink(path: &Path, spec: CogSpec, options: CogOptions) -> Result<Box<dyn BlockSink>> {
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("tif" | "tiff") => Ok(Box::new(CogWriter::create(path, spec, options)?)),
        Some("png") => Ok(Box::new(PngWriter::create(path, spec, options.overwrite)?)),
        _ => Err(Error::usage("the result's name should end in .tif or .png").in_file(path)),
    }
}

/// An engine, and tiles with which it keeps to the memory.
struct Fitted {
    engine: Engine,
    grid: TileGrid,
    batch: usize,
    plan: Memory,
    budget: Budget,
}

/// The largest tiles with which an engine keeps to the memory.
///
/// # Errors
/// `Limit` when even the smallest do not fit, `Usage` when neighbours share all of a tile.
fn fitted(
    options: &UpscaleOptions,
    model: &LoadedModel,
    series: &Series,
    layout: &InputLayout,
    cog: &CogSpec,
    shared: usize,
    engine: Engine,
) -> Result<Fitted> {
    let mut refusal = None;
    for (side, batched) in sizes(options.tile, shared) {
        let grid = tile_grid(series.grid(), model, options.overlap, options.blend, side, shared)?;
        let batch = if batched { batch(&grid) } else { 1 };
        let plan = engine.plan(model, input_size(layout, &grid, batch), &[])?.memory();
        let budget = budget(options, series, layout, &grid, batch, &plan, cog)?;
        let least = series.least_cache(options.threads);
        match budget.clone().with("decoded blocks", least).check() {
            Ok(_) => return Ok(Fitted { engine, grid, batch, plan, budget }),
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

/// The bands asked for, or those the network was trained on; their channels must be the network's.
fn input_bands(options: &UpscaleOptions, model: &LoadedModel) -> Result<Vec<Band>> {
    let input = model.network().input();
    let bands = match options.series.bands.is_empty() {
        true => input.bands.clone(),
        false => Band::ordered(&options.series.bands),
    };
    let channels: usize = bands.iter().map(|b| b.channels).sum();
    if channels == input.channels {
        return Ok(bands);
    }
    let names: Vec<&str> = bands.iter().map(|b| b.name.as_str()).collect();
    Err(Error::usage(format!(
        "the network takes {} channels a date; {} give {channels}; name its bands by --bands, e.g. tci,b08",
        input.channels,
        if names.is_empty() { "no bands".to_string() } else { names.join(",") }
    )))
}

/// How the files' numbers become the network's.
fn input_layout(model: &LoadedModel, bands: &[Band], sample: SampleType) -> Result<InputLayout> {
    let input = model.network().input();
    let per_band = |b: &Band| {
        let most = if b.scaling.clip { 1.0 } else { f32::INFINITY };
        std::iter::repeat_n((1.0 / b.scaling.divisor, most), b.channels)
    };
    let first = bands.first().ok_or_else(|| Error::usage("no bands"))?;
    let wide = sample.size() > 1 && first.name == "tci";
    if wide {
        return Err(Error::unsupported(format!(
            "true colour of {sample:?} samples; the networks take the 8-bit true-colour image (TCI)"
        )));
    }
    Ok(InputLayout {
        frames: input.default_frames,
        bands: bands.iter().flat_map(per_band).collect(),
        bright: BRIGHT * first.scaling.divisor,
    })
}

fn cog_spec(options: &UpscaleOptions, series: &Series, model: &LoadedModel) -> CogSpec {
    let output = model.network().output();
    let grid = series.grid();
    let bands = match output.channels {
        3 => ["red", "green", "blue"].map(String::from).to_vec(),
        n => (1..=n).map(|i| format!("band {i}")).collect(),
    };
    let (width, height) = (grid.width * output.scale, grid.height * output.scale);
    let mut cog = CogSpec::new(width, height, bands, options.kind.sample());
    cog.georef = grid
        .georef
        .as_ref()
        .map(|g| Georef { epsg: g.epsg, transform: g.transform.refine(output.scale as f64) });
    cog.nodata = Some(options.kind.nodata());
    cog.mask = options.mask;
    cog.compression = options.compression;
    cog.level = options.compression_level;
    cog.tile = BLOCK;
    cog
}

/// What the result says of its origin.
fn provenance(
    options: &UpscaleOptions,
    series: &Series,
    model: &LoadedModel,
    shared: usize,
) -> Result<Vec<(String, String)>> {
    let name = model.weights().path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let config: Vec<String> = model
        .network()
        .config()
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let mut items = vec![
        ("SOFTWARE", format!("swath {}", env!("CARGO_PKG_VERSION"))),
        ("MODEL", format!("{name} ({})", model.family().title)),
        ("MODEL_SHA256", model.sha256()?.to_string()),
        ("MODEL_OPTIONS", config.join(" ")),
        ("TILES", format!("overlap {shared} px, {:?}, seed {}", options.blend, options.seed).to_lowercase()),
        ("VALUES", options.kind.meaning().to_string()),
    ];
    if series.grid().georef.is_none() {
        items.push(("GEOREFERENCING", "none: the input has no coordinates".to_string()));
    }
    let mut items: Vec<(String, String)> =
        items.into_iter().map(|(k, v)| (format!("SWATH_{k}"), v)).collect();
    for (i, frame) in series.frames().iter().enumerate() {
        let notes: String = frame.notes.iter().map(|n| format!("; {n}")).collect();
        items.push((format!("SWATH_DATE_{}", i + 1), format!("{}{notes}", frame.label)));
    }
    Ok(items)
}

fn budget(
    options: &UpscaleOptions,
    series: &Series,
    layout: &InputLayout,
    grid: &TileGrid,
    batch: usize,
    plan: &Memory,
    cog: &CogSpec,
) -> Result<Budget> {
    let area = grid.x.tile * grid.y.tile;
    let (frames, bands) = (series.frames().len(), series.bands().len());
    let writers = options.threads.clamp(1, 4);
    let estimate = cog.estimate()?;
    let block = (BLOCK * BLOCK * cog.bands.len() * cog.sample.size() + BLOCK * BLOCK) as u64;
    let sums = Accumulator::block_bytes(BLOCK, cog.bands.len()) as u64;
    let readers = options.threads.min(frames) as u64;
    let image = if is_png(&options.output) { estimate.raw_bytes } else { 0 };
    Ok(Budget::new(options.memory)
        .with("network weights", plan.params as u64)
        .with("network activations", plan.per_session() as u64)
        .with("tiles in flight", (batch as u64 + 1) * Slot::bytes(layout, area) as u64)
        .with("dates of a tile", Reader::bytes(frames, bands, area) as u64)
        .with("resampling", readers * series.scratch_bytes(grid.x.tile, grid.y.tile) as u64)
        .with("unfinished blocks", (peak_blocks(grid, BLOCK) + writers + 1) as u64 * sums)
        .with("whole image (PNG)", image)
        .with("compression", writers as u64 * (block + estimate.thread_bytes) + estimate.fixed_bytes))
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
