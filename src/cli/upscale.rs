//! `swath upscale`: flags of the main job, and what it prints.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::interrupt::stop_flag;
use super::model::ModelArgs;
use super::print::say;
use super::values::{epsg, human_bytes, numbers, ByteSize};
use crate::engine::{DevicePick, Engine};
use crate::error::{Error, Result};
use crate::models::InputSize;
use crate::pipeline::{
    count_chips, run_chips, ChipJob, OutputKind, OverlapChoice, Progress, ProgressMode, Upscale,
    UpscaleOptions, UpscaleReport, CHIP,
};
use crate::raster::cog::Compression;
use crate::raster::crs::Bounds;
use crate::raster::scene::{Extent, MercatorGrid, NodataChoice, OffsetChoice, SeriesOptions, Target, Window};
use crate::raster::{FrameSource, GeoTransform, Georef, Jp2Decoder, OpenOptions};
use crate::tile::Blend;

/// Sharpens a Sentinel-2 time series into a georeferenced Cloud-Optimized GeoTIFF (or a PNG).
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Scenes: .SAFE folders or .SAFE.zip files, JP2 or GeoTIFF bands, stacked GeoTIFFs, PNGs, or a folder of
    /// those. Several make a time series.
    #[arg(required_unless_present = "chips")]
    scenes: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Result: .tif for a GeoTIFF, .png for small images; a folder with --chips.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    tiling: TilingArgs,
    #[command(flatten)]
    result: ResultArgs,
    #[command(flatten)]
    run: RunArgs,

    /// A folder of PNG chips (columns of 32×32 dates) instead of scenes: writes what the reference's infer or,
    /// where files are named ROW_COL.png, its infer_grid writes.
    #[arg(long, value_name = "DIR", conflicts_with = "scenes")]
    chips: Option<PathBuf>,
}

/// What is read, and onto which grid.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Input")]
struct InputArgs {
    /// Bands in the network's order, e.g. tci,b08 (default: what the weights were trained on).
    #[arg(long, value_delimiter = ',')]
    bands: Vec<String>,
    /// Only this part: west,south,east,north (pixels where a scene has no georeferencing).
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true, value_parser = numbers::<4>)]
    bbox: Option<[f64; 4]>,
    /// Coordinate system of --bbox (default: the scene's).
    #[arg(long, value_name = "EPSG", value_parser = epsg, requires = "bbox")]
    bbox_crs: Option<u32>,
    /// Coordinate system of files that carry none.
    #[arg(long, value_name = "EPSG", value_parser = epsg)]
    crs: Option<u32>,
    /// Geotransform of files that carry none, in GDAL's order: x,dx,0,y,0,-dy.
    #[arg(long, value_name = "X,DX,RX,Y,RY,DY", allow_hyphen_values = true, value_parser = numbers::<6>)]
    transform: Option<[f64; 6]>,
    /// Bring the series to another coordinate system first: 3857 is the reference's Web-Mercator grid.
    #[arg(long, value_name = "EPSG", value_parser = epsg)]
    reproject: Option<u32>,
    /// Pixel size of --reproject in metres (default: the zoom-17 lattice's 9.554628535647032).
    #[arg(long, value_name = "METRES", requires = "reproject")]
    reproject_pixel: Option<f64>,
    /// Area of the result where dates cover different ones: that of the reference date (the grid most dates
    /// share), of any date, or of all.
    #[arg(long, value_enum, default_value_t = ExtentArg::Reference)]
    extent: ExtentArg,
    /// Added to 16-bit numbers (auto: what a product says, -1000 since processing baseline 04.00; loose files
    /// are taken as they are).
    #[arg(long, value_name = "N|auto", default_value = "auto", allow_hyphen_values = true)]
    offset: OffsetChoice,
    /// Stored number that means no data (auto: what files declare, else 0 in Sentinel-2 bands and black in
    /// georeferenced true colour).
    #[arg(long, value_name = "N|none|auto", default_value = "auto", allow_hyphen_values = true)]
    nodata: NodataChoice,
    /// Who decodes JPEG 2000.
    #[arg(long, value_enum, default_value_t = Jp2::Hayro)]
    jp2_decoder: Jp2,
}

