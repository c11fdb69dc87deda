//! Pooling over windows, row by row.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::pool::PoolParams;

/// Computes y.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x.
pub(super) unsafe fn run(p: &PoolParams, args: &Args, pool: &Pool) {
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
        pool_row(p, x, row, y);
    });
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
