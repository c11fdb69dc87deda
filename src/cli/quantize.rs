//! `swath weights quantize`: levels for `--precision int8`, found on the user's own scene.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use weights_tools::{convert, ConvertOptions};

use super::flags::InputArgs;
use super::model::ModelArgs;
use super::values::ByteSize;
use super::weights::{not_json, print};
use crate::engine::{quantise, LoadedModel, QuantiseOptions, Quantised};
use crate::error::{Error, InFile, Result};
use crate::kernel::levels::Levels;
use crate::pipeline::{sample, Input, JobOptions};
use crate::util::npy::{self, Array};
use crate::weights::LEVELS;

const EXAMPLES: &str = "\
Examples:
  swath weights quantize -m esrgan_8S2.pth --calibrate scenes -o esrgan_int8.safetensors
  swath upscale scenes -m esrgan_int8.safetensors --precision int8 -o sharp.tif";

/// Prepares weights for --precision int8: runs the network over tiles of a scene, finds what the bytes of each product
/// stand for, measures what is lost on other tiles, and leaves products out until the goal is met.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Scenes like those the network will run on; or one .npy as swath forward takes it, of several inputs.
    #[arg(long, value_name = "SCENE", required = true, num_args = 1..)]
    calibrate: Vec<PathBuf>,
    /// Result (default: the weights' name with .int8.safetensors).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Least peak signal-to-noise ratio against f32 on tiles that are held out, decibels.
    #[arg(long, value_name = "DB", default_value_t = 40.0)]
    goal: f64,
    /// Tiles taken from all over the scene; every fourth is held out.
    #[arg(long, value_name = "N", default_value_t = 16)]
    tiles: usize,
    /// Their side in pixels.
    #[arg(long, value_name = "PX", default_value_t = 128)]
    tile: usize,
    #[command(flatten)]
    input: InputArgs,
    /// Refuse to run when the network needs more memory than this.
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    memory: ByteSize,
    /// Threads (default: all).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Draws among equally good dates.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replace an existing result.
    #[arg(long)]
    overwrite: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What files, scene and network say; `Unsupported` when the goal is out of reach.
pub fn run(args: &Args) -> Result<()> {
    let output = args.output.clone().unwrap_or_else(|| args.model.model.with_extension("int8.safetensors"));
    if output.extension().is_none_or(|e| !e.eq_ignore_ascii_case("safetensors")) {
        return Err(Error::usage("levels are kept in .safetensors; name the result so by --output"))
            .in_file(&output);
    }
    if output.exists() && !args.overwrite {
        return Err(Error::usage("exists; --overwrite replaces it")).in_file(&output);
    }
    let mut model = args.model.open()?.for_scenes();
    let tiles = tiles(args, &model)?;
    let options = QuantiseOptions { goal: args.goal, threads: args.threads, memory: args.memory.0 };
    let found = quantise(&mut model, &tiles, options, &mut |line| eprintln!("swath: {line}"))?;
    write(args, &model, &output)?;
    let report = Report { found: &found, goal: args.goal, output: &output };
    print(&report, || serde_json::to_value(&found).map_err(not_json), args.json)
}

/// The tiles as inputs of the network.
fn tiles(args: &Args, model: &LoadedModel) -> Result<Vec<Array>> {
    if let [path] = &args.calibrate[..] {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
            let whole = npy::read_image(path)?;
            let one = whole.shape.with(0, 1);
            let each = whole.data.chunks_exact(one.numel().max(1));
            return Ok(each.map(|data| Array { shape: one, data: data.to_vec() }).collect());
        }
    }
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let options = JobOptions {
        series: args.input.series()?,
        sampling: args.input.resampling.map(Into::into),
        ..JobOptions::new(args.calibrate.clone(), args.memory.0, threads)
    };
    let mut input = Input::open(&options, model)?;
    input.limit_dates(None, model)?;
    sample(&input, model, args.tile, args.tiles, (args.seed, threads))
}

/// Writes the weights with their levels.
fn write(args: &Args, model: &LoadedModel, output: &Path) -> Result<()> {
    let tensor = |(name, levels): (&String, &Arc<Levels>)| {
        let rows = [levels.scale(), levels.zero()].concat();
        (format!("{LEVELS}{name}"), vec![2, levels.channels()], rows)
    };
    let options = ConvertOptions {
        key: args.model.network.param_key.clone(),
        metadata: model.metadata()?,
        added: model.calibration().iter().map(tensor).collect(),
        dropped: Some(LEVELS.to_string()),
        overwrite: args.overwrite,
        ..ConvertOptions::default()
    };
    convert(&args.model.model, output, &options)?;
    Ok(())
}

/// What was found, for people.
struct Report<'a> {
    found: &'a Quantised,
    goal: f64,
    output: &'a Path,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantised { tiles: [seen, held], bf16, all, int8, seconds, products, left_out, shares, .. } =
            self.found;
        writeln!(f, "{}: levels of {products} products from {seen} tiles", self.output.display())?;
        writeln!(
            f,
            "against f32 on {held} other tiles: int8 {int8:.1} dB (goal {:.1}), bf16 {bf16:.1} dB",
            self.goal
        )?;
        writeln!(f, "products {shares}")?;
        let [bf16_ms, int8_ms] = seconds.map(|seconds| 1e3 * seconds);
        let verdict = if int8_ms < bf16_ms { "" } else { ": --precision bf16 is faster here" };
        writeln!(f, "a tile takes {int8_ms:.0} ms in int8, {bf16_ms:.0} in bf16{verdict}")?;
        if left_out.is_empty() {
            return Ok(());
        }
        writeln!(f, "with all in int8 {all:.1} dB; left in bf16 or f32, and what each alone would cost:")?;
        left_out.iter().try_for_each(|(name, decibels)| writeln!(f, "  {name} {decibels:.1} dB"))
    }
}
