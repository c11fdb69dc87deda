//! How many threads a kernel call is worth: handing work over costs time that a small call does not win back.

use crate::kernel::{Accuracy, Kernel};

/// Work below which a further thread does not pay, in nanoseconds of one thread.
const SHARE: f64 = 10_000.0;
/// Multiply-adds of one thread in a nanosecond, on a processor of today.
const PRODUCTS: f64 = 10.0;
/// Elements that one thread reads or writes in a nanosecond.
const ELEMENTS: f64 = 1.0;
/// Nanoseconds an exponential takes.
const EXPONENTIAL: f64 = 4.0;

/// Threads that a call is worth, at least one. Depends on its sizes only.
pub(super) fn threads_worth(kernel: &Kernel) -> usize {
    ((nanoseconds(kernel) / SHARE) as usize).max(1)
}

/// Estimated work, in nanoseconds of one thread.
fn nanoseconds(kernel: &Kernel) -> f64 {
    let (read, written) = (kernel.x_span(0) as f64, kernel.y_span() as f64);
    let computing = match kernel.accuracy() {
        Accuracy::Sum { k } => written * k as f64 / PRODUCTS,
        Accuracy::Transcendental => written * EXPONENTIAL,
        Accuracy::Exact | Accuracy::Ulp(_) => 0.0,
    };
    computing.max((read + written) / ELEMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::matmul::MatmulParams;
    use crate::kernel::reduce::AxisParams;
    use bytemuck::Zeroable;

    #[test]
    fn small_calls_stay_on_one_thread_and_large_ones_do_not() {
        let matmul = |m: u64| Kernel::Matmul(MatmulParams { m, n: 1000, k: 1000, ..MatmulParams::zeroed() });
        assert_eq!(
            threads_worth(&Kernel::Matmul(MatmulParams { m: 1, n: 10, k: 1000, ..MatmulParams::zeroed() })),
            1
        );
        assert!(threads_worth(&matmul(4)) > 4);
        assert!(threads_worth(&matmul(400)) > 400);
        let softmax = |n| Kernel::Softmax(AxisParams { outer: 1, n, inner: 1, mode: 0 });
        assert_eq!(threads_worth(&softmax(100)), 1);
        assert!(threads_worth(&softmax(1 << 20)) > 64);
    }
}
