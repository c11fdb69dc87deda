//! `swath upscale`: the main job.

mod chips;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::flags::{job_options, InputArgs, RasterArgs, RunArgs, SeamArgs, TalkArgs, TilingArgs, TypeArg};
use super::interrupt::stop_flag;
use super::model::ModelArgs;
use super::print::say;
use super::report::{outline, small_tiles, summary, trusted};
use crate::error::Result;
use crate::pipeline::{upscale, JobOptions, UpscaleOptions};

const EXAMPLES: &str = "\
Examples:
  swath upscale S2A_*.SAFE S2B_*.SAFE -m esrgan_8S2.pth -o sharp.tif
  swath upscale scenes -m demo -o part.tif \\
      --bbox 9.1,48.7,9.3,48.8 --bbox-crs EPSG:4326 --memory 1G
  swath upscale scenes -m esrgan_8S2.pth -o sharp.tif --dry-run
  swath upscale --run-file job.toml --resume

Exit codes: 0 done, 2 usage, 3 input file, 4 limit or --memory, 5 weights,
6 device, 7 input/output, 8 disk full, 9 done but doubtful, 130 interrupted. After
all but 2, 5 and 9 the work done so far can be kept: run again with --resume.";

/// Sharpens a Sentinel-2 time series into a georeferenced Cloud-Optimized GeoTIFF (or a PNG).
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
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
    /// A folder of PNG chips (columns of 32×32 dates) instead of scenes: writes what the reference's infer or,
    /// where files are named ROW_COL.png, its infer_grid writes.
    #[arg(long, value_name = "DIR", conflicts_with = "scenes")]
    chips: Option<PathBuf>,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    tiling: TilingArgs,
    #[command(flatten)]
    seams: SeamArgs,
    /// Sample type: u8 = 255 v, u16 = 10000 v, f32 = the network's own numbers.
    #[arg(long, value_enum, default_value_t = TypeArg::U8, help_heading = "Result")]
    r#type: TypeArg,
    #[command(flatten)]
    raster: RasterArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    talk: TalkArgs,
}

impl Args {
    fn options(&self) -> Result<UpscaleOptions> {
        let job = job_options(&self.scenes, &self.input, &self.tiling, Some(&self.seams), &self.run)?;
        Ok(UpscaleOptions {
            job: JobOptions { resume: self.raster.resume, overwrite: self.raster.overwrite, ..job },
            output: self.output.clone(),
            kind: self.r#type.into(),
            compression: self.raster.compress.into(),
            compression_level: self.raster.compress_level,
            mask: self.raster.mask,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// What the job says; nothing appears under the result's name unless all went well.
pub fn run(args: &Args) -> Result<()> {
    let stop = stop_flag()?;
    if let Some(folder) = &args.chips {
        return chips::run(args, folder);
    }
    let options = args.options()?;
    let _ = rayon::ThreadPoolBuilder::new().num_threads(options.job.threads).build_global();
    let model = args.model.open()?.for_scenes();
    let job = upscale(&options, &model)?;
    small_tiles(&job);
    if args.talk.dry_run || args.talk.verbose {
        say(&outline(&job, args.talk.dry_run)?)?;
    }
    if args.talk.dry_run {
        return Ok(());
    }
    let report = job.run(&mut |_| (), args.run.progress(), &stop)?;
    if !args.talk.quiet {
        say(&summary(&job, &report))?;
    }
    trusted(&report.stream.constant, args.raster.allow_constant)
}
