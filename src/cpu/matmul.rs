//! The matrix product of a linear layer: one dot product per element, in lanes.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::matmul::MatmulParams;

/// Partial sums of a dot product.
const LANES: usize = 16;

/// Columns of y a part works on.
const COLUMNS: usize = 64;

/// Computes y.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of an operand.
pub(super) unsafe fn run(p: &MatmulParams, args: &Args, pool: &Pool) {
    let (m, n, k) = (p.m as usize, p.n as usize, p.k as usize);
    let blocks = n.div_ceil(COLUMNS);
    pool.run(m * blocks, |part| {
        let (row, from) = (part / blocks.max(1), part % blocks.max(1) * COLUMNS);
        let columns = COLUMNS.min(n - from);
        // SAFETY: row of x, rows `from..` of w and bias are readable; this part's columns of y are its own.
        unsafe {
            let x = std::slice::from_raw_parts(args.x[0].add(row * k), k);
            let y = std::slice::from_raw_parts_mut(args.y.add(row * n + from), columns);
            for (column, y) in y.iter_mut().enumerate() {
                let w = std::slice::from_raw_parts(args.x[1].add((from + column) * k), k);
                let bias = if p.has_bias == 1 { *args.x[2].add(from + column) } else { 0.0 };
                *y = dot(x, w) + bias;
            }
        }
    });
}

fn dot(x: &[f32], w: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let (w_blocks, w_rest) = w.as_chunks::<LANES>();
    for (x, w) in x_blocks.iter().zip(w_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * w[lane];
        }
    }
    let rest: f32 = x_rest.iter().zip(w_rest).map(|(x, w)| x * w).sum();
    sums.iter().sum::<f32>() + rest
}