/// How the image is cut and joined.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Tiles")]
struct TilingArgs {
    /// Side of a tile in input pixels (default: the largest that fits --memory, at most 256).
    #[arg(long, value_name = "PX")]
    tile: Option<usize>,
    /// Pixels shared by neighbours, or `exact`: enough that tiling cannot be seen at all.
    #[arg(long, value_name = "PX|exact", value_parser = overlap)]
    overlap: Option<OverlapChoice>,
    /// How shared pixels are joined.
    #[arg(long, value_enum, default_value_t = BlendArg::Cosine)]
    blend: BlendArg,
    /// Draws among equally good dates.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write which dates each pixel was made from: one band a network frame, 1 = first date.
    #[arg(long, value_name = "FILE")]
    choices: Option<PathBuf>,
    /// Measure and print how visible tile borders are.
    #[arg(long)]
    seam_report: bool,
}

/// What is written.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Result")]
struct ResultArgs {
    /// Sample type: u8 = 255 v, u16 = 10000 v, f32 = the network's own numbers.
    #[arg(long, value_enum, default_value_t = TypeArg::U8)]
    r#type: TypeArg,
    /// Compression of the GeoTIFF.
    #[arg(long, value_enum, default_value_t = CompressArg::Deflate)]
    compress: CompressArg,
    /// Effort of the compression (deflate 1-9, zstd 1-22).
    #[arg(long, value_name = "N")]
    compress_level: Option<u32>,
    /// Add an internal mask beside the nodata value.
    #[arg(long)]
    mask: bool,
    /// Replace an existing result.
    #[arg(long)]
    overwrite: bool,
    /// Go on from an interrupted run of the same job.
    #[arg(long)]
    resume: bool,
}

