//! Pooling over windows, row by row.

use std::ops::Range;

use super::args::Args;
use super::isa::Isa;
use super::planes::Planes;
use super::pool::Pool;
use super::simd::{per_isa, Lanes};
use crate::kernel::pool::PoolParams;
use crate::Result;

/// Computes y.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x.
pub(super) unsafe fn run(p: &PoolParams, args: &Args, pool: &Pool) -> Result<()> {
    let isa = Isa::current()?;
    let planes = Planes {
        batch: p.batch,
        channels: p.channels,
        x: [p.h_in, p.w_in],
        y: [p.h_out, p.w_out],
        batch_strides: [p.x_batch_stride, p.y_batch_stride],
    };
    // SAFETY: as this function's; the extents are the contract's.
    unsafe { planes.for_rows(args, pool, |x, row, y| pool_row(isa, p, x, row, y)) }
    Ok(())
}

/// Computes one row of y from a plane of x.
fn pool_row(isa: Isa, p: &PoolParams, x: &[f32], row: usize, y: &mut [f32]) {
    let rows = p.window(0, row);
    let (width, pad) = (p.kernel[1] as usize, p.pad[1] as usize);
    // Columns whose windows lie inside of x.
    let inside = pad.div_ceil(p.stride[1] as usize)
        ..((p.w_in as usize + pad + p.stride[1] as usize).saturating_sub(width)) / p.stride[1] as usize;
    let end = inside.end.min(y.len());
    let middle = if p.mean == 0 && !rows.is_empty() { inside.start.min(end)..end } else { 0..0 };
    let (before, after) = (0..middle.start, middle.end..y.len());
    for column in before.chain(after) {
        let columns = p.window(1, column);
        let lines = rows.clone().map(|r| &x[r * p.w_in as usize..][columns.clone()]);
        y[column] = if p.mean == 0 {
            lines.flatten().copied().reduce(larger).unwrap_or(0.0)
        } else {
            let whole = (p.kernel[0] * p.kernel[1]) as usize;
            let inside = rows.len() * columns.len();
            lines.flatten().sum::<f32>() / if p.count_pad == 1 { whole } else { inside } as f32
        };
    }
    if !middle.is_empty() {
        let first = middle.start * p.stride[1] as usize - pad;
        // SAFETY: the instruction set is this machine's.
        unsafe { largest(isa, p, x, rows, first, &mut y[middle]) };
    }
}

fn larger(a: f32, b: f32) -> f32 {
    if b > a {
        b
    } else {
        a
    }
}

per_isa!(unsafe fn largest = largest_of(p: &PoolParams, x: &[f32], rows: Range<usize>, first: usize, y: &mut [f32]));

/// The largest of each window of some rows, the first of which begins at column `first`, window by window in y. In
/// plain loops that compilers make vectors of.
///
/// # Safety
/// The instruction set is available.
#[inline(always)]
unsafe fn largest_of<L: Lanes>(p: &PoolParams, x: &[f32], rows: Range<usize>, first: usize, y: &mut [f32]) {
    let (width, stride) = (p.w_in as usize, p.stride[1] as usize);
    for row in rows.clone() {
        for column in first..first + p.kernel[1] as usize {
            let x = &x[row * width + column..(row + 1) * width];
            let begins = row == rows.start && column == first;
            let take = |y: &mut f32, x: f32| *y = if begins { x } else { larger(*y, x) };
            match stride {
                1 => y.iter_mut().zip(x).for_each(|(y, x)| take(y, *x)),
                2 => {
                    let last = y.len() - 1;
                    let (pairs, end) = y.split_at_mut(last);
                    pairs.iter_mut().zip(x.chunks_exact(2)).for_each(|(y, x)| take(y, x[0]));
                    end.iter_mut().for_each(|y| take(y, x[2 * last]));
                }
                _ => y.iter_mut().zip(x.iter().step_by(stride)).for_each(|(y, x)| take(y, *x)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_each_window_on_every_instruction_set() {
        for (kernel, stride, pad, width) in
            [(3, 2, 1, 67), (3, 2, 1, 2), (2, 2, 0, 40), (3, 1, 1, 35), (5, 3, 2, 50), (4, 2, 2, 1)]
        {
            let extent = |n: u32| (n + 2 * pad - kernel) / stride + 1;
            let p = PoolParams {
                channels: 1,
                batch: 1,
                h_in: 6,
                w_in: width,
                h_out: extent(6),
                w_out: extent(width),
                kernel: [kernel; 2],
                stride: [stride; 2],
                pad: [pad; 2],
                mean: 0,
                count_pad: 0,
                x_batch_stride: u64::from(6 * width),
                y_batch_stride: u64::from(extent(6) * extent(width)),
            };
            let x: Vec<f32> = (0..6 * width).map(|i| (i * 7919 % 1009) as f32 - 500.0).collect();
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                for row in 0..p.h_out as usize {
                    let mut y = vec![f32::NAN; p.w_out as usize];
                    pool_row(isa, &p, &x, row, &mut y);
                    for (column, &y) in y.iter().enumerate() {
                        let inside = |r: usize| {
                            p.window(1, column).map(|c| x[r * width as usize + c]).collect::<Vec<_>>()
                        };
                        let wanted = p.window(0, row).flat_map(inside).fold(f32::NEG_INFINITY, f32::max);
                        assert_eq!(y, wanted, "{isa:?} {p:?} row {row} column {column}");
                    }
                }
            }
        }
    }
}
