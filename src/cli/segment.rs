//! `swath segment`: classes of pixels.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::flags::TypeArg;
use super::interrupt::stop_flag;
use super::map::MapArgs;
use super::values::share;
use crate::error::Result;
use crate::models::Task;
use crate::pipeline::{segment, PolygonOptions, Polygons, SegmentOptions};

const EXAMPLES: &str = "\
Examples:
  swath segment S2A_*.SAFE S2B_*.SAFE -m solar_farm.pth -o solar.tif \\
      --threshold 0.7 --polygons solar.geojson --probabilities solar_p.tif
  swath segment scenes -m sentinel2_swinb_si_rgb.pth --head land_cover \\
      -o cover.tif --coverage seen.tif

Exit codes: 0 done, 2 usage, 3 input file, 4 limit or --memory, 5 weights,
6 device, 7 input/output, 8 disk full, 9 done but doubtful, 130 interrupted. After
all but 2, 5 and 9 the work done so far can be kept: run again with --resume.";

/// Draws a map of classes of a time series: a Cloud-Optimized GeoTIFF of 0 for no data, then class + 1, with colours
/// and names.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    map: MapArgs,
    /// Probability above which a class counts, for all or one for each (default: 0.5 where several classes may be true
    /// of a pixel; else the most probable one counts).
    #[arg(long, value_name = "0..1", value_delimiter = ',', value_parser = share, help_heading = "Result")]
    threshold: Vec<f32>,
    /// Also write the probabilities, a band for each class.
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    probabilities: Option<PathBuf>,
    /// Also write areas of one class as polygons, the background left out; formats as those of swath detect.
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    polygons: Option<PathBuf>,
    /// Leave out polygons of fewer pixels.
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Result", requires = "polygons")]
    min_pixels: u64,
    /// How far outlines may move to become simpler, in pixels.
    #[arg(long, value_name = "PX", default_value_t = 1.0, help_heading = "Result", requires = "polygons")]
    simplify: f64,
    /// Sample type of the probabilities: u8 = 255 p, u16 = 10000 p, f32 = p.
    #[arg(long, value_enum, default_value_t = TypeArg::U8, help_heading = "Result")]
    r#type: TypeArg,
}

/// Runs the command.
///
/// # Errors
/// What the job says; nothing appears under the results' names unless all went well.
pub fn run(args: &Args) -> Result<()> {
    let stop = stop_flag()?;
    let options = SegmentOptions {
        map: args.map.options()?,
        thresholds: args.threshold.clone(),
        probabilities: args.probabilities.clone(),
        kind: args.r#type.into(),
    };
    let model = args.map.model(&[Task::Segment, Task::BinSegment])?;
    let (job, legend) = segment(&options, &model)?;
    let areas = args.polygons.as_ref().filter(|_| !args.map.dry_run()).map(|path| PolygonOptions {
        path: path.clone(),
        min_pixels: args.min_pixels,
        tolerance: args.simplify,
    });
    let mut polygons = areas.as_ref().map(|areas| Polygons::create(&job, &legend, areas)).transpose()?;
    let palette = legend.palette();
    let colour = |class: f32| palette.get(class as usize).copied().filter(|colour| *colour != [0; 3]);
    let mut after = || match polygons.take() {
        Some(polygons) => Ok(Some(format!("{} polygons", polygons.fill(args.map.output())?))),
        None => Ok(None),
    };
    args.map.run(&job, &colour, &mut after, &stop)
}
