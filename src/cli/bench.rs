//! `swath bench`: how long a network takes on a device, and where the time goes.

use std::fmt;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::model::NetworkArgs;
use super::values::{extents, human_bytes, ByteSize};
use super::weights::{not_json, print};
use crate::engine::{profile, Calls, DevicePick, Engine, Grouping, Precision, Profile, Setup};
use crate::error::{Error, Result};
use crate::models::InputSize;

const EXAMPLES: &str = "\
Examples:
  swath bench esrgan_8S2.pth --size 128
  swath bench demo --size 64x96 --threads 1 --layers
  swath bench esrgan_8S2.pth --device cuda --batch 4 --runs 20 --json";

/// Runs a network on made-up pixels and says how long it takes and where the time goes.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Weights (.pth or .safetensors); `demo` means the small ones built into the program.
    model: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Rows and columns of the input, e.g. 128x96, or one number for a square.
    #[arg(long, value_name = "PX", default_value = "128", value_parser = extents)]
    size: [usize; 2],
    /// Inputs at once.
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Runs that are timed as a whole, and as many step by step.
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// A line for each layer in running order, instead of one for each kind of kernel call.
    #[arg(long)]
    layers: bool,
    /// A line for each implementation, instead of one for each kind of kernel call.
    #[arg(long, conflicts_with = "layers")]
    entries: bool,
    /// Device: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: DevicePick,
    /// What factors of products may be rounded to: auto (f32), f32, bf16, int8 (calibrated weights); on CUDA also tf32, f16.
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
    let model = args.network.open(&args.model)?.for_scenes();
    let frames = model.network().input().default_frames;
    let [height, width] = args.size;
    let size = InputSize { batch: args.batch, frames, height, width };
    let Args { device, threads, precision, .. } = *args;
    let engine = Engine::open(Setup { device, threads, precision, ..Setup::default() })?;
    let mut session = engine.compile(&model, size, &[], Some(args.memory.0))?;
    for (k, pixel) in session.input().iter_mut().enumerate() {
        *pixel = (k % 251) as f32 / 251.0;
    }
    let grouping = match (args.layers, args.entries) {
        (true, _) => Grouping::Layer,
        (_, true) => Grouping::Entry,
        _ => Grouping::Kernel,
    };
    let found = profile(&mut session, args.runs, grouping)?;
    let title = format!("{}, {} -> {}", model.family().id, session.input_shape(), session.output_shape());
    print(&Table(&title, &found), || serde_json::to_value(&found).map_err(not_json), args.json)
}

/// A profile for people.
struct Table<'a>(&'a str, &'a Profile);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(title, Profile { runs, timed, bytes, kernels }) = self;
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let (best, median) = (sorted.first().unwrap_or(&0.0), sorted.get(runs.len() / 2).unwrap_or(&0.0));
        let [params, arena, scratch, io] = bytes.map(|b| human_bytes(b as u64));
        writeln!(f, "{title}")?;
        writeln!(f, "runs     best {:.3} ms, median {:.3} ms of {}", 1e3 * best, 1e3 * median, runs.len())?;
        write!(
            f,
            "memory   weights {params}, intermediates {arena}, scratch {scratch}, input and output {io}"
        )?;
        if kernels.is_empty() {
            return write!(f, "\nthis device does not time single steps");
        }
        let mut all = Calls::none("all steps", format!("of a run of {:.3} ms", 1e3 * timed));
        for k in kernels {
            all.calls += k.calls;
            all.seconds += k.seconds;
            all.flops += k.flops;
            all.bytes += k.bytes;
        }
        write!(f, "\n{:>10}{:>8}{:>6}{:>9}{:>8}  what", "ms", "share", "calls", "GFLOP/s", "GB/s")?;
        for k in kernels.iter().chain([&all]) {
            let share = 100.0 * k.seconds / timed.max(1e-9);
            // Rates count two operations for each product of a direct computation.
            let [flops, bytes] = [k.flops, k.bytes].map(|n| n / k.seconds.max(1e-9) / 1e9);
            write!(f, "\n{:>10.3}{share:>7.1}%{:>6}{flops:>9.1}{bytes:>8.1}  ", 1e3 * k.seconds, k.calls)?;
            write!(f, "{} {}", k.entry, k.what)?;
        }
        Ok(())
    }
}
