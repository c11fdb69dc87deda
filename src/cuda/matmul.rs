//! Launches of the matrix product of a linear layer.

use super::launch::{Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "matmul_fwd_f32__tile_32x128";

pub(super) const TILE: Entry = Entry::always("matmul_fwd", NAME, launch);

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    let grid = [p.n.div_ceil(128), p.m.div_ceil(32).min(65_535), 1];
    Ok(vec![Launch::new(NAME, grid, [128, 1, 1], o, p)?])
}
