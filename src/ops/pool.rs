//! Pooling over windows.

use super::{f32_of, image, inputs, pointwise_cost, u32_of, AxisReach, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::pool::PoolParams;
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// The windows of a pooling; pairs as (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Window extents.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Padding on either side; at most half the window.
    pub padding: [usize; 2],
    /// Whether a mean also counts padding (PyTorch's default).
    pub count_pad: bool,
}

impl Pool2d {
    /// Square windows side by side, without padding.
    pub fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [kernel; 2], padding: [0; 2], count_pad: true }
    }
}

/// The maximum or mean of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The windows.
    pub windows: Pool2d,
    /// The mean instead of the maximum.
    pub mean: bool,
}

impl OpDef for Pool {
    const NAME: &'static str = "pool2d";
    const LIE: Lie = Lie::Batched;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        let (x, p) = (image(&x)?, &self.windows);
        let mut y = x;
        for k in 0..2 {
            let (kernel, stride, pad) = (u32_of(p.kernel[k])?, u32_of(p.stride[k])?, u32_of(p.padding[k])?);
            let out = Conv2dParams::out_extent(u32_of(x[2 + k])?, kernel, stride, 1, pad);
            y[2 + k] = out.filter(|_| 2 * pad <= kernel).ok_or_else(|| {
                Error::shape(format!(
                    "windows of {kernel}, stride {stride}, padding {pad} over {} pixels",
                    x[2 + k]
                ))
            })? as usize;
        }
        f32_of(&y)
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        let p = &self.windows;
        Reach::Window([0, 1].map(|k| AxisReach::window(p.kernel[k], p.stride[k], p.padding[k], 1)))
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let ([n, c, h, w], p) = (image(&ins[0].shape)?, &self.windows);
        let pair = |v: [usize; 2]| -> Result<[u32; 2]> { Ok([u32_of(v[0])?, u32_of(v[1])?]) };
        let params = PoolParams {
            batch: u32_of(n)?,
            channels: u32_of(c)?,
            h_in: u32_of(h)?,
            w_in: u32_of(w)?,
            h_out: u32_of(y.shape[2])?,
            w_out: u32_of(y.shape[3])?,
            kernel: pair(p.kernel)?,
            stride: pair(p.stride)?,
            pad: pair(p.padding)?,
            mean: u32::from(self.mean),
            count_pad: u32::from(p.count_pad),
            x_batch_stride: ins[0].strides()[0] as u64,
            y_batch_stride: y.strides()[0] as u64,
        };
        Ok(vec![Call::of(Kernel::Pool(params), [0])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost((self.windows.kernel[0] * self.windows.kernel[1]) as u64, ins, out)
    }
}
