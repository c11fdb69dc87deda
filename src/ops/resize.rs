//! Resizing of images, and the Gaussian blur kornia puts before shrinking.

use super::{f32_of, image, inputs, pointwise_cost, u32_of, AxisReach, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::blur::BlurParams;
use crate::kernel::resize::{ResizeMode, ResizeParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// Images resized to (rows, columns), PyTorch's conventions with `align_corners=False`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// How pixels are weighted.
    pub mode: ResizeMode,
    /// Rows and columns of the output.
    pub size: [usize; 2],
}

/// Separable Gaussian blur with mirrored borders; pairs as (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blur {
    /// Taps, odd.
    pub taps: [usize; 2],
    /// Standard deviations in pixels.
    pub sigma: [f32; 2],
}

impl Blur {
    /// What kornia's `resize(antialias=True)` does before shrinking `from` to `to`: per axis with
    /// q = from / to, sigma = max((q - 1) / 2, 0.001) and max(4·sigma, 3) taps, made odd.
    pub fn before_shrinking(from: [usize; 2], to: [usize; 2]) -> Self {
        let sigma = |k: usize| ((from[k] as f64 / to[k].max(1) as f64 - 1.0) / 2.0).max(0.001);
        let taps = |sigma: f64| (4.0 * sigma).max(3.0) as usize | 1;
        let sigmas = [sigma(0), sigma(1)];
        Self { taps: [taps(sigmas[0]), taps(sigmas[1])], sigma: [sigmas[0] as f32, sigmas[1] as f32] }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

impl OpDef for Resize {
    const NAME: &'static str = "resize";
    const LIE: Lie = Lie::Batched;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        let [n, c, h, w] = image(&x)?;
        if [h, w, self.size[0], self.size[1]].iter().any(|&v| v == 0 || v > 1 << 24) {
            return Err(Error::shape(format!("{h} x {w} resized to {} x {}", self.size[0], self.size[1])));
        }
        f32_of(&[n, c, self.size[0], self.size[1]])
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        let Ok(x) = image(&ins[0].shape) else { return Reach::Global };
        let axis = |k: usize| {
            let common = greatest_common_divisor(x[2 + k], self.size[k]);
            let (n_in, n_out) = ((x[2 + k] / common) as i64, (self.size[k] / common) as i64);
            let (before, after) = match self.mode {
                ResizeMode::Nearest => {
                    return AxisReach { step: n_in, div: n_out, first: 0, last: 0 };
                }
                ResizeMode::Bilinear => (0, 1),
                ResizeMode::Bicubic => (1, 2),
            };
            // Position ((2d + 1)·in - out) / (2·out) and its neighbours.
            let at = |pixels: i64| n_in - n_out + 2 * n_out * pixels;
            AxisReach { step: 2 * n_in, div: 2 * n_out, first: at(-before), last: at(after) }
        };
        Reach::Window([axis(0), axis(1)])
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let [n, c, h, w] = image(&ins[0].shape)?;
        let params = ResizeParams {
            batch: u32_of(n)?,
            channels: u32_of(c)?,
            h_in: u32_of(h)?,
            w_in: u32_of(w)?,
            h_out: u32_of(self.size[0])?,
            w_out: u32_of(self.size[1])?,
            mode: self.mode as u32,
            reserved: 0,
            x_batch_stride: ins[0].strides()[0] as u64,
            y_batch_stride: y.strides()[0] as u64,
        };
        Ok(vec![Call::of(Kernel::Resize(params), [0])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(2 * self.mode.taps().pow(2) as u64, ins, out)
    }
}

impl OpDef for Blur {
    const NAME: &'static str = "blur";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        let [_, _, h, w] = image(&x)?;
        for (extent, taps) in [h, w].into_iter().zip(self.taps) {
            if taps % 2 == 0 || taps / 2 >= extent {
                return Err(Error::shape(format!("a blur of {taps} taps over {extent} pixels")));
            }
        }
        Ok(TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Window(self.taps.map(|taps| AxisReach::window(taps, 1, taps / 2, 1)))
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let [n, c, h, w] = image(&ins[0].shape)?;
        let params = BlurParams {
            planes: u32_of(n * c)?,
            h: u32_of(h)?,
            w: u32_of(w)?,
            taps: [u32_of(self.taps[0])?, u32_of(self.taps[1])?],
            sigma: self.sigma,
        };
        Ok(vec![Call::of(Kernel::Blur(params), [0])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(2 * (self.taps[0] * self.taps[1]) as u64, ins, out)
    }
}
