//! `swath forward`: a network on a raw tensor, to compare with PyTorch.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::model::ModelArgs;
use super::print::{precisions, say};
use super::values::ByteSize;
use crate::engine::{input_size, results, DevicePick, Engine, Precision, Setup};
use crate::error::{Error, InFile, Result};
use crate::util::npy;

const EXAMPLES: &str = "\
Examples:
  swath forward -m esrgan_8S2.pth -i x.npy -o y.npz
  swath forward -m srcnn.pth --set output_size=160 -i x.npy -o y.npz --tap encoder";

/// Runs a network on a raw tensor and writes every output by name.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// f32 tensor, normalised already, or bytes, which are divided by 255: N,C,H,W, or N,T,C,H,W for networks that take dates apart.
    #[arg(short, long, value_name = "X.NPY")]
    input: PathBuf,
    /// Where the outputs go; one array each, `output` where there is one.
    #[arg(short, long, value_name = "Y.NPZ")]
    output: PathBuf,
    /// Also write this intermediate, by its module's name, e.g. body.0.rdb1. May be repeated.
    #[arg(long, value_name = "NAME")]
    tap: Vec<String>,
    /// Refuse to run when the network needs more memory than this, e.g. 2G.
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Threads (default: all).
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// auto, cpu, reference (slow, f64), cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: DevicePick,
    /// What factors of products may be rounded to: auto (f32), f32, bf16, int8 (calibrated weights); on CUDA also tf32, f16.
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    precision: Precision,
}

/// Runs the command.
///
/// # Errors
/// What the files, the network and the device say.
pub fn run(args: &Args) -> Result<()> {
    let model = args.model.open()?;
    let Args { device, precision, .. } = *args;
    let threads = args.threads.unwrap_or(0);
    let engine = Engine::open(Setup { device, threads, precision, lean: true, ..Setup::default() })?;
    let input = npy::Opened::new(&args.input)?;
    let shape = input.shape;
    let size = input_size(&model, &shape).in_file(&args.input)?;
    let budget = args.memory.map(|size| size.0);
    let mut session = engine.compile(&model, size, &args.tap, budget).in_file(&args.input)?;
    input.read_image(session.input())?;
    if let Some(odd) = session.input().iter().position(|v| !v.is_finite()) {
        let message = format!("{} at place {odd} of {shape}; networks take numbers", session.input()[odd]);
        return Err(Error::format(message).in_file(&args.input));
    }
    session.compute_last()?;
    let (ran, arrays) = (session.plan().precisions(), results(&session)?);
    npy::write_npz(&args.output, &arrays)?;
    let names: Vec<String> = arrays.iter().map(|(name, array)| format!("{name} {}", array.shape)).collect();
    say(&format!("{} on {}: {}", model.family().id, engine.device_name(), names.join(", ")))?;
    precisions(precision, &ran).map_or(Ok(()), |ran| say(&ran))
}
