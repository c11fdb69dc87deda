//! Resizing of images, row by row, with taps looked up in tables made at load.

use super::args::Args;
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
    let (h_in, w_in, h, w) = (p.h_in as usize, p.w_in as usize, p.h_out as usize, p.w_out as usize);
    let planes = p.batch as usize * p.channels as usize;
    pool.run(planes * h, |part| {
        let (plane, row) = (part / h, part % h);
        let (n, c) = (plane / p.channels as usize, plane % p.channels as usize);
        // SAFETY: plane c of image n lies within the spans of x and y; each part has its own row.
        let (x, y) = unsafe {
            let x = args.x[0].add(n * p.x_batch_stride as usize + c * h_in * w_in);
            let y = args.y.add(n * p.y_batch_stride as usize + (c * h + row) * w);
            (std::slice::from_raw_parts(x, h_in * w_in), std::slice::from_raw_parts_mut(y, w))
        };
        let tap = &tables.rows[row];
        let line = |i: usize| &x[tap.index[i] as usize * w_in..][..w_in];
        match tables.mode {
            ResizeMode::Nearest => nearest(&tables.columns, line(0), y),
            ResizeMode::Bilinear => weighted([line(0), line(1)], tap, &tables.columns, y),
            ResizeMode::Bicubic => weighted([0, 1, 2, 3].map(line), tap, &tables.columns, y),
        }
    });
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