/// How it runs.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// Ceiling for the memory of the whole process (mapped input pages not counted), e.g. 512M, 2G.
    #[arg(long, value_name = "SIZE", default_value = "2G")]
    memory: ByteSize,
    /// Threads (default: all).
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: DevicePick,
    /// Print tiles, memory, disk and a time estimate; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// How progress is shown, on stderr.
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto)]
    progress: ProgressArg,
    /// Print nothing but errors.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print the memory table, the plan's size and every date.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Jp2 {
    Hayro,
    Openjpeg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExtentArg {
    Reference,
    Union,
    Intersection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BlendArg {
    Crop,
    Linear,
    Cosine,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TypeArg {
    U8,
    U16,
    F32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CompressArg {
    Deflate,
    Zstd,
    Lzw,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProgressArg {
    Auto,
    Bar,
    Json,
    None,
}

fn overlap(text: &str) -> Result<OverlapChoice> {
    match text {
        "exact" => Ok(OverlapChoice::Exact),
        _ => text.parse().map(OverlapChoice::Pixels).map_err(|_| {
            Error::usage(format!("an overlap of \"{text}\"; write a number of pixels or exact"))
        }),
    }
}

impl Args {
    fn options(&self) -> Result<UpscaleOptions> {
        Ok(UpscaleOptions {
            series: self.input.series()?,
            tile: self.tiling.tile,
            overlap: self.tiling.overlap.unwrap_or(OverlapChoice::Family),
            blend: self.tiling.blend.into(),
            seed: self.tiling.seed,
            kind: self.result.r#type.into(),
            compression: self.result.compress.into(),
            compression_level: self.result.compress_level,
            mask: self.result.mask,
            device: self.run.device,
            resume: self.result.resume,
            overwrite: self.result.overwrite,
            seams: self.tiling.seam_report,
            choices: self.tiling.choices.clone(),
            ..UpscaleOptions::new(
                self.scenes.clone(),
                self.output.clone(),
                self.run.memory(),
                self.run.threads(),
            )
        })
    }
}

impl RunArgs {
    /// The ceiling in bytes.
    pub fn memory(&self) -> u64 {
        self.memory.0
    }

    /// Threads asked for, or all.
    pub fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
        self.threads.unwrap_or_else(all).max(1)
    }

    /// How progress is shown.
    pub fn progress(&self) -> ProgressMode {
        self.progress.into()
    }
}

impl InputArgs {
    fn series(&self) -> Result<SeriesOptions> {
        let georef = match (self.crs, self.transform) {
            (Some(epsg), Some(t)) => Some(Georef { epsg, transform: GeoTransform(t) }),
            (None, None) => None,
            _ => return Err(Error::usage("--crs and --transform go together")),
        };
        let target = match (self.reproject, self.reproject_pixel) {
            (None, _) => Target::Reference,
            (Some(3857), None) => Target::Mercator(MercatorGrid::Z17Lattice),
            (Some(3857), Some(pixel)) => Target::Mercator(MercatorGrid::Bounds { pixel }),
            (Some(other), _) => {
                return Err(Error::usage(format!("--reproject EPSG:{other}; only 3857 is possible")))
            }
        };
        let window = self.bbox.map(|[west, south, east, north]| Window {
            bounds: Bounds { west, south, east, north },
            epsg: self.bbox_crs,
        });
        let jp2_decoder = match self.jp2_decoder {
            Jp2::Hayro => Jp2Decoder::Hayro,
            Jp2::Openjpeg => Jp2Decoder::OpenJpeg,
        };
        let open = OpenOptions { jp2_decoder, ..OpenOptions::default() };
        Ok(SeriesOptions {
            bands: self.bands.clone(),
            georef,
            target,
            extent: self.extent.into(),
            window,
            offset: self.offset,
            nodata: self.nodata,
            open,
            ..Default::default()
        })
    }
}

macro_rules! same_names {
    ($($from:ident => $to:ident { $($name:ident),* })*) => {
        $(impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value {
                    $($from::$name => Self::$name),*
                }
            }
        })*
    };
}

same_names! {
    ExtentArg => Extent { Reference, Union, Intersection }
    BlendArg => Blend { Crop, Linear, Cosine }
    TypeArg => OutputKind { U8, U16, F32 }
    CompressArg => Compression { Deflate, Zstd, Lzw, None }
    ProgressArg => ProgressMode { Auto, Bar, Json, None }
}

/// Runs the command.
///
/// # Errors
/// What the job says; nothing appears under the result's name unless all went well.
pub fn run(args: &Args) -> Result<()> {
    let stop = stop_flag()?;
    if let Some(folder) = &args.chips {
        return run_folder(args, folder);
    }
    let options = args.options()?;
    let _ = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global();
    let model = args.model.open()?.for_scenes();
    let job = Upscale::prepare(&options, &model)?;
    if args.run.dry_run || args.run.verbose {
        say(&outline(&job, &options, args.run.dry_run)?)?;
    }
    if args.run.dry_run {
        return Ok(());
    }
    let report = job.run(args.run.progress(), &stop)?;
    if !args.run.quiet {
        say(&summary(&job, &report))?;
    }
    Ok(())
}

/// `--chips`: PNG chips in, PNG chips out.
fn run_folder(args: &Args, folder: &Path) -> Result<()> {
    /// Chips the network takes at once.
    const BATCH: usize = 8;
    let model = args.model.open()?;
    let (input, output) = (model.network().input(), model.network().output());
    if (input.channels, output.channels) != (3, 3) {
        return Err(Error::usage(format!(
            "chips are RGB; this network takes {} channels a date and gives {}",
            input.channels, output.channels
        )));
    }
    let chips = count_chips(folder)?;
    let size = InputSize { batch: BATCH.min(chips), frames: input.default_frames, height: CHIP, width: CHIP };
    let engine = Engine::new(args.run.device, args.run.threads.unwrap_or(0))?;
    let mut net = engine.compile(&model, size, &[], Some(args.run.memory()))?;
    let side = net.output_shape().last().copied().unwrap_or(CHIP);
    let progress = Progress::new(args.run.progress(), "chips", chips as u64);
    let job = ChipJob { input: folder, output: &args.output, frames: size.frames, side, batch: size.batch };
    let report = run_chips(&job, &mut net, &progress)?;
    progress.finish();
    if !args.run.quiet {
        report.notes.iter().for_each(|note| eprintln!("swath: {note}"));
        let folder = args.output.display();
        say(&format!("{} chips, {} stitched grids in {folder}", report.chips, report.grids))?;
    }
    Ok(())
}

/// What the job will do, for `--dry-run` and `--verbose`.
fn outline(job: &Upscale, options: &UpscaleOptions, timed: bool) -> Result<String> {
    use std::fmt::Write;
    let (grid, series) = (job.grid(), job.series());
    let size = series.grid();
    let place = match &size.georef {
        Some(georef) => format!("EPSG:{}", georef.epsg),
        None => "not georeferenced".to_string(),
    };
    let estimate = job.cog().estimate()?;
    let (working_set, cache) = job.working_set();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ =
        writeln!(out, "series   {} dates, {}x{} px, {place}", series.frames().len(), size.width, size.height);
    for frame in series.frames() {
        let _ = writeln!(out, "  {}  {}", frame.label, frame.notes.join("; "));
    }
    let _ = writeln!(
        out,
        "tiles    {} of {}x{} px, {} shared by neighbours, {:.2} times the pixels are computed",
        grid.len(),
        grid.x.tile,
        grid.y.tile,
        grid.spec().overlap,
        grid.redundancy()
    );
    let _ = writeln!(out, "memory\n{}", job.budget());
    let _ = writeln!(
        out,
        "reading  {} of blocks let each be decoded once; {} are there{}",
        human_bytes(working_set),
        human_bytes(cache),
        if cache < working_set { ": some will be decoded again" } else { "" }
    );
    let _ = writeln!(
        out,
        "result   {}x{} px, {} levels, at most {}; disk at most {}",
        job.cog().width,
        job.cog().height,
        estimate.levels,
        human_bytes(estimate.file_at_most),
        human_bytes(estimate.disk_at_most)
    );
    if timed {
        let tile = job.time_one_tile()?;
        let all = tile.as_secs_f64() * grid.len() as f64;
        let _ = writeln!(
            out,
            "time     {:.3} s a tile on {} threads, about {} in all",
            tile.as_secs_f64(),
            options.threads,
            human_time(all)
        );
    }
    Ok(out)
}

/// What the job did, a line or a few.
pub fn summary(job: &Upscale, report: &UpscaleReport) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let seconds = report.elapsed.0.as_secs_f64() + report.elapsed.1.as_secs_f64();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}x{} px, {}, in {} ({} tiles, {} without data; {} blocks decoded, {} again; peak memory {})",
        job.cog().width,
        job.cog().height,
        human_bytes(report.summary.bytes),
        human_time(seconds),
        report.stream.tiles,
        report.stream.skipped,
        report.reads.decoded,
        report.reads.repeated,
        human_bytes(report.peak_memory)
    );
    if job.series().grid().georef.is_none() {
        let _ = writeln!(
            out,
            "the input has no coordinates, so the result has none; --crs and --transform supply them"
        );
    }
    if let Some(seams) = report.stream.seams.figures() {
        let _ = writeln!(
            out,
            "seams: neighbours differ by {:.6} across tile borders, {:.6} beside them: ratio {:.3} ± {:.3}",
            seams.border, seams.beside, seams.ratio, seams.error
        );
    }
    out
}

fn human_time(seconds: f64) -> String {
    match seconds as u64 {
        0..60 => format!("{seconds:.1} s"),
        s @ 60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        s => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}
