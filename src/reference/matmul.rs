//! The matrix product of a linear layer.

use super::Element;
use crate::kernel::matmul::{MatmulActivation, MatmulParams};
use crate::Result;

/// Computes y; operands are x, w, then bias and residual if there are.
pub(super) fn run<T: Element>(p: &MatmulParams, operands: &[Vec<T>], y: &mut [T]) -> Result<()> {
    let (m, n, k) = (p.m as usize, p.n as usize, p.k as usize);
    let (x, w) = (&operands[0], &operands[1]);
    let (bias, residual) = operands[2..].split_at(p.has_bias as usize);
    let (act, zero) = (p.activation()?, T::from_f32(0.0));
    for row in 0..m {
        for column in 0..n {
            let products = (0..k).map(|i| x[row * k + i] * w[column * k + i]);
            let sum = products.sum::<T>() + bias.first().map_or(zero, |b| b[column]);
            let value = match act {
                MatmulActivation::Relu if sum < zero => zero,
                MatmulActivation::Gelu => sum.gelu(),
                _ => sum,
            };
            let at = row * n + column;
            y[at] = value + residual.first().map_or(zero, |r| r[at]);
        }
    }
    Ok(())
}
