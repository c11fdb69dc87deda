//! Launches of the Gaussian blur: along rows into the workspace, then along columns.

use super::launch::{rows_and_columns, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::blur::gaussian;
use crate::kernel::Kernel;
use crate::Result;

pub(super) const SEPARABLE: Entry = Entry {
    workspace: |kernel| kernel.x_span(0),
    prepare: weights,
    ..Entry::always("blur_fwd", "blur_fwd_f32__separable", launch)
};

/// Weights of the vertical axis, then of the horizontal one.
fn weights(kernel: &Kernel, _: &[f32]) -> Result<Vec<u8>> {
    let Kernel::Blur(p) = kernel else { return Err(mismatch(kernel)) };
    let axis = |k: usize| gaussian(p.taps[k] as usize, f64::from(p.sigma[k]));
    let weights: Vec<f32> = axis(0).into_iter().chain(axis(1)).map(|w| w as f32).collect();
    Ok(bytemuck::cast_slice(&weights).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Blur(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = rows_and_columns(u64::from(p.planes) * u64::from(p.h), p.w.into());
    let pass = |entry| Launch::new(entry, grid, block, o, p);
    Ok(vec![pass("blur_fwd_f32__separable_rows")?, pass("blur_fwd_f32__separable_columns")?])
}
