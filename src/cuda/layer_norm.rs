//! Launches of layer norm.

use super::launch::{line, Launch, Operands, WARP};
use super::table::{mismatch, Entry};
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::Result;

pub(super) const NAME: &str = "layer_norm_fwd_f32__warps";

pub(super) const WARPS: Entry = Entry::always("layer_norm_fwd", NAME, launch);

/// The entry that lays the result out for products of that precision.
pub(super) fn laying_out(precision: Precision) -> Option<&'static str> {
    match precision {
        Precision::Bf16 => Some("layer_norm_fwd_f32__laid_bf16_sm80"),
        Precision::F16 => Some("layer_norm_fwd_f32__laid_f16"),
        _ => None,
    }
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::LayerNorm(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = line(p.rows * u64::from(WARP));
    Ok(vec![Launch::new(NAME, grid, block, o, p)?])
}
