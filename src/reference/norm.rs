//! Layer norm over rows.

use super::Element;
use crate::kernel::norm::LayerNormParams;

/// Computes y; operands are x, w, b, then the residual if there is one.
pub(super) fn run<T: Element>(p: &LayerNormParams, operands: &[Vec<T>], y: &mut [T]) {
    let n = p.n as usize;
    let count = T::from_f64(n as f64);
    let (w, b) = (&operands[1], &operands[2]);
    for row in 0..p.rows as usize {
        let x = &operands[0][row * n..][..n];
        let mean = x.iter().copied().sum::<T>() / count;
        let var = x.iter().map(|&v| (v - mean) * (v - mean)).sum::<T>() / count;
        let deviation = (var + T::from_f32(p.eps)).sqrt();
        for i in 0..n {
            let residual = operands.get(3).map_or(T::from_f32(0.0), |r| r[row * n + i]);
            y[row * n + i] = (x[i] - mean) / deviation * w[i] + b[i] + residual;
        }
    }
}
