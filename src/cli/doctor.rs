//! `swath doctor`: what this machine offers, and whether its kernels compute what they should.

use clap::Args as ClapArgs;

use super::print::say;
use crate::cpu::isa::Isa;
use crate::cuda::driver::Driver;
use crate::engine::proof::Proof;
use crate::engine::{DevicePick, Engine, Precision, Setup};
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  swath doctor
  swath doctor --kernels --device cuda
  swath doctor --kernels=conv2d --device cuda --precision bf16";

/// Says what this machine offers: processor, instruction set, memory, devices.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Run a device's kernels on small cases and compare with the reference; with a name, those that hold it. Ends
    /// with exit code 6 when one disagrees.
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    kernels: Option<String>,
    /// Device whose kernels are run: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto", requires = "kernels")]
    device: DevicePick,
    /// What they may round factors of products to: f32, tf32, f16, bf16 (default: each in turn).
    #[arg(long, value_name = "PRECISION", requires = "kernels")]
    precision: Option<Precision>,
    /// Threads (default: all).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, requires = "kernels")]
    threads: usize,
}

/// Runs the command.
///
/// # Errors
/// `Usage` or `Device` when `SWATH_ISA` names something this machine lacks; `Device` when kernels disagree.
pub fn run(args: &Args) -> Result<()> {
    match &args.kernels {
        Some(pattern) => kernels(args, pattern),
        None => machine(),
    }
}

fn machine() -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let openjpeg = if cfg!(feature = "openjpeg") { "built in" } else { "not built in" };
    say(&format!(
        "swath    {}\nthreads  {threads}\nkernels  {} (of those this machine has: {})\ndevices  cpu\ncuda     {}\nopenjpeg {openjpeg}",
        env!("CARGO_PKG_VERSION"),
        Isa::current()?.name(),
        available(),
        gpus().unwrap_or_else(|e| e.to_string())
    ))
}

/// Every GPU in one line.
fn gpus() -> Result<String> {
    let describe = |index| -> Result<String> {
        let driver = Driver::open(index)?;
        let p = driver.properties();
        let (major, minor) = (p.capability / 10, p.capability % 10);
        let shared = if p.integrated { ", shared with the processor" } else { "" };
        Ok(format!("cuda:{index} {}, capability {major}.{minor}, {} MiB{shared}", p.name, p.memory >> 20))
    };
    let lines = (0..Driver::count()?).map(|index| describe(index).unwrap_or_else(|e| e.to_string()));
    Ok(lines.collect::<Vec<_>>().join("; "))
}

fn available() -> String {
    let names: Vec<_> = Isa::ALL.into_iter().filter(|i| i.is_available()).map(Isa::name).collect();
    names.join(", ")
}

/// Kernels against the reference.
fn kernels(args: &Args, pattern: &str) -> Result<()> {
    let Args { device, threads, .. } = *args;
    let mut proofs = Vec::new();
    let all = || Precision::ALL.into_iter().filter(|precision| device.takes(*precision)).collect();
    for precision in args.precision.map_or_else(all, |precision| vec![precision]) {
        let engine = Engine::open(Setup { device, threads, precision, ..Setup::default() })?;
        proofs.extend(engine.prove(pattern)?);
    }
    if proofs.is_empty() {
        return Err(Error::usage(format!("{device} has no kernel whose name holds \"{pattern}\"")));
    }
    say(&table(&proofs))?;
    let wrong: Vec<&str> = proofs.iter().filter(|p| !p.worst.agrees()).map(|p| p.entry).collect();
    match wrong.is_empty() {
        true => say(&format!("all {} kernels of {device} agree with the reference", proofs.len())),
        false => Err(Error::device(format!(
            "{} of {} kernels of {device} disagree with the reference: {}",
            wrong.len(),
            proofs.len(),
            wrong.join(", ")
        ))),
    }
}

fn table(proofs: &[Proof]) -> String {
    let width = proofs.iter().map(|p| p.entry.len()).max().unwrap_or(0);
    let line = |p: &Proof| {
        let word = if p.worst.agrees() { "agrees" } else { "DISAGREES" };
        let (apart, allowed) = (p.worst.difference, p.worst.allowed);
        format!(
            "{word:<9} {:<width$} {:>4} cases, worst {apart:.1e}, {allowed:.1e} allowed ({})\n",
            p.entry, p.cases, p.worst.case
        )
    };
    proofs.iter().map(line).collect()
}
