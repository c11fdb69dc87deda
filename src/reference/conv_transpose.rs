//! Transposed convolution, gathered pixel by pixel of y.

use super::Element;
use crate::kernel::conv_transpose::ConvTranspose2dParams;

/// Computes y; operands are x, w, then bias if there is one.
pub(super) fn run<T: Element>(p: &ConvTranspose2dParams, operands: &[Vec<T>], y: &mut [T]) {
    let [c_in, h_in, w_in, c_out, h_out, w_out, kernel] =
        [p.c_in, p.h_in, p.w_in, p.c_out, p.h_out, p.w_out, p.kernel].map(|v| v as usize);
    // Pairs of a kernel's element and the row or column of x it meets, for one of y.
    let meets = |out: usize, extent: usize| {
        (0..kernel).filter_map(move |k| {
            let at = (out + p.pad as usize).checked_sub(k)?;
            let inside = at.is_multiple_of(p.stride as usize) && at / (p.stride as usize) < extent;
            inside.then_some((k, at / p.stride as usize))
        })
    };
    let zero = T::from_f32(0.0);
    for n in 0..p.batch as usize {
        for co in 0..c_out {
            for row in 0..h_out {
                for column in 0..w_out {
                    let mut sum = operands.get(2).map_or(zero, |bias| bias[co]);
                    for ci in 0..c_in {
                        for (ky, i) in meets(row, h_in) {
                            for (kx, j) in meets(column, w_in) {
                                let x =
                                    operands[0][n * p.x_batch_stride as usize + (ci * h_in + i) * w_in + j];
                                sum += x * operands[1][((ci * c_out + co) * kernel + ky) * kernel + kx];
                            }
                        }
                    }
                    let value = if p.relu == 1 && sum < zero { zero } else { sum };
                    y[n * p.y_batch_stride as usize + (co * h_out + row) * w_out + column] = value;
                }
            }
        }
    }
}
