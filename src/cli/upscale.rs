//! `swath upscale`: flags of the main job, and what it prints.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::values::{epsg, key_value, numbers, ByteSize};
use crate::error::{Error, Result};

/// Sharpens a Sentinel-2 time series into a georeferenced Cloud-Optimized GeoTIFF (or a PNG).
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Scenes: .SAFE folders or .SAFE.zip files, JP2 or GeoTIFF bands, stacked GeoTIFFs, PNGs, or a folder of
    /// those. Several make a time series.
    #[arg(required_unless_present = "chips")]
    scenes: Vec<PathBuf>,
    /// Weights (.pth or .safetensors); `demo` means the small ones built into the program.
    #[arg(short, long, value_name = "FILE")]
    model: PathBuf,
    /// Result: .tif for a GeoTIFF, .png for small images; a folder with --chips.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The reference programs' .yml options, for what tensors cannot tell.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Overrides one option, e.g. --set scale=2. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Which set of weights in the file: params_ema, params, ...
    #[arg(long, value_name = "KEY")]
    param_key: Option<String>,

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
    #[arg(long, value_name = "PX|exact")]
    overlap: Option<OverlapArg>,
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
struct RunArgs {
    /// Ceiling for the memory of the whole process (mapped input pages not counted), e.g. 512M, 2G.
    #[arg(long, value_name = "SIZE", default_value = "2G")]
    memory: ByteSize,
    /// Threads (default: all).
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
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

#[derive(Debug, Clone, Copy)]
enum OverlapArg {
    Exact,
    Pixels(usize),
}

impl std::str::FromStr for OverlapArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "exact" => Ok(Self::Exact),
            _ => text.parse().map(Self::Pixels).map_err(|_| {
                Error::usage(format!("an overlap of \"{text}\"; write a number of pixels or exact"))
            }),
        }
    }
}
