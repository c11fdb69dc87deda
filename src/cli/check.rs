//! `swath check`: a network on two devices, compared value by value.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::model::NetworkArgs;
use super::print::say;
use super::values::ByteSize;
use crate::engine::{check, input_size, DevicePick, Engine, Layer, LoadedModel, Precision, Setup};
use crate::error::{Error, InFile, Result};
use crate::tensor::Shape;
use crate::util::npy::{self, Array};

const EXAMPLES: &str = "\
Examples:
  swath check esrgan_8S2.pth --device cuda
  swath check demo -i x.npy --precision bf16 --against cpu
  swath check swin.pth --size 64 --tolerance 1e-5";

/// Runs a network on two devices and compares every value that has a name. Ends with exit code 6 when one is
/// further apart than the kernels' contracts allow.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Weights (.pth or .safetensors); `demo` means the small ones built into the program.
    model: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Input as `swath forward` takes it (default: noise between 0 and 1).
    #[arg(short, long, value_name = "X.NPY")]
    input: Option<PathBuf>,
    /// Side of the noise in pixels.
    #[arg(long, value_name = "PX", default_value_t = 32, conflicts_with = "input")]
    size: usize,
    /// Device to be checked: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: DevicePick,
    /// What it may round factors of products to: auto (f32), f32, bf16, int8 (calibrated weights); on CUDA also tf32, f16.
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    precision: Precision,
    /// Device to be believed, in f32.
    #[arg(long, value_name = "DEVICE", default_value = "reference")]
    against: DevicePick,
    /// Largest difference, as a part of a value's range (default: what the kernels' contracts allow).
    #[arg(long, value_name = "X")]
    tolerance: Option<f32>,
    /// Refuse to run when one device needs more memory than this.
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    memory: ByteSize,
    /// Threads (default: all).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

/// Runs the command.
///
/// # Errors
/// `Device` when the devices disagree; what files, network and devices say.
pub fn run(args: &Args) -> Result<()> {
    let model = args.network.open(&args.model)?;
    let input = match &args.input {
        Some(path) => npy::read_image(path)?,
        None => noise(&model, args.size)?,
    };
    let size = input_size(&model, &input.shape).in_file(args.input.as_ref().unwrap_or(&args.model))?;
    let Args { device, threads, precision, .. } = *args;
    let believed = Engine::new(args.against, threads)?;
    let tested = Engine::open(Setup { device, threads, precision, ..Setup::default() })?;
    let engines = [&believed, &tested];
    let layers = check(&model, size, &input.data, engines, args.tolerance, Some(args.memory.0))?;
    say(&table(&layers))?;
    let beyond = layers.iter().filter(|layer| !layer.agrees()).count();
    match layers.iter().find(|layer| !layer.agrees()) {
        None => say(&format!("{} agrees with {}", args.device, args.against)),
        Some(first) => Err(Error::device(format!(
            "{} disagrees with {} in {beyond} of {} values; the first is {}: {:.1e} of its range apart, {:.1e} allowed",
            args.device,
            args.against,
            layers.len(),
            first.name,
            first.difference,
            first.allowed
        ))),
    }
}

/// An input of noise, the same each time.
fn noise(model: &LoadedModel, side: usize) -> Result<Array> {
    let spec = model.network().input();
    let side = side.max(spec.min_side).checked_next_multiple_of(spec.multiple.max(1));
    let side = side.ok_or_else(|| Error::usage("--size is too large"))?;
    let shape = Shape::new(&spec.dims(1, spec.default_frames, side, side))?;
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    };
    Ok(Array { data: std::iter::repeat_with(next).take(shape.numel()).collect(), shape })
}

fn table(layers: &[Layer]) -> String {
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max("value".len());
    let mut out = format!("{:<width$}  {:<20} {:>10} {:>10}\n", "value", "extents", "apart", "allowed");
    for layer in layers {
        let Layer { name, shape, difference, allowed } = layer;
        let mark = if layer.agrees() { "" } else { "  beyond" };
        out += &format!(
            "{name:<width$}  {:<20} {difference:>10.1e} {allowed:>10.1e}{mark}\n",
            shape.to_string()
        );
    }
    out
}
