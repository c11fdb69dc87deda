//! Two-dimensional transposed convolution with an epilogue that passes may fill.

use super::{image, u32_of, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::conv_transpose::ConvTranspose2dParams;
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// What the author of a network says of a transposed convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2d {
    /// Distance in y of neighbours in x.
    pub stride: usize,
    /// Rows and columns cut off y on all sides.
    pub padding: usize,
}

impl ConvTranspose2d {
    /// The padding with which a kernel of four doubles an image's sides.
    pub fn doubling() -> Self {
        Self { stride: 2, padding: 1 }
    }
}

/// The transposed convolution of a node. Inputs: x, w (c_in, c_out, kernel, kernel), then bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransposedConvolution {
    /// The author's part.
    pub conv: ConvTranspose2d,
    /// Whether a bias per channel is added.
    pub bias: bool,
    /// Whether negative values become zero.
    pub relu: bool,
}

impl OpDef for TransposedConvolution {
    const NAME: &'static str = "conv_transpose2d";
    const LIE: Lie = Lie::Batched;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x, w, bias @ ..] = ins else {
            return Err(Error::shape(format!("{} inputs given, x and a weight wanted", ins.len())));
        };
        let ([n, c_in, h, wide], [w_in, c_out, kernel, kernel_w]) = (image(&x.shape)?, image(&w.shape)?);
        let biased = bias.iter().all(|b| *b.shape == [c_out]) && bias.len() == usize::from(self.bias);
        if c_in != w_in || kernel != kernel_w || !biased {
            return Err(Error::shape(format!("a weight of {} for {}, or its bias", w.shape, x.shape)));
        }
        let ConvTranspose2d { stride, padding } = self.conv;
        let extent = |extent: usize| -> Result<usize> {
            let [extent, kernel, stride, padding] =
                [u32_of(extent)?, u32_of(kernel)?, u32_of(stride)?, u32_of(padding)?];
            let out = ConvTranspose2dParams::out_extent(extent, kernel, stride, padding);
            out.map(|v| v as usize).ok_or_else(|| Error::shape(format!("nothing is left of {extent} pixels")))
        };
        let y = super::f32_of(&[n, c_out, extent(h)?, extent(wide)?])?;
        self.lower(&ins.iter().map(|s| Layout::dense(s.shape)).collect::<Vec<_>>(), &Layout::dense(y.shape))?;
        Ok(y)
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let ([n, c_in, h, w], [_, c_out, h_out, w_out]) = (image(&ins[0].shape)?, image(&y.shape)?);
        let params = ConvTranspose2dParams {
            batch: u32_of(n)?,
            c_in: u32_of(c_in)?,
            h_in: u32_of(h)?,
            w_in: u32_of(w)?,
            c_out: u32_of(c_out)?,
            h_out: u32_of(h_out)?,
            w_out: u32_of(w_out)?,
            kernel: u32_of(ins[1].shape[2])?,
            stride: u32_of(self.conv.stride)?,
            pad: u32_of(self.conv.padding)?,
            has_bias: u32::from(self.bias),
            relu: u32::from(self.relu),
            x_batch_stride: ins[0].strides()[0] as u64,
            y_batch_stride: y.strides()[0] as u64,
        };
        params.check()?;
        Ok(vec![Call::of(Kernel::ConvTranspose2d(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        let base = super::pointwise_cost(0, ins, out);
        let per_pixel: usize = ins[1].shape.iter().skip(1).product();
        Cost { flops: 2 * (per_pixel * ins[0].shape.numel()) as u64, ..base }
    }
}
