//! `swath doctor`: what this machine offers.

use super::print::say;
use crate::cpu::isa::Isa;
use crate::error::Result;

/// Prints processor, instruction set and devices.
///
/// # Errors
/// `Usage` or `Device` when `SWATH_ISA` names something this machine lacks.
pub fn run() -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let openjpeg = if cfg!(feature = "openjpeg") { "built in" } else { "not built in" };
    say(&format!(
        "swath    {}\nthreads  {threads}\nkernels  {} (of those this machine has: {})\ndevices  cpu\nopenjpeg {openjpeg}",
        env!("CARGO_PKG_VERSION"),
        Isa::current()?.name(),
        available()
    ))
}

fn available() -> String {
    let names: Vec<_> = Isa::ALL.into_iter().filter(|i| i.is_available()).map(Isa::name).collect();
    names.join(", ")
}
