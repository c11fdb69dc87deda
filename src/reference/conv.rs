//! Convolution, one sum per output pixel.

use super::Element;
use crate::kernel::blur::mirror;
use crate::kernel::conv::{Activation, Conv2dParams, PadMode};
use crate::Result;

/// Computes y; operands are x, w, then bias, slopes and residuals as the epilogue says.
pub(super) fn run<T: Element>(p: &Conv2dParams, operands: &[Vec<T>], y: &mut [T]) -> Result<()> {
    let e = &p.epilogue;
    let act = e.activation()?;
    let mut extras = operands[2..].iter();
    let bias = if e.has_bias == 1 { extras.next() } else { None };
    let slopes = if e.slopes(p.c_out as usize) > 0 { extras.next() } else { None };
    let residuals: Vec<&Vec<T>> = extras.collect();
    let (h, w) = (p.h_out as usize, p.w_out as usize);
    for n in 0..p.batch as usize {
        for c in 0..p.c_out as usize {
            let bias = bias.map_or(T::from_f32(0.0), |b| b[c]);
            let slope = slopes.map_or(T::from_f32(e.slope), |s| s[c.min(s.len() - 1)]);
            for row in 0..h {
                for column in 0..w {
                    let at = (c * h + row) * w + column;
                    let sum = pixel(p, &operands[0], &operands[1], n, c, row, column) + bias;
                    let mut v = activate(act, slope, sum) * T::from_f32(e.scale);
                    for (k, r) in residuals.iter().enumerate() {
                        v += T::from_f32(e.residual_scale[k]) * r[n * p.r_batch_stride[k] as usize + at];
                    }
                    if e.rectified == 1 {
                        v = activate(Activation::Relu, slope, v);
                    }
                    y[n * p.y_batch_stride as usize + at] = v;
                }
            }
        }
    }
    Ok(())
}

fn pixel<T: Element>(p: &Conv2dParams, x: &[T], w: &[T], n: usize, c: usize, row: usize, column: usize) -> T {
    let c_in = (p.c_in / p.groups) as usize;
    let group = c / (p.c_out / p.groups) as usize;
    let (kh, kw) = (p.kernel[0] as usize, p.kernel[1] as usize);
    let up = p.upsample as usize;
    let width = p.w_in as usize / up;
    let mut sum = T::from_f32(0.0);
    for i in 0..c_in {
        let plane = n * p.x_batch_stride as usize + (group * c_in + i) * p.x_plane();
        for ky in 0..kh {
            let Some(sy) = source(p, 0, row, ky, p.h_in) else { continue };
            for kx in 0..kw {
                let Some(sx) = source(p, 1, column, kx, p.w_in) else { continue };
                let weight = w[((c * c_in + i) * kh + ky) * kw + kx];
                sum += weight * x[plane + (sy / up) * width + sx / up];
            }
        }
    }
    sum
}

/// The input row or column a tap reads; `None` is a zero.
fn source(p: &Conv2dParams, axis: usize, out: usize, tap: usize, extent: u32) -> Option<usize> {
    let at = out as i64 * i64::from(p.stride[axis]) + tap as i64 * i64::from(p.dilation[axis])
        - i64::from(p.pad[axis]);
    if (0..i64::from(extent)).contains(&at) {
        return Some(at as usize);
    }
    (p.pad_mode == PadMode::Reflect as u32).then(|| mirror(at, i64::from(extent)))
}

fn activate<T: Element>(act: Activation, slope: T, v: T) -> T {
    let zero = T::from_f32(0.0);
    match act {
        Activation::None => v,
        Activation::Relu if v < zero => zero,
        Activation::LeakyRelu | Activation::PreluShared | Activation::PreluChannel if v < zero => v * slope,
        Activation::Relu | Activation::LeakyRelu | Activation::PreluShared | Activation::PreluChannel => v,
        Activation::Sigmoid => T::from_f32(1.0) / (T::from_f32(1.0) + (zero - v).exp()),
    }
}
