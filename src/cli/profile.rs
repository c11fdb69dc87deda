//! `swath profile`: where a network's time goes on a device.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::model::{ModelArgs, NetworkArgs};
use super::values::ByteSize;
use super::weights::{not_json, print};
use crate::engine::{profile, DevicePick, Engine, Precision, Profile, Setup};
use crate::error::{Error, Result};
use crate::models::InputSize;

const EXAMPLES: &str = "\
Examples:
  swath profile esrgan_8S2.pth --device cuda --size 128
  swath profile demo --batch 4 --runs 20 --json";

/// Times a network on an input of zeros: whole runs and, on a GPU, its kernels.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Weights (.pth or .safetensors); `demo` means the small ones built into the program.
    model: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Side of the input in pixels.
    #[arg(long, value_name = "PX", default_value_t = 128)]
    size: usize,
    /// Inputs at once.
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Runs that are timed.
    #[arg(long, value_name = "N", default_value_t = 10)]
    runs: usize,
    /// Device: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: DevicePick,
    /// What factors of products may be rounded to: auto (f32), f32, bf16; on CUDA also tf32, f16.
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    precision: Precision,
    /// Refuse to run when the network needs more memory than this.
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    memory: ByteSize,
    /// Threads (default: all).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What files, network and device say.
pub fn run(args: &Args) -> Result<()> {
    if args.batch == 0 || args.runs == 0 {
        return Err(Error::usage("--batch and --runs should be at least 1"));
    }
    let model = ModelArgs { model: args.model.clone(), network: args.network.clone() }.open()?;
    let frames = model.network().input().default_frames;
    let size = InputSize { batch: args.batch, frames, height: args.size, width: args.size };
    let Args { device, threads, precision, .. } = *args;
    let engine = Engine::open(Setup { device, threads, precision, ..Setup::default() })?;
    let mut session = engine.compile(&model, size, &[], Some(args.memory.0))?;
    session.input().fill(0.0);
    let found = profile(&mut session, args.runs)?;
    print(&Table(&found), || serde_json::to_value(&found).map_err(not_json), args.json)
}

/// A profile for people.
struct Table<'a>(&'a Profile);

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Profile { runs, bytes, kernels } = self.0;
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let (best, median) = (sorted.first().unwrap_or(&0.0), sorted.get(runs.len() / 2).unwrap_or(&0.0));
        writeln!(f, "runs     best {:.3} ms, median {:.3} ms of {}", 1e3 * best, 1e3 * median, runs.len())?;
        let mib = bytes.map(|b| b as f64 / f64::from(1 << 20));
        let [params, arena, scratch, io] = mib;
        writeln!(f, "memory   params {params:.1}, intermediates {arena:.1}, scratch {scratch:.1}, input and output {io:.1} MiB")?;
        let width = kernels.iter().map(|k| k.entry.len()).max().unwrap_or(0);
        for k in kernels {
            let (ms, calls) = (1e3 * k.seconds, k.calls);
            let (tera, giga) = (k.flops / k.seconds / 1e12, k.bytes / k.seconds / 1e9);
            writeln!(
                f,
                "{:<width$} {calls:>5} calls {ms:>9.3} ms {tera:>8.2} TFLOP/s {giga:>7.0} GB/s",
                k.entry
            )?;
        }
        Ok(())
    }
}
