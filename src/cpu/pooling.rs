//! Pooling over windows, row by row.

use super::args::Args;
use super::planes::Planes;
use super::pool::Pool;
use crate::kernel::pool::PoolParams;

/// Computes y.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x.
pub(super) unsafe fn run(p: &PoolParams, args: &Args, pool: &Pool) {
    let planes = Planes {
        batch: p.batch,
        channels: p.channels,
        x: [p.h_in, p.w_in],
        y: [p.h_out, p.w_out],
        batch_strides: [p.x_batch_stride, p.y_batch_stride],
    };
    // SAFETY: as this function's; the extents are the contract's.
    unsafe { planes.for_rows(args, pool, |x, row, y| pool_row(p, x, row, y)) }
}

fn pool_row(p: &PoolParams, x: &[f32], row: usize, y: &mut [f32]) {
    let rows = p.window(0, row);
    for (column, y) in y.iter_mut().enumerate() {
        let columns = p.window(1, column);
        let lines = rows.clone().map(|r| &x[r * p.w_in as usize..][columns.clone()]);
        *y = if p.mean == 0 {
            lines.flatten().copied().reduce(|a, b| if b > a { b } else { a }).unwrap_or(0.0)
        } else {
            let whole = (p.kernel[0] * p.kernel[1]) as usize;
            let inside = rows.len() * columns.len();
            lines.flatten().sum::<f32>() / if p.count_pad == 1 { whole } else { inside } as f32
        };
    }
}
