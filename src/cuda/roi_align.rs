//! Launches of pooling out of a pyramid, and the areas at which levels change.

use super::launch::{line, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "roi_align_fwd_f32__threads";

pub(super) const THREADS: Entry = Entry { prepare: areas, ..Entry::always("roi_align_fwd", NAME, launch) };

/// The least area of a box on each level after the first: the contract's formula solved for the area.
fn areas(kernel: &Kernel, _: &[f32]) -> Result<Vec<u8>> {
    let Kernel::RoiAlign(p) = kernel else { return Err(mismatch(kernel)) };
    let side = |shift: u32| 224.0 * (f64::from(shift) - 4.0 - 1e-6).exp2();
    let levels = p.shifts.iter().take(p.levels as usize).skip(1);
    let areas: Vec<f64> = levels.map(|&shift| side(shift) * side(shift)).collect();
    Ok(bytemuck::cast_slice(&areas).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::RoiAlign(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = line(kernel.y_span() as u64);
    Ok(vec![Launch::new(NAME, grid, block, o, p)?])
}
