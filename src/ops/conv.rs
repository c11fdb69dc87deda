//! Two-dimensional convolution (cross-correlation) with an epilogue that passes may fill.

use super::{i32_of, image, inputs, u32_of, Activation, AxisReach, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::conv::{self as contract, Conv2dParams, PadMode};
use crate::kernel::Kernel;
use crate::tensor::{Layout, Shape, TensorSpec};
use crate::{Error, Result};

/// What the author of a network says of a convolution; pairs as (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Strides.
    pub stride: [usize; 2],
    /// Padding on either side.
    pub padding: [usize; 2],
    /// Dilations; 1 is dense.
    pub dilation: [usize; 2],
    /// Groups the channels are split into.
    pub groups: usize,
    /// What lies outside of the image.
    pub pad_mode: PadMode,
}

impl Default for Conv2d {
    /// Stride 1, no padding, dense, one group.
    fn default() -> Self {
        Self { stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1, pad_mode: PadMode::Zero }
    }
}

impl Conv2d {
    /// The same stride and padding on both axes.
    pub fn new(stride: usize, padding: usize) -> Self {
        Self { stride: [stride; 2], padding: [padding; 2], ..Self::default() }
    }

    /// Stride 1 and the zero padding that keeps an image's size under an odd kernel.
    pub fn same(kernel: usize) -> Self {
        Self::new(1, kernel / 2)
    }

    /// The image mirrored at its edge instead of zeros.
    #[must_use]
    pub fn reflect(mut self) -> Self {
        self.pad_mode = PadMode::Reflect;
        self
    }
}

/// What happens to a sum before it is stored: `act(sum + bias)·scale + Σ residual_scale·residual`, rectified at last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epilogue {
    /// One bias per output channel is added.
    pub bias: bool,
    /// The activation.
    pub act: Option<Activation>,
    /// Slopes of a PReLU that takes the activation's place: 0, 1 or one per channel.
    pub slopes: usize,
    /// Factor after the activation.
    pub scale: f32,
    /// Number of residuals added.
    pub residuals: usize,
    /// Their factors.
    pub residual_scale: [f32; 2],
    /// Whether numbers below zero become zero at last.
    pub rectified: bool,
}

impl Epilogue {
    /// Stores sums as they are.
    pub const NONE: Self = Self {
        bias: false,
        act: None,
        slopes: 0,
        scale: 1.0,
        residuals: 0,
        residual_scale: [0.0; 2],
        rectified: false,
    };
}

/// The convolution of a node. Inputs: x, w, then bias, slopes and residuals as the epilogue says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convolution {
    /// The author's part.
    pub conv: Conv2d,
    /// x is enlarged by this factor (nearest neighbour) while it is read; 1 reads it as it is.
    pub upsample: usize,
    /// What passes have fused into the store.
    pub epilogue: Epilogue,
    /// Set when x is a band of an image's rows.
    pub rows: Option<BandRows>,
}

/// Which rows of the result a convolution of a band computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandRows {
    /// Padding above the band; negative where the result needs nothing of the band's first rows.
    pub pad_above: i64,
    /// Number of rows computed.
    pub count: usize,
}

impl Convolution {
    /// Whether the epilogue knows an activation.
    pub fn takes(act: Activation) -> bool {
        act != Activation::Gelu
    }

    /// Position of the first residual among the inputs.
    pub fn first_residual(&self) -> usize {
        2 + usize::from(self.epilogue.bias) + usize::from(self.epilogue.slopes > 0)
    }

    fn n_inputs(&self) -> usize {
        self.first_residual() + self.epilogue.residuals
    }

    fn check_channels(&self, c_in: usize, w: [usize; 4]) -> Result<()> {
        let groups = self.conv.groups;
        if groups == 0 || !c_in.is_multiple_of(groups) || !w[0].is_multiple_of(groups) {
            return Err(Error::shape(format!("{c_in} and {} channels in {groups} groups", w[0])));
        }
        if c_in / groups != w[1] {
            let each = if groups == 1 { String::new() } else { format!(" in {groups} groups") };
            return Err(Error::shape(format!("{c_in} channels{each}, but the weight takes {}", w[1])));
        }
        Ok(())
    }

    fn check_extras(&self, extras: &[TensorSpec], y: Shape) -> Result<()> {
        let e = &self.epilogue;
        let mut wanted = Vec::new();
        if e.bias {
            wanted.push(Shape::new(&[y[1]])?);
        }
        if e.slopes > 0 {
            wanted.push(Shape::new(&[e.slopes])?);
        }
        wanted.resize(wanted.len() + e.residuals, y);
        for (given, wanted) in extras.iter().zip(&wanted) {
            if given.shape != *wanted {
                return Err(Error::shape(format!(
                    "bias, slopes or residual {}, wanted {wanted}",
                    given.shape
                )));
            }
        }
        if e.slopes > 1 && e.slopes != y[1] {
            return Err(Error::shape(format!("{} slopes for {} channels", e.slopes, y[1])));
        }
        Ok(())
    }

