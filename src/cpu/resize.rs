//! Resizing of images, row by row, with taps looked up in tables made at load.

use super::args::Args;
use super::planes::Planes;
use super::pool::Pool;
use crate::kernel::resize::{ResizeMode, ResizeParams};
use crate::Result;

/// Input pixels and weights of each output row and column.
#[derive(Debug)]
pub(super) struct ResizeTables {
    mode: ResizeMode,
    rows: Vec<Tap>,
    columns: Vec<Tap>,
}

#[derive(Debug, Clone, Copy)]
struct Tap {
    index: [u32; 4],
    weight: [f32; 4],
}

impl ResizeTables {
    pub fn new(p: &ResizeParams) -> Result<Self> {
        let mode = p.resize_mode()?;
        let axis = |n_in: u32, n_out: u32| {
            let tap = |d: u32| mode.tap(d as usize, n_in as usize, n_out as usize);
            (0..n_out).map(tap).map(|t| Tap { index: t.index, weight: t.weight.map(|w| w as f32) }).collect()
        };
        Ok(Self { mode, rows: axis(p.h_in, p.h_out), columns: axis(p.w_in, p.w_out) })
    }
}

/// Computes y.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x; `tables` were made for `p`.
pub(super) unsafe fn run(p: &ResizeParams, tables: &ResizeTables, args: &Args, pool: &Pool) {
    let planes = Planes {
        batch: p.batch,
        channels: p.channels,
        x: [p.h_in, p.w_in],
        y: [p.h_out, p.w_out],
        batch_strides: [p.x_batch_stride, p.y_batch_stride],
    };
    let w_in = p.w_in as usize;
    let row = |x: &[f32], row: usize, y: &mut [f32]| {
        let tap = &tables.rows[row];
        let line = |i: usize| &x[tap.index[i] as usize * w_in..][..w_in];
        match tables.mode {
            ResizeMode::Nearest => nearest(&tables.columns, line(0), y),
            ResizeMode::Bilinear => weighted([line(0), line(1)], tap, &tables.columns, y),
            ResizeMode::Bicubic => weighted([0, 1, 2, 3].map(line), tap, &tables.columns, y),
        }
    };
    // SAFETY: as this function's; the extents are the contract's.
    unsafe { planes.for_rows(args, pool, row) }
}

fn nearest(columns: &[Tap], x: &[f32], y: &mut [f32]) {
    for (y, tap) in y.iter_mut().zip(columns) {
        *y = x[tap.index[0] as usize];
    }
}

/// Sums along columns first, then along rows.
fn weighted<const N: usize>(lines: [&[f32]; N], row: &Tap, columns: &[Tap], y: &mut [f32]) {
    for (y, column) in y.iter_mut().zip(columns) {
        let mut sum = 0.0;
        for (line, weight) in lines.iter().zip(row.weight) {
            let mut along = 0.0;
            for j in 0..N {
                along += column.weight[j] * line[column.index[j] as usize];
            }
            sum += weight * along;
        }
        *y = sum;
    }
}
