//! Softmax over one axis.

use super::Element;
use crate::kernel::reduce::AxisParams;

/// Computes y from x.
pub(super) fn run<T: Element>(p: &AxisParams, x: &[T], y: &mut [T]) {
    let (outer, n, inner) = (p.outer as usize, p.n as usize, p.inner as usize);
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * n + k) * inner + i;
            let largest = (0..n).map(|k| x[at(k)]).fold(x[at(0)], |a, b| if b > a { b } else { a });
            let sum: T = (0..n).map(|k| (x[at(k)] - largest).exp()).sum();
            for k in 0..n {
                y[at(k)] = (x[at(k)] - largest).exp() / sum;
            }
        }
    }
}
