//! `swath info`: what a file holds.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::model::NetworkArgs;
use super::print::say;
use super::weights::{not_json, print};
use crate::engine::{DevicePick, Engine, LoadedModel, Precision, Setup};
use crate::error::{Error, InFile, Result};
use crate::models::InputSize;
use crate::raster::scene::describe;
use crate::raster::OpenOptions;

const EXAMPLES: &str = "\
Examples:
  swath info S2A_MSIL1C_20200219T103431_N0209_R108_T31UGQ.SAFE
  swath info esrgan_8S2.pth
  swath info esrgan_8S2.pth --plan --tile 128";

/// Says what a scene or a weights file holds: dates, bands, place; or network, input, cost.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A .SAFE folder, an image, a folder of those; or weights (.pth, .safetensors).
    file: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Print JSON.
    #[arg(long, conflicts_with = "plan")]
    json: bool,
    /// Also print what runs for one tile: every kernel call with its implementation, where operands lie, and the
    /// memory it takes.
    #[arg(long)]
    plan: bool,
    /// Side of that tile in input pixels.
    #[arg(long, value_name = "PX", default_value_t = 256, requires = "plan")]
    tile: usize,
    /// Threads it would run on (default: all).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, requires = "plan")]
    threads: usize,
    /// Device it would run on: auto, cpu, reference, cuda or cuda:N.
    #[arg(long, default_value = "auto", requires = "plan")]
    device: DevicePick,
    /// What factors of products may be rounded to: auto (f32), f32, bf16, int8 (calibrated weights); on CUDA also tf32, f16.
    #[arg(long, value_name = "PRECISION", default_value = "auto", requires = "plan")]
    precision: Precision,
}

/// Runs the command.
///
/// # Errors
/// As [`LoadedModel::open`] and [`describe`].
pub fn run(args: &Args) -> Result<()> {
    if !is_weights(&args.file) {
        if args.plan {
            return Err(Error::usage("--plan is for weights; a scene has none")).in_file(&args.file);
        }
        let report = describe(&args.file, &OpenOptions::default())?;
        return print(&report, || serde_json::to_value(&report).map_err(not_json), args.json);
    }
    let model = LoadedModel::open(&args.file, args.network.options())?;
    let description = model.describe().in_file(&args.file)?;
    print(&description, || serde_json::to_value(&description).map_err(not_json), args.json)?;
    match args.plan {
        true => print_plan(args, model.for_scenes()),
        false => Ok(()),
    }
}

fn print_plan(args: &Args, model: LoadedModel) -> Result<()> {
    let frames = model.network().input().default_frames;
    let size = InputSize { batch: 1, frames, height: args.tile, width: args.tile };
    let Args { device, threads, precision, .. } = *args;
    let engine = Engine::open(Setup { device, threads, precision, ..Setup::default() })?;
    let plan = engine.plan(&model, size, &[]).in_file(&args.file)?;
    say(&format!("\nplan for {0} x {0} pixels on {1}\n{plan}", args.tile, engine.device_name()))
}

/// Whether a file's name says that it holds weights.
fn is_weights(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(extension.as_str(), "pth" | "pt" | "bin" | "ckpt" | "state" | "safetensors")
}
