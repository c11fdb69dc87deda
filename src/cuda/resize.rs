//! Launches of resizes, and the taps of every row and column.

use bytemuck::{Pod, Zeroable};

use super::launch::{rows_and_columns, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "resize_fwd_f32__taps";

pub(super) const TAPS: Entry = Entry { prepare: tables, ..Entry::always("resize_fwd", NAME, launch) };

/// What one row or column is made of; mirrored in `kernels/params.cuh`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
struct Tap {
    index: [u32; 4],
    weight: [f32; 4],
}

/// Taps of all rows, then of all columns.
fn tables(kernel: &Kernel, _: &[f32]) -> Result<Vec<u8>> {
    let Kernel::Resize(p) = kernel else { return Err(mismatch(kernel)) };
    let mode = p.resize_mode()?;
    let axis = |n_in: u32, n_out: u32| {
        (0..n_out as usize).map(move |d| {
            let taps = mode.tap(d, n_in as usize, n_out as usize);
            Tap { index: taps.index, weight: taps.weight.map(|w| w as f32) }
        })
    };
    let taps: Vec<Tap> = axis(p.h_in, p.h_out).chain(axis(p.w_in, p.w_out)).collect();
    Ok(bytemuck::cast_slice(&taps).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Resize(p) = kernel else { return Err(mismatch(kernel)) };
    let rows = u64::from(p.batch) * u64::from(p.channels) * u64::from(p.h_out);
    let (grid, block) = rows_and_columns(rows, p.w_out.into());
    Ok(vec![Launch::new(NAME, grid, block, o, p)?])
}
