//! Launches of layer norm.

use super::launch::{line, Launch, Operands, WARP};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "layer_norm_fwd_f32__warps";

pub(super) const WARPS: Entry = Entry::always("layer_norm_fwd", NAME, launch);

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::LayerNorm(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = line(p.rows * u64::from(WARP));
    Ok(vec![Launch::new(NAME, grid, block, o, p)?])
}
