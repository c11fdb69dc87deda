//! Contract of image resizing: each output pixel is a weighted sum of a few input pixels per axis.
//!
//! Conventions are PyTorch's with `align_corners=False`: output pixel d looks at the input position
//! (d + ½)·in/out - ½. Positions are computed as exact fractions, so weights do not depend on where
//! in an image a pixel lies, only on its phase.

use bytemuck::{Pod, Zeroable};

use crate::{Error, Result};

/// How pixels are weighted.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeMode {
    /// The pixel at floor(d·in/out).
    Nearest = 0,
    /// Two pixels per axis, linear; positions left of the first pixel are clamped to it.
    Bilinear = 1,
    /// Four pixels per axis, Keys' cubic with a = -0.75; indices are clamped.
    Bicubic = 2,
}

/// Parameters of one resize of `batch` images of `channels` planes; planes lie gap-free.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct ResizeParams {
    /// Images.
    pub batch: u32,
    /// Planes per image.
    pub channels: u32,
    /// Rows of x.
    pub h_in: u32,
    /// Columns of x.
    pub w_in: u32,
    /// Rows of y.
    pub h_out: u32,
    /// Columns of y.
    pub w_out: u32,
    /// A [`ResizeMode`] as its number.
    pub mode: u32,
    /// Zero.
    pub reserved: u32,
    /// Distance of x's images in elements.
    pub x_batch_stride: u64,
    /// Distance of y's images in elements.
    pub y_batch_stride: u64,
}

impl ResizeParams {
    /// The mode, or an error if the number names none.
    pub fn resize_mode(&self) -> Result<ResizeMode> {
        Ok(match self.mode {
            0 => ResizeMode::Nearest,
            1 => ResizeMode::Bilinear,
            2 => ResizeMode::Bicubic,
            other => return Err(Error::unsupported(format!("resize: mode {other}, known are 0 to 2"))),
        })
    }
}

/// The input pixels one output pixel of an axis is made of; unused taps have weight zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taps {
    /// Indices into the input axis, already clamped.
    pub index: [u32; 4],
    /// Their weights.
    pub weight: [f64; 4],
}

impl ResizeMode {
    /// Number of taps per axis.
    pub fn taps(self) -> usize {
        match self {
            ResizeMode::Nearest => 1,
            ResizeMode::Bilinear => 2,
            ResizeMode::Bicubic => 4,
        }
    }

    /// The taps of output pixel `d` of an axis of `n_in` pixels resized to `n_out`.
    pub fn tap(self, d: usize, n_in: usize, n_out: usize) -> Taps {
        let (d, n_in, n_out) = (d as i64, n_in as i64, n_out as i64);
        let clamp = |i: i64| i.clamp(0, n_in - 1) as u32;
        let mut taps = Taps { index: [0; 4], weight: [0.0; 4] };
        if self == ResizeMode::Nearest {
            taps.index[0] = clamp(d * n_in / n_out);
            taps.weight[0] = 1.0;
            return taps;
        }
        // ((2d + 1)·in - out) / (2·out), as a whole part and a fraction.
        let position = (2 * d + 1) * n_in - n_out;
        let (mut first, mut fraction) =
            (position.div_euclid(2 * n_out), position.rem_euclid(2 * n_out) as f64 / (2 * n_out) as f64);
        if self == ResizeMode::Bilinear {
            if first < 0 {
                (first, fraction) = (0, 0.0);
            }
            taps.index[..2].copy_from_slice(&[clamp(first), clamp(first + 1)]);
            taps.weight[..2].copy_from_slice(&[1.0 - fraction, fraction]);
        } else {
            taps.index = [clamp(first - 1), clamp(first), clamp(first + 1), clamp(first + 2)];
            taps.weight = cubic(fraction);
        }
        taps
    }
}

/// Keys' cubic convolution weights for a fraction in 0..1, a = -0.75.
fn cubic(t: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_alternates_between_two_phases() {
        for d in 2..20 {
            let t = ResizeMode::Bilinear.tap(d, 16, 32);
            let expected = if d % 2 == 1 { [0.75, 0.25] } else { [0.25, 0.75] };
            assert_eq!(&t.weight[..2], &expected);
            assert_eq!(t.index[0] as usize, (d - 1) / 2);
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for d in 0..30 {
            let w = ResizeMode::Bicubic.tap(d, 7, 30).weight;
            assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
