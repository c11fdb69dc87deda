//! `swath regress`: numbers of pixels.

use clap::Args as ClapArgs;

use super::flags::TypeArg;
use super::interrupt::stop_flag;
use super::map::MapArgs;
use crate::error::Result;
use crate::models::Task;
use crate::pipeline::{regress, RegressOptions};

const EXAMPLES: &str = "\
Examples:
  swath regress S2A_*.SAFE -m tree_cover.pth --set tasks=tree_cover -o trees.tif
  swath regress scenes -m sentinel2_swinb_si_rgb.pth --head dem -o dem.tif

Exit codes: 0 done, 2 usage, 3 input file, 4 limit or --memory, 5 weights,
6 device, 7 input/output, 8 disk full, 9 done but doubtful, 130 interrupted. After
all but 2, 5 and 9 the work done so far can be kept: run again with --resume.";

/// Draws a map of numbers of a time series, such as tree cover: a Cloud-Optimized GeoTIFF of floats, or of whole
/// numbers with their scale.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    map: MapArgs,
    /// Sample type: f32 = the network's own numbers, u8 = the same rounded within 1..255, u16 = in steps of 0.0255.
    #[arg(long, value_enum, default_value_t = TypeArg::F32, help_heading = "Result")]
    r#type: TypeArg,
}

/// Runs the command.
///
/// # Errors
/// What the job says; nothing appears under the results' names unless all went well.
pub fn run(args: &Args) -> Result<()> {
    let stop = stop_flag()?;
    let options = RegressOptions { map: args.map.options()?, kind: args.r#type.into() };
    let model = args.map.model(&[Task::Regress])?;
    let job = regress(&options, &model)?;
    // As the reference draws them: greys up to a byte's largest.
    let one = options.kind.step(255.0) as f32;
    let grey = |value: f32| (value >= 0.0).then(|| [(value * one).clamp(0.0, 255.0) as u8; 3]);
    args.map.run(&job, &grey, &mut || Ok(None), &stop)
}
