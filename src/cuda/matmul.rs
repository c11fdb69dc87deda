//! Launches of the matrix product of a linear layer.

use super::launch::{Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::matmul::MatmulParams;
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "matmul_fwd_f32__tile_32x128";

pub(super) const TILE: Entry = Entry::always("matmul_fwd", NAME, launch);

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    let grid = [p.n.div_ceil(128), p.m.div_ceil(32).min(65_535), 1];
    p.activation()?;
    Ok(vec![Launch::new(NAME, grid, [128, 1, 1], &by_role(p, o), p)?])
}

/// Operands where the entry looks for them: x, w, bias, residual.
fn by_role(p: &MatmulParams, o: &Operands) -> Operands {
    let bias = if p.has_bias == 1 { o.x[2] } else { 0 };
    let residual = if p.residual == 1 { o.x[2 + p.has_bias as usize] } else { 0 };
    Operands { x: [o.x[0], o.x[1], bias, residual, 0, 0], ..*o }
}
