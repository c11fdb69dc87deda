//! The matrix product of a linear layer.

use super::Element;
use crate::kernel::matmul::MatmulParams;

/// Computes y; operands are x, w, then bias if there is one.
pub(super) fn run<T: Element>(p: &MatmulParams, operands: &[Vec<T>], y: &mut [T]) {
    let (m, n, k) = (p.m as usize, p.n as usize, p.k as usize);
    let (x, w) = (&operands[0], &operands[1]);
    for row in 0..m {
        for column in 0..n {
            let products = (0..k).map(|i| x[row * k + i] * w[column * k + i]);
            let bias = operands.get(2).map_or(T::from_f32(0.0), |b| b[column]);
            y[row * n + column] = products.sum::<T>() + bias;
        }
    }
}
