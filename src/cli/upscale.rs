//! `swath upscale`: the main job.

mod chips;
mod flags;
mod report;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::interrupt::stop_flag;
use super::model::ModelArgs;
use super::print::say;
use crate::error::Result;
use crate::pipeline::{OverlapChoice, Upscale, UpscaleOptions};
pub use flags::RunArgs;
use flags::{InputArgs, ResultArgs, TalkArgs, TilingArgs};
pub use report::summary;

const EXAMPLES: &str = "\
Examples:
  swath upscale S2A_*.SAFE S2B_*.SAFE -m esrgan_8S2.pth -o sharp.tif
  swath upscale scenes -m demo -o part.tif \\
      --bbox 9.1,48.7,9.3,48.8 --bbox-crs EPSG:4326 --memory 1G
  swath upscale scenes -m esrgan_8S2.pth -o sharp.tif --dry-run
  swath upscale --run-file job.toml --resume

Exit codes: 0 done, 2 usage, 3 input file, 4 limit or --memory, 5 weights,
6 device, 7 input/output, 8 disk full, 130 interrupted. After all but 2 and 5
the work done so far can be kept: run again with --resume.";

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
    result: ResultArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    talk: TalkArgs,
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
            device: self.run.device(),
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
    let _ = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global();
    let model = args.model.open()?.for_scenes();
    let job = Upscale::prepare(&options, &model)?;
    if args.talk.dry_run || args.talk.verbose {
        say(&report::outline(&job, &options, args.talk.dry_run)?)?;
    }
    if args.talk.dry_run {
        return Ok(());
    }
    let report = job.run(args.run.progress(), &stop)?;
    if !args.talk.quiet {
        say(&summary(&job, &report))?;
    }
    Ok(())
}