    fn out_extent(&self, axis: usize, extent: usize, kernel: usize) -> Result<usize> {
        let c = &self.conv;
        let out = Conv2dParams::out_extent(
            u32_of(extent)?,
            u32_of(kernel)?,
            u32_of(c.stride[axis])?,
            u32_of(c.dilation[axis])?,
            u32_of(c.padding[axis])?,
        );
        out.map(|v| v as usize).ok_or_else(|| {
            Error::shape(format!(
                "{extent} pixels, padded by {} on either side, are less than a kernel of {kernel} (dilation {}, stride {})",
                c.padding[axis], c.dilation[axis], c.stride[axis]
            ))
        })
    }

    fn params_epilogue(&self) -> Result<contract::Epilogue> {
        use contract::Activation as A;
        let e = &self.epilogue;
        let (act, slope) = match (e.slopes, e.act) {
            (1, _) => (A::PreluShared, 0.0),
            (2.., _) => (A::PreluChannel, 0.0),
            (0, None) => (A::None, 0.0),
            (0, Some(Activation::Relu)) => (A::Relu, 0.0),
            (0, Some(Activation::LeakyRelu(slope))) => (A::LeakyRelu, slope),
            (0, Some(Activation::Sigmoid)) => (A::Sigmoid, 0.0),
            (0, Some(other)) => {
                return Err(Error::unsupported(format!("{other:?} fused into a convolution")));
            }
        };
        Ok(contract::Epilogue {
            has_bias: u32::from(e.bias),
            act: act as u32,
            slope,
            scale: e.scale,
            residuals: e.residuals as u32,
            residual_scale: e.residual_scale,
            rectified: u32::from(e.rectified),
        })
    }
}

impl OpDef for Convolution {
    const NAME: &'static str = "conv2d";
    const LIE: Lie = Lie::Batched;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        if ins.len() != self.n_inputs() {
            return Err(Error::shape(format!("{} inputs given, {} wanted", ins.len(), self.n_inputs())));
        }
        let (x, w) = (image(&ins[0].shape)?, image(&ins[1].shape)?);
        self.check_channels(x[1], w)?;
        let h = match self.rows {
            Some(rows) => rows.count,
            None => self.out_extent(0, x[2] * self.upsample, w[2])?,
        };
        let wide = self.out_extent(1, x[3] * self.upsample, w[3])?;
        let y = Shape::new(&[x[0], w[0], h, wide])?;
        self.check_extras(&ins[2..], y)?;
        self.lower(&ins.iter().map(|s| Layout::dense(s.shape)).collect::<Vec<_>>(), &Layout::dense(y))?;
        Ok(TensorSpec::f32(y))
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        let Ok([_, w]) = inputs::<2>(&ins[..2]) else { return Reach::Global };
        if self.rows.is_some() {
            return Reach::Global;
        }
        let axis = |k: usize| {
            let c = &self.conv;
            let mut reach = AxisReach::window(w[2 + k], c.stride[k], c.padding[k], c.dilation[k]);
            reach.div *= self.upsample as i64;
            reach
        };
        Reach::Window([axis(0), axis(1)])
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let (x, w) = (image(&ins[0].shape)?, image(&ins[1].shape)?);
        let [n, c_out, h_out, w_out] = image(&y.shape)?;
        let c = &self.conv;
        let pair = |v: [usize; 2]| -> Result<[u32; 2]> { Ok([u32_of(v[0])?, u32_of(v[1])?]) };
        let residual = |k: usize| ins.get(self.first_residual() + k).map_or(0, |r| r.strides()[0] as u64);
        let params = Conv2dParams {
            batch: u32_of(n)?,
            c_in: u32_of(x[1])?,
            h_in: u32_of(x[2] * self.upsample)?,
            w_in: u32_of(x[3] * self.upsample)?,
            c_out: u32_of(c_out)?,
            h_out: u32_of(h_out)?,
            w_out: u32_of(w_out)?,
            kernel: pair([w[2], w[3]])?,
            stride: pair(c.stride)?,
            dilation: pair(c.dilation)?,
            pad: [
                i32_of(self.rows.map_or(c.padding[0] as i64, |rows| rows.pad_above))?,
                i32_of(c.padding[1] as i64)?,
            ],
            groups: u32_of(c.groups)?,
            pad_mode: c.pad_mode as u32,
            upsample: u32_of(self.upsample)?,
            x_batch_stride: ins[0].strides()[0] as u64,
            y_batch_stride: y.strides()[0] as u64,
            r_batch_stride: [residual(0), residual(1)],
            epilogue: self.params_epilogue()?,
        };
        params.check()?;
        Ok(vec![Call::of(Kernel::Conv2d(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        let per_output: usize = ins[1].shape.iter().skip(1).product();
        let base = super::pointwise_cost(0, ins, out);
        Cost { flops: 2 * (per_output * out.shape.numel()) as u64, ..base }
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input >= self.first_residual()
    }
}
