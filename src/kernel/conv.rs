//! Contract of the two-dimensional convolution (cross-correlation) and of the epilogue fused into
//! its store.
//!
//! Layout is NCHW. The planes of a tensor's channels follow each other without a gap, images are a
//! batch stride apart: x, y and the residuals may thus be channel slices of larger slabs. y may lie
//! in the slab of x when their channels do not overlap, and a residual may be y itself.
//!
//! `y = act(conv(x) + bias) * scale + residual_scale[0] * r0 + residual_scale[1] * r1`, and zero where that is below
//! zero if it is rectified

use bytemuck::{Pod, Zeroable};

use crate::{Error, Result};

/// Kernels may compute y in square blocks of so many pixels, counted from its first pixel; then a
/// pixel's last bits depend on its place in the block, and an image cut at multiples of this keeps
/// them.
pub const BLOCK_PIXELS: usize = 4;

/// Largest number of elements one tensor of a convolution may span.
const MAX_ELEMENTS: u64 = 1 << 40;

/// Parameters of one convolution; extents in elements, pairs as (vertical, horizontal).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct Conv2dParams {
    /// Images.
    pub batch: u32,
    /// Channels of x, all groups together.
    pub c_in: u32,
    /// Rows the kernel sees: those of x times `upsample`.
    pub h_in: u32,
    /// Columns the kernel sees: those of x times `upsample`.
    pub w_in: u32,
    /// Channels of y, all groups together.
    pub c_out: u32,
    /// Rows of y. What the kernel reads below the last row of x is padding.
    pub h_out: u32,
    /// Columns of y. What the kernel reads right of the last column of x is padding.
    pub w_out: u32,
    /// Kernel extents.
    pub kernel: [u32; 2],
    /// Strides.
    pub stride: [u32; 2],
    /// Dilations; 1 is dense.
    pub dilation: [u32; 2],
    /// Padding above and left of x; negative, as many rows or columns of x are left out.
    pub pad: [i32; 2],
    /// Groups; channels of x and of y are split evenly among them.
    pub groups: u32,
    /// What lies outside of x: a [`PadMode`] as its number.
    pub pad_mode: u32,
    /// x is read through a nearest-neighbour enlargement by this factor; 1 reads it as it is.
    pub upsample: u32,
    /// Distance of x's images.
    pub x_batch_stride: u64,
    /// Distance of y's images.
    pub y_batch_stride: u64,
    /// Distance of each residual's images.
    pub r_batch_stride: [u64; 2],
    /// What happens to a sum before it is stored.
    pub epilogue: Epilogue,
}

/// What happens to an accumulated sum before it is stored; see the module for the formula.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct Epilogue {
    /// 1 if one bias per channel of y is added, else 0.
    pub has_bias: u32,
    /// The activation: an [`Activation`] as its number.
    pub act: u32,
    /// Slope of [`Activation::LeakyRelu`] below zero.
    pub slope: f32,
    /// Factor after the activation.
    pub scale: f32,
    /// Residuals added: 0, 1 or 2.
    pub residuals: u32,
    /// Factor of each residual.
    pub residual_scale: [f32; 2],
    /// 1 if numbers below zero then become zero, else 0.
    pub rectified: u32,
}

/// What a kernel reads outside of its input.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// Zeros.
    Zero = 0,
    /// The image mirrored at its edge, the edge row or column not repeated.
    Reflect = 1,
}

/// The function applied to a sum and its bias.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// The identity.
    None = 0,
    /// max(v, 0).
    Relu = 1,
    /// v, or `slope` times v below zero.
    LeakyRelu = 2,
    /// As LeakyRelu with one learned slope for all channels.
    PreluShared = 3,
    /// As LeakyRelu with one learned slope per channel.
    PreluChannel = 4,
    /// 1 / (1 + exp(-v)).
    Sigmoid = 5,
}

impl Epilogue {
    /// Stores the sums as they are.
    pub const NONE: Self = Self {
        has_bias: 0,
        act: Activation::None as u32,
        slope: 0.0,
        scale: 1.0,
        residuals: 0,
        residual_scale: [0.0; 2],
        rectified: 0,
    };

