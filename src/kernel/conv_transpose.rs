//! Contract of the transposed convolution, PyTorch's `conv_transpose2d`: every pixel of x adds a
//! kernel's worth of pixels to y.
//!
//! `y[co, i·stride + ki - pad] = act(Σ x[ci, i] · w[ci, co, ki] + bias[co])`. Images lie as those of
//! [`super::conv`]; y overlaps nothing.

use bytemuck::{Pod, Zeroable};

use super::conv::Conv2dParams;
use crate::{Error, Result};

/// Parameters of one transposed convolution.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct ConvTranspose2dParams {
    /// Images.
    pub batch: u32,
    /// Channels of x.
    pub c_in: u32,
    /// Rows of x.
    pub h_in: u32,
    /// Columns of x.
    pub w_in: u32,
    /// Channels of y.
    pub c_out: u32,
    /// Rows of y.
    pub h_out: u32,
    /// Columns of y.
    pub w_out: u32,
    /// Side of the kernel; at least `stride + pad`.
    pub kernel: u32,
    /// Distance in y of neighbours in x.
    pub stride: u32,
    /// Rows and columns cut off y on all sides.
    pub pad: u32,
    /// 1 if one bias per channel of y is added.
    pub has_bias: u32,
    /// 1 if max(v, 0) is stored.
    pub relu: u32,
    /// Distance of x's images.
    pub x_batch_stride: u64,
    /// Distance of y's images.
    pub y_batch_stride: u64,
}

/// The pixels of y of one phase, every `stride`-th, as a plain convolution of x along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Kernel taps, ascending with x; tap `u` is the kernel's element `last - u·stride`.
    pub taps: u32,
    /// The kernel's element of the first tap.
    pub last: u32,
    /// Padding before x.
    pub pad: u32,
    /// Pixels of y.
    pub extent: u32,
}

impl ConvTranspose2dParams {
    /// Rows or columns of y: PyTorch's formula. None if nothing is left.
    pub fn out_extent(extent: u32, kernel: u32, stride: u32, pad: u32) -> Option<u32> {
        let whole = extent.checked_sub(1)?.checked_mul(stride)?.checked_add(kernel)?;
        whole.checked_sub(pad.checked_mul(2)?).filter(|&left| left > 0)
    }

    /// Number of weights.
    pub fn weight_len(&self) -> usize {
        self.c_in as usize * self.c_out as usize * self.kernel as usize * self.kernel as usize
    }

    /// The phase of y's pixels `phase`, `phase + stride`, … of an axis of so many pixels.
    pub fn phase(&self, phase: u32, extent: u32) -> Phase {
        let first = (phase + self.pad) % self.stride;
        let taps = (self.kernel - first).div_ceil(self.stride);
        let ahead = (phase + self.pad) / self.stride;
        Phase {
            taps,
            last: first + (taps - 1) * self.stride,
            pad: taps - 1 - ahead.min(taps - 1),
            extent: extent.saturating_sub(phase).div_ceil(self.stride),
        }
    }

    /// Whether the parameters describe a transposed convolution that devices take.
    ///
    /// # Errors
    /// `Shape` or `Limit` when not.
    pub fn check(&self) -> Result<()> {
        if self.stride == 0 || self.kernel > 64 || self.stride + self.pad > self.kernel {
            return Err(Error::shape(format!(
                "conv_transpose2d: kernel {} stride {} padding {} (stride and padding together at most the kernel, at \
                 most 64)",
                self.kernel, self.stride, self.pad
            )));
        }
        let as_conv = Conv2dParams {
            h_out: self.h_out,
            w_out: self.w_out,
            ..Conv2dParams::same([self.batch, self.c_in, self.h_in, self.w_in], self.c_out, self.kernel)
        };
        let strides = [self.x_batch_stride, self.y_batch_stride];
        Conv2dParams { x_batch_stride: strides[0], y_batch_stride: strides[1], ..as_conv }.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_has_two_phases_of_two_taps() {
        let p = ConvTranspose2dParams { kernel: 4, stride: 2, pad: 1, ..Zeroable::zeroed() };
        assert_eq!(p.phase(0, 10), Phase { taps: 2, last: 3, pad: 1, extent: 5 });
        assert_eq!(p.phase(1, 10), Phase { taps: 2, last: 2, pad: 0, extent: 5 });
        assert_eq!(ConvTranspose2dParams::out_extent(5, 4, 2, 1), Some(10));
    }
}
