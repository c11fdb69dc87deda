//! `swath doctor`: what this machine offers.

use super::print::say;
use crate::cpu::isa::Isa;
use crate::cuda::driver::Driver;
use crate::error::Result;

/// Prints processor, instruction set and devices.
///
/// # Errors
/// `Usage` or `Device` when `SWATH_ISA` names something this machine lacks.
pub fn run() -> Result<()> {
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
