//! `swath demo`: makes a procedural Sentinel-2 series, runs the main job on it, and says how good the result is.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::flags::RunArgs;
use super::interrupt::stop_flag;
use super::model::{open_builtin, BUILTIN};
use super::print::say;
use super::report::{small_tiles, summary};
use crate::demo::{self, report, DemoSpec, Made};
use crate::error::{Error, InFile, Result};
use crate::pipeline::{upscale, JobOptions, Progress, UpscaleOptions};
use crate::raster::scene::{Series, SeriesOptions};
use crate::raster::FrameSource;
use crate::tile::Rect;

/// Makes a procedural Sentinel-2 time series and sharpens it four times with the built-in weights.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Folder for scenes, result and picture.
    #[arg(short, long, value_name = "DIR", default_value = "demo-output")]
    output: PathBuf,
    /// Side of the scenes in pixels of 10 m, a multiple of 6 up to 10980.
    #[arg(long, value_name = "PX", default_value_t = DemoSpec::default().size)]
    size: usize,
    /// Number of dates.
    #[arg(long, value_name = "N", default_value_t = DemoSpec::default().dates)]
    dates: usize,
    /// Which landscape and weather.
    #[arg(long, default_value_t = DemoSpec::default().seed)]
    seed: u64,
    /// All 13 bands at 10, 20 and 60 m beside the true-colour images.
    #[arg(long)]
    all_bands: bool,
    /// Deliver the last date in the neighbouring UTM zone.
    #[arg(long)]
    other_zone: bool,
    /// Make the scenes, and nothing else.
    #[arg(long)]
    scenes_only: bool,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the command.
///
/// # Errors
/// What making the scenes and the main job say.
pub fn run(args: &Args) -> Result<()> {
    let stop = stop_flag()?;
    let spec = DemoSpec {
        size: args.size,
        dates: args.dates,
        seed: args.seed,
        all_bands: args.all_bands,
        other_zone: args.other_zone,
    };
    let scenes = make(args, &spec)?;
    if args.scenes_only {
        return scenes.iter().try_for_each(|p| say(&p.display().to_string()));
    }
    let defaults =
        UpscaleOptions::new(scenes, args.output.join("upscaled.tif"), args.run.memory(), args.run.threads());
    let setup = args.run.setup();
    let job = JobOptions {
        overwrite: true,
        gpu_memory: args.run.gpu_memory(),
        device: setup.device,
        precision: setup.precision,
        ..defaults.job
    };
    let options = UpscaleOptions { job, ..defaults };
    let model = open_builtin()?;
    let job = upscale(&options, &model)?;
    small_tiles(&job);
    let report = job.run(&mut |_| (), args.run.progress(), &stop)?;
    say(&format!("{}: {}", options.output.display(), summary(&job, &report)))?;

    let window = report::window(&spec);
    let ours = read_result(&options.output, window.scale_up(job.grid().spec().scale as i64))?;
    let comparison = report::compare(&spec, job.series(), window, ours)?;
    let picture = args.output.join("comparison.png");
    comparison.write_png(&picture)?;
    say(&format!(
        "{comparison}\n{}: input, bicubic, swath, truth side by side\nweights: \"{BUILTIN}\", small, trained on such \
         procedural landscapes to show that everything works; for real scenes give published ones to swath \
         upscale -m",
        picture.display()
    ))
}

fn make(args: &Args, spec: &DemoSpec) -> Result<Vec<PathBuf>> {
    let progress: std::sync::OnceLock<Progress> = std::sync::OnceLock::new();
    let show = |made: Made| {
        let bar = progress.get_or_init(|| Progress::new(args.run.progress(), "scenes", made.total as u64));
        bar.set(made.done as u64, made.total as u64);
    };
    let scenes = demo::make(&args.output.join("scenes"), spec, &show)?;
    if let Some(bar) = progress.get() {
        bar.finish();
    }
    Ok(scenes)
}

/// A window of the result, `[y][x][rgb]`.
fn read_result(path: &Path, window: Rect) -> Result<Vec<u8>> {
    let series = Series::open(&[path.to_path_buf()], SeriesOptions::default())?;
    let n = window.area();
    let (mut planes, mut valid) = (vec![0.0; 3 * n], vec![0; n]);
    if series.bands().len() != 3 {
        return Err(Error::shape("the result should have three bands")).in_file(path);
    }
    series.read(0, window, &mut planes, &mut valid)?;
    Ok((0..n).flat_map(|i| [planes[i] as u8, planes[n + i] as u8, planes[2 * n + i] as u8]).collect())
}
