//! Flags that commands on scenes share, by what they are about, and the values they take.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use crate::cli::model::ModelArgs;
use crate::cli::values::{epsg, numbers, ByteSize};
use crate::engine::{DevicePick, LoadedModel, Precision, Setup};
use crate::error::{Error, Result};
use crate::models::Task;
use crate::pipeline::{choose_head, JobOptions, OutputKind, OverlapChoice, ProgressMode};
use crate::raster::cog::Compression;
use crate::raster::crs::Bounds;
use crate::raster::scene::{Extent, MercatorGrid, NodataChoice, OffsetChoice, SeriesOptions, Target, Window};
use crate::raster::warp::Sampling;
use crate::raster::{GeoTransform, Georef, Jp2Decoder, OpenOptions};
use crate::tile::Blend;

/// Scenes and the network that reads them, and what else may come of it.
#[derive(Debug, ClapArgs)]
pub struct ReadingArgs {
    /// Scenes: .SAFE folders or .SAFE.zip files, JP2 or GeoTIFF bands, stacked GeoTIFFs, PNGs, or a folder of
    /// those. Several make a time series.
    #[arg(required = true)]
    pub(super) scenes: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// The head to run, by name or number, where several fit.
    #[arg(long, value_name = "NAME")]
    head: Option<String>,
    /// Dates the network is given for a place (default: as many as it was made for, or as there are).
    #[arg(long, value_name = "N")]
    pub(super) dates: Option<usize>,
    /// Also write a raster of where there was imagery: 1, or 0 without.
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    pub(super) coverage: Option<PathBuf>,
    /// Also draw a small picture of the scenes with the result on them.
    #[arg(long, value_name = "PNG", help_heading = "Result")]
    pub(super) preview: Option<PathBuf>,
}

impl ReadingArgs {
    /// The model with the head that is asked for, or that alone does one of the tasks.
    ///
    /// # Errors
    /// As [`choose_head`] and opening the file.
    pub fn model(&self, tasks: &[Task]) -> Result<LoadedModel> {
        choose_head(self.model.open()?, self.head.as_deref(), tasks)
    }
}

/// What is read, and onto which grid.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
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
    /// How pixels of other grids are resampled (default: as for the images the network was trained on).
    #[arg(long, value_enum)]
    pub(super) resampling: Option<SamplingArg>,
    /// Who decodes JPEG 2000.
    #[arg(long, value_enum, default_value_t = Jp2::Hayro)]
    jp2_decoder: Jp2,
}

/// How the image is cut.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Tiles")]
pub struct TilingArgs {
    /// Side of a tile in input pixels (default: the largest that fits --memory, at most 256, or 512 for Satlas
    /// networks).
    #[arg(long, value_name = "PX")]
    pub(super) tile: Option<usize>,
    /// Pixels shared by neighbours, or `exact`: enough that tiling cannot be seen at all.
    #[arg(long, value_name = "PX|exact", value_parser = overlap)]
    pub(super) overlap: Option<OverlapChoice>,
    /// Draws among equally good dates.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Also write which dates each pixel was made from: one band a network frame, 1 = first date.
    #[arg(long, value_name = "FILE")]
    pub(super) choices: Option<PathBuf>,
}

/// How tiles are joined.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Tiles")]
pub struct SeamArgs {
    /// How shared pixels are joined.
    #[arg(long, value_enum, default_value_t = BlendArg::Cosine)]
    pub(super) blend: BlendArg,
    /// Measure and print how visible tile borders are.
    #[arg(long)]
    pub(super) seam_report: bool,
}

/// How rasters are written.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Result")]
pub struct RasterArgs {
    /// Compression of the GeoTIFF.
    #[arg(long, value_enum, default_value_t = CompressArg::Deflate)]
    pub(super) compress: CompressArg,
    /// Effort of the compression (deflate 1-9, zstd 1-22).
    #[arg(long, value_name = "N")]
    pub(super) compress_level: Option<u32>,
    /// Add an internal mask beside the nodata value.
    #[arg(long)]
    pub(super) mask: bool,
    /// Replace existing results.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Go on from an interrupted run of the same job.
    #[arg(long)]
    pub(super) resume: bool,
    /// End with exit code 0, not 9, where the network gives one value all over a tile though its input varies.
    #[arg(long)]
    pub(super) allow_constant: bool,
}

