//! `swath detect`: objects in scenes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::flags::{job_options, InputArgs, ReadingArgs, RunArgs, TalkArgs, TilingArgs};
use super::interrupt::stop_flag;
use super::print::say;
use super::report::{few_dates, outline, small_tiles, summary};
use super::values::share;
use crate::error::Result;
use crate::models::Task;
use crate::pipeline::{Detect, DetectOptions, DetectReport, JobOptions, Shape};

const EXAMPLES: &str = "\
Examples:
  swath detect S2A_*.SAFE S2B_*.SAFE -m wind_turbine.pth -o turbines.geojson
  swath detect scenes -m marine.pth -o sea.geojson --min-score 0.7 \\
      --coverage seen.tif
  swath detect scenes -m sentinel2_swinb_si_rgb.pth --head point \\
      -o points.geojson --category wind_turbine

Exit codes: 0 done, 2 usage, 3 input file, 4 limit or --memory, 5 weights,
6 device, 7 input/output, 8 disk full, 130 interrupted.";

/// Finds objects in a time series: points or boxes with category, score, dates, source and model.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    reading: ReadingArgs,
    /// Result, its format by extension: .geojson, .ndjson, .fgb.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Leave out what scores less.
    #[arg(long, value_name = "0..1", default_value = "0.5", value_parser = share, help_heading = "Result")]
    min_score: f32,
    /// Only this category. May be repeated.
    #[arg(long, value_name = "NAME", help_heading = "Result")]
    category: Vec<String>,
    /// How objects are drawn; outlines are for networks that give masks.
    #[arg(long, value_enum, default_value_t = ShapeArg::Point, help_heading = "Result")]
    geometry: ShapeArg,
    /// Replace existing results.
    #[arg(long, help_heading = "Result")]
    overwrite: bool,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    tiling: TilingArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    talk: TalkArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShapeArg {
    Point,
    Box,
    Outline,
}

impl Args {
    fn options(&self) -> Result<DetectOptions> {
        let job = job_options(&self.reading.scenes, &self.input, &self.tiling, None, &self.run)?;
        Ok(DetectOptions {
            job: JobOptions { overwrite: self.overwrite, ..job },
            output: self.output.clone(),
            dates: self.reading.dates,
            min_score: self.min_score,
            categories: self.category.clone(),
            shape: match self.geometry {
                ShapeArg::Point => Shape::Point,
                ShapeArg::Box => Shape::Box,
                ShapeArg::Outline => Shape::Outline,
            },
            coverage: self.reading.coverage.clone(),
            preview: self.reading.preview.clone(),
        })
    }
}

/// Runs the command.
///
/// # Errors
/// What the job says; nothing appears under the result's name unless all went well.
pub fn run(args: &Args) -> Result<()> {
    let stop = stop_flag()?;
    let options = args.options()?;
    let _ = rayon::ThreadPoolBuilder::new().num_threads(options.job.threads).build_global();
    let model = args.reading.model(&[Task::Detect, Task::Instance])?;
    let detect = Detect::prepare(&options, &model)?;
    few_dates(&detect.job);
    small_tiles(&detect.job);
    if args.talk.dry_run || args.talk.verbose {
        say(&outline(&detect.job, args.talk.dry_run)?)?;
    }
    if args.talk.dry_run {
        return Ok(());
    }
    let report = detect.run(args.run.progress(), &stop)?;
    if report.full > 0 {
        let full = report.full;
        eprintln!(
            "swath: warning: {full} tiles hold as many objects as the network gives at most; a smaller --tile or a \
             higher --min-score shows whether there are more"
        );
    }
    if !args.talk.quiet {
        say(&format!("{}{}", found(&report), summary(&detect.job, &report.job)))?;
    }
    Ok(())
}

fn found(report: &DetectReport) -> String {
    let (in_tiles, left) = report.objects;
    let categories: Vec<String> =
        report.categories.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let twice = in_tiles - left;
    format!("{left} objects ({}); {twice} that neighbouring tiles show too\n", categories.join(", "))
}