    /// The activation, or an error if the number names none.
    pub fn activation(&self) -> Result<Activation> {
        Ok(match self.act {
            0 => Activation::None,
            1 => Activation::Relu,
            2 => Activation::LeakyRelu,
            3 => Activation::PreluShared,
            4 => Activation::PreluChannel,
            5 => Activation::Sigmoid,
            other => return Err(Error::unsupported(format!("conv2d: activation {other}, known are 0 to 5"))),
        })
    }

    /// Number of learned slopes the activation reads.
    pub fn slopes(&self, c_out: usize) -> usize {
        match self.act {
            a if a == Activation::PreluShared as u32 => 1,
            a if a == Activation::PreluChannel as u32 => c_out,
            _ => 0,
        }
    }
}

impl Conv2dParams {
    /// A convolution of densely stored tensors with stride 1, zero padding that keeps the size of x
    /// (odd kernels), one group and no epilogue; `x` is (batch, channels, rows, columns).
    pub fn same(x: [u32; 4], c_out: u32, kernel: u32) -> Self {
        let [batch, c_in, h, w] = x;
        let plane = u64::from(h) * u64::from(w);
        Self {
            batch,
            c_in,
            h_in: h,
            w_in: w,
            c_out,
            h_out: h,
            w_out: w,
            kernel: [kernel; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pad: [kernel as i32 / 2; 2],
            groups: 1,
            pad_mode: PadMode::Zero as u32,
            upsample: 1,
            x_batch_stride: u64::from(c_in) * plane,
            y_batch_stride: u64::from(c_out) * plane,
            r_batch_stride: [u64::from(c_out) * plane; 2],
            epilogue: Epilogue::NONE,
        }
    }

    /// Rows or columns of y for an input extent: PyTorch's formula, `pad` on both sides.
    /// None if the kernel does not fit.
    pub fn out_extent(extent: u32, kernel: u32, stride: u32, dilation: u32, pad: u32) -> Option<u32> {
        let reach = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
        let padded = extent.checked_add(pad.checked_mul(2)?)?;
        padded.checked_sub(reach)?.checked_div(stride)?.checked_add(1)
    }

    /// Number of weights: c_out × c_in / groups × kernel rows × kernel columns.
    pub fn weight_len(&self) -> usize {
        let per_group = self.c_in.checked_div(self.groups).unwrap_or(0) as usize;
        self.c_out as usize * per_group * self.kernel[0] as usize * self.kernel[1] as usize
    }

    /// Multiplications (each with an addition) of the whole convolution.
    pub fn macs(&self) -> u64 {
        u64::from(self.batch) * u64::from(self.h_out) * u64::from(self.w_out) * self.weight_len() as u64
    }

    /// Elements of one channel's plane of x, as stored (before `upsample`).
    pub fn x_plane(&self) -> usize {
        let up = self.upsample.max(1);
        (self.h_in / up) as usize * (self.w_in / up) as usize
    }

    /// Elements of one channel's plane of y.
    pub fn y_plane(&self) -> usize {
        self.h_out as usize * self.w_out as usize
    }

    /// Elements from the first of x to one past its last.
    pub fn x_span(&self) -> usize {
        span(self.batch, self.x_batch_stride, self.c_in as usize * self.x_plane())
    }

    /// Elements from the first of y to one past its last.
    pub fn y_span(&self) -> usize {
        span(self.batch, self.y_batch_stride, self.c_out as usize * self.y_plane())
    }

    /// Elements from the first of a residual to one past its last.
    pub fn r_span(&self, residual: usize) -> usize {
        let stride = self.r_batch_stride.get(residual).copied().unwrap_or(0);
        span(self.batch, stride, self.c_out as usize * self.y_plane())
    }

    /// Whether the parameters describe a convolution at all. Devices rely on it.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::shape(format!("conv2d: {what}")));
        let extents = [self.h_in, self.w_in, self.h_out, self.w_out, self.batch, self.c_in, self.c_out];
        if extents.contains(&0) {
            return bad(format!("an extent of {extents:?} is zero"));
        }
        if self.groups == 0
            || !self.c_in.is_multiple_of(self.groups)
            || !self.c_out.is_multiple_of(self.groups)
        {
            return bad(format!("{} and {} channels in {} groups", self.c_in, self.c_out, self.groups));
        }
        if [self.kernel, self.stride, self.dilation].iter().flatten().any(|&v| v == 0 || v > 1 << 15) {
            return bad(format!(
                "kernel {:?} stride {:?} dilation {:?}",
                self.kernel, self.stride, self.dilation
            ));
        }
        if self.pad.iter().any(|p| p.unsigned_abs() > 1 << 30) {
            return bad(format!("padding {:?}", self.pad));
        }
        if self.upsample == 0
            || !self.h_in.is_multiple_of(self.upsample)
            || !self.w_in.is_multiple_of(self.upsample)
        {
            return bad(format!("{} x {} enlarged by {}", self.h_in, self.w_in, self.upsample));
        }
        if self.pad_mode > PadMode::Reflect as u32 || self.epilogue.residuals > 2 {
            return bad(format!("padding {}, {} residuals", self.pad_mode, self.epilogue.residuals));
        }
        self.epilogue.activation()?;
        self.check_sizes()?;
        if self.pad_mode == PadMode::Reflect as u32 {
            self.check_reflect(0, self.h_in, self.h_out)?;
            self.check_reflect(1, self.w_in, self.w_out)?;
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<()> {
        let product = |factors: [u32; 4]| {
            factors.iter().try_fold(1u64, |p, &f| p.checked_mul(u64::from(f))).filter(|&p| p <= MAX_ELEMENTS)
        };
        let fits = product([self.batch, self.c_in, self.h_in, self.w_in]).is_some()
            && product([self.batch, self.c_out, self.h_out, self.w_out]).is_some()
            && product([self.c_out, self.c_in, self.kernel[0], self.kernel[1]]).is_some()
            && [self.x_batch_stride, self.y_batch_stride]
                .iter()
                .chain(&self.r_batch_stride)
                .all(|&s| s.checked_mul(u64::from(self.batch)).is_some_and(|span| span <= MAX_ELEMENTS));
        if fits {
            return Ok(());
        }
        Err(Error::limit(format!(
            "conv2d: batch {} of {}x{}x{} to {}x{}x{} is over {MAX_ELEMENTS} elements",
            self.batch, self.c_in, self.h_in, self.w_in, self.c_out, self.h_out, self.w_out
        )))
    }

    /// A mirrored index must fall into the image, so padding stays below the extent on both sides.
    fn check_reflect(&self, axis: usize, extent: u32, out: u32) -> Result<()> {
        let (stride, reach) = (self.stride[axis], self.dilation[axis] * (self.kernel[axis] - 1));
        let last = i64::from(out - 1) * i64::from(stride) + i64::from(reach) - i64::from(self.pad[axis]);
        let after = (last - i64::from(extent) + 1).max(0);
        if i64::from(self.pad[axis]) >= i64::from(extent) || after >= i64::from(extent) {
            return Err(Error::shape(format!(
                "conv2d: reflection by {} and {after} needs more than {extent} rows or columns",
                self.pad[axis]
            )));
        }
        Ok(())
    }
}

fn span(batch: u32, stride: u64, image: usize) -> usize {
    batch.saturating_sub(1) as usize * stride as usize + image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_a_device_sees() {
        assert_eq!(std::mem::size_of::<Epilogue>(), 32);
        assert_eq!(std::mem::size_of::<Conv2dParams>(), 136);
    }

    #[test]
    fn out_extent_follows_pytorch() {
        assert_eq!(Conv2dParams::out_extent(32, 3, 1, 1, 1), Some(32));
        assert_eq!(Conv2dParams::out_extent(33, 4, 2, 1, 1), Some(16));
        assert_eq!(Conv2dParams::out_extent(7, 3, 1, 4, 0), None);
    }

    #[test]
    fn check_names_what_does_not_fit() {
        let ok = Conv2dParams::same([1, 4, 5, 6], 8, 3);
        assert!(ok.check().is_ok());
        for bad in [
            Conv2dParams { groups: 3, ..ok },
            Conv2dParams { stride: [0, 1], ..ok },
            Conv2dParams { upsample: 2, ..ok },
            Conv2dParams { pad_mode: 1, h_in: 1, h_out: 1, ..ok },
            Conv2dParams { batch: u32::MAX, h_in: u32::MAX, ..ok },
            Conv2dParams { epilogue: Epilogue { act: 9, ..Epilogue::NONE }, ..ok },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
