//! Gaussian blur, one double sum per pixel.

use super::Element;
use crate::kernel::blur::{gaussian, mirror, BlurParams};

/// Computes y from x.
pub(super) fn run<T: Element>(p: &BlurParams, x: &[T], y: &mut [T]) {
    let (h, w) = (p.h as usize, p.w as usize);
    let taps = p.taps.map(|t| t as usize);
    let weights = [0, 1].map(|k| gaussian(taps[k], f64::from(p.sigma[k])));
    for plane in 0..p.planes as usize {
        let base = plane * h * w;
        for row in 0..h {
            for column in 0..w {
                let mut sum = T::from_f32(0.0);
                for (i, wy) in weights[0].iter().enumerate() {
                    let sy = mirror((row + i) as i64 - (taps[0] / 2) as i64, h as i64);
                    for (j, wx) in weights[1].iter().enumerate() {
                        let sx = mirror((column + j) as i64 - (taps[1] / 2) as i64, w as i64);
                        sum += T::from_f64(wy * wx) * x[base + sy * w + sx];
                    }
                }
                y[base + row * w + column] = sum;
            }
        }
    }
}
