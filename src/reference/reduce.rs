//! Reductions over one axis.

use super::Element;
use crate::kernel::reduce::{AxisParams, ReduceMode};
use crate::Result;

/// Computes y from x.
pub(super) fn run<T: Element>(p: &AxisParams, x: &[T], y: &mut [T]) -> Result<()> {
    let mode = p.reduce_mode()?;
    let (outer, n, inner) = (p.outer as usize, p.n as usize, p.inner as usize);
    for o in 0..outer {
        for i in 0..inner {
            let mut values: Vec<T> = (0..n).map(|k| x[(o * n + k) * inner + i]).collect();
            y[o * inner + i] = match mode {
                ReduceMode::Mean => values.iter().copied().sum::<T>() / T::from_f64(n as f64),
                ReduceMode::Max | ReduceMode::LowerMedian => {
                    values.sort_by(T::total_cmp);
                    values[if mode == ReduceMode::Max { n - 1 } else { (n - 1) / 2 }]
                }
            };
        }
    }
    Ok(())
}
