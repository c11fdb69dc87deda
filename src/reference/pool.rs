//! Pooling, window by window.

use super::Element;
use crate::kernel::pool::PoolParams;

/// Computes y from x.
pub(super) fn run<T: Element>(p: &PoolParams, x: &[T], y: &mut [T]) {
    let (h_in, w_in, h, w) = (p.h_in as usize, p.w_in as usize, p.h_out as usize, p.w_out as usize);
    for n in 0..p.batch as usize {
        for c in 0..p.channels as usize {
            let plane = &x[n * p.x_batch_stride as usize + c * h_in * w_in..][..h_in * w_in];
            for row in 0..h {
                for column in 0..w {
                    let columns = p.window(1, column);
                    let window =
                        p.window(0, row).flat_map(|r| columns.clone().map(move |c| plane[r * w_in + c]));
                    let whole = (p.kernel[0] * p.kernel[1]) as usize;
                    let inside = p.window(0, row).len() * columns.len();
                    let v = match p.mean {
                        0 => window.reduce(|a, b| if b > a { b } else { a }).unwrap_or(T::from_f32(0.0)),
                        _ => {
                            window.sum::<T>()
                                / T::from_f64(if p.count_pad == 1 { whole } else { inside } as f64)
                        }
                    };
                    y[n * p.y_batch_stride as usize + (c * h + row) * w + column] = v;
                }
            }
        }
    }
}