/// On what it runs.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// Ceiling for the memory of the whole process (mapped input pages not counted), e.g. 512M, 2G.
    #[arg(long, value_name = "SIZE", default_value = "2G")]
    pub(super) memory: ByteSize,
    /// Ceiling for what is taken of a GPU's memory (default: all that is free there).
    #[arg(long, value_name = "SIZE")]
    pub(super) gpu_memory: Option<ByteSize>,
    /// Threads (default: all).
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    pub(super) device: DevicePick,
    /// What factors of products may be rounded to: auto (f32), f32, bf16, int8 (calibrated weights); on CUDA also tf32, f16. What ran is
    /// said at the end.
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    pub(super) precision: Precision,
    /// How progress is shown, on stderr.
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto)]
    pub(super) progress: ProgressArg,
}

/// What is said about it.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Running")]
pub struct TalkArgs {
    /// Print tiles, memory, disk and a time estimate; write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print nothing but errors.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print the memory table, the plan's size and every date.
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Jp2 {
    Hayro,
    Openjpeg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SamplingArg {
    Bilinear,
    Nearest,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ExtentArg {
    Reference,
    Union,
    Intersection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BlendArg {
    Crop,
    Linear,
    Cosine,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TypeArg {
    U8,
    U16,
    F32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CompressArg {
    Deflate,
    Zstd,
    Lzw,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProgressArg {
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

impl RunArgs {
    /// The ceiling in bytes.
    pub fn memory(&self) -> u64 {
        self.memory.0
    }

    /// The ceiling of a GPU's memory in bytes.
    pub fn gpu_memory(&self) -> Option<u64> {
        self.gpu_memory.map(|size| size.0)
    }

    /// Threads asked for, or all.
    pub fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
        self.threads.unwrap_or_else(all).max(1)
    }

    /// Where the network runs, and how.
    pub fn setup(&self) -> Setup {
        let threads = self.threads.unwrap_or(0);
        Setup { device: self.device, threads, precision: self.precision, ..Setup::default() }
    }

    /// How progress is shown.
    pub fn progress(&self) -> ProgressMode {
        self.progress.into()
    }
}

/// What all jobs on scenes are told. Objects are not joined, so a job that finds some has no seams.
///
/// # Errors
/// `Usage` for flags that do not go together.
pub fn job_options(
    scenes: &[PathBuf],
    input: &InputArgs,
    tiling: &TilingArgs,
    seams: Option<&SeamArgs>,
    run: &RunArgs,
) -> Result<JobOptions> {
    Ok(JobOptions {
        series: input.series()?,
        sampling: input.resampling.map(Sampling::from),
        tile: tiling.tile,
        overlap: tiling.overlap.unwrap_or(OverlapChoice::Family),
        blend: seams.map_or(Blend::Crop, |seams| seams.blend.into()),
        seed: tiling.seed,
        gpu_memory: run.gpu_memory(),
        device: run.setup().device,
        precision: run.setup().precision,
        seams: seams.is_some_and(|seams| seams.seam_report),
        choices: tiling.choices.clone(),
        ..JobOptions::new(scenes.to_vec(), run.memory(), run.threads())
    })
}

impl InputArgs {
    /// The same as scenes are opened with.
    ///
    /// # Errors
    /// `Usage` for flags that do not go together.
    pub fn series(&self) -> Result<SeriesOptions> {
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
    SamplingArg => Sampling { Bilinear, Nearest }
    ExtentArg => Extent { Reference, Union, Intersection }
    BlendArg => Blend { Crop, Linear, Cosine }
    TypeArg => OutputKind { U8, U16, F32 }
    CompressArg => Compression { Deflate, Zstd, Lzw, None }
    ProgressArg => ProgressMode { Auto, Bar, Json, None }
}
