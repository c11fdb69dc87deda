//! The handle networks are written with: each method appends one operator to the graph.

use std::ops::Range;
use std::panic::Location;

use super::builder::{Builder, Mode};
use super::ValueId;
use crate::kernel::reduce::ReduceMode;
use crate::kernel::resize::ResizeMode;
use crate::kernel::samples::ChannelScale;
use crate::ops::{
    Activate, Activation, Add, BatchNorm, Bias, Blur, BoxDecode, Concat, Conv2d, ConvTranspose2d,
    Convolution, Epilogue, Gather, LayerNorm, Linear, Maximum, Mul, Nms, Normalise, Op, PadAxis, Permute,
    PixelShuffle, PixelUnshuffle, Pool, Pool2d, Prelu, Reduce, Reshape, Resize, RoiAlign, Scale, Slice,
    Softmax, ToSamples, TopK, TransposedConvolution, WindowAttention,
};
use crate::tensor::{DType, Shape};
use crate::Error;

/// A tensor of the graph being built. Cheap to copy; after a mistake, void and inert.
#[derive(Debug, Clone, Copy)]
pub struct Var<'b> {
    pub(super) b: &'b Builder,
    pub(super) id: Option<ValueId>,
}

impl<'b> Var<'b> {
    /// The builder this belongs to.
    pub fn builder(self) -> &'b Builder {
        self.b
    }

    /// Extents; of rank 0 when void.
    pub fn shape(self) -> Shape {
        match self.id {
            Some(id) => self.b.spec(id).shape,
            None => Shape::SCALAR,
        }
    }

    /// One extent; 1 when void or when there is no such axis.
    pub fn dim(self, axis: usize) -> usize {
        self.shape().get(axis).copied().unwrap_or(1)
    }

    /// Names the value within the current scope (the scope itself when `name` is empty), so that it
    /// can be tapped. Names must be unique.
    #[track_caller]
    pub fn name(self, name: &str) -> Self {
        if let Some(id) = self.id {
            self.b.name(id, name, Location::caller());
        }
        self
    }

    #[track_caller]
    fn apply(self, op: impl Into<Op>, others: &[Var<'b>]) -> Var<'b> {
        let at = Location::caller();
        let ins: Vec<Var<'b>> = std::iter::once(self).chain(others.iter().copied()).collect();
        self.b.push(op.into(), &ins, at)
    }

    /// Cross-correlation of (n, c_in, h, w) with a weight of (c_out, c_in / groups, rows, columns).
    #[track_caller]
    pub fn conv2d(self, w: Var<'b>, bias: Option<Var<'b>>, conv: Conv2d) -> Var<'b> {
        let epilogue = Epilogue { bias: bias.is_some(), ..Epilogue::NONE };
        let others: Vec<Var<'b>> = std::iter::once(w).chain(bias).collect();
        self.apply(Convolution { conv, upsample: 1, epilogue, rows: None }, &others)
    }

    /// Transposed convolution of (n, c_in, h, w) with a weight of (c_in, c_out, kernel, kernel).
    #[track_caller]
    pub fn conv_transpose2d(self, w: Var<'b>, bias: Option<Var<'b>>, conv: ConvTranspose2d) -> Var<'b> {
        let others: Vec<Var<'b>> = std::iter::once(w).chain(bias).collect();
        self.apply(TransposedConvolution { conv, bias: bias.is_some(), relu: false }, &others)
    }

    /// Adds one number per channel (axis 1).
    #[track_caller]
    pub fn bias(self, bias: Var<'b>) -> Var<'b> {
        self.apply(Bias, &[bias])
    }

    /// max(x, 0).
    #[track_caller]
    pub fn relu(self) -> Var<'b> {
        self.apply(Activate(Activation::Relu), &[])
    }

    /// x, or `slope`·x below zero.
    #[track_caller]
    pub fn leaky_relu(self, slope: f32) -> Var<'b> {
        self.apply(Activate(Activation::LeakyRelu(slope)), &[])
    }

    /// x, or a learned slope times x below zero: one slope, or one per channel (axis 1).
    #[track_caller]
    pub fn prelu(self, slopes: Var<'b>) -> Var<'b> {
        self.apply(Prelu, &[slopes])
    }

    /// 1 / (1 + exp(-x)).
    #[track_caller]
    pub fn sigmoid(self) -> Var<'b> {
        self.apply(Activate(Activation::Sigmoid), &[])
    }

    /// x·Φ(x), Φ the normal distribution, by the error function.
    #[track_caller]
    pub fn gelu(self) -> Var<'b> {
        self.apply(Activate(Activation::Gelu), &[])
    }

    /// exp(x) over its sum along an axis.
    #[track_caller]
    pub fn softmax(self, axis: usize) -> Var<'b> {
        self.apply(Softmax { axis }, &[])
    }

    /// The sum of two tensors of one shape.
    #[track_caller]
    #[allow(clippy::should_implement_trait, reason = "chains like the other methods and records its line")]
    pub fn add(self, other: Var<'b>) -> Var<'b> {
        self.apply(Add { alpha: 1.0, beta: 1.0 }, &[other])
    }

    /// This plus `beta` times the other.
    #[track_caller]
    pub fn scaled_add(self, beta: f32, other: Var<'b>) -> Var<'b> {
        self.apply(Add { alpha: 1.0, beta }, &[other])
    }

    /// The product of two tensors of one shape, element by element.
    #[track_caller]
    #[allow(clippy::should_implement_trait, reason = "chains like the other methods and records its line")]
    pub fn mul(self, other: Var<'b>) -> Var<'b> {
        self.apply(Mul, &[other])
    }

    /// The larger of two tensors of one shape, element by element.
    #[track_caller]
    pub fn maximum(self, other: Var<'b>) -> Var<'b> {
        self.apply(Maximum, &[other])
    }

    /// Every element times a number.
    #[track_caller]
    pub fn scale(self, factor: f32) -> Var<'b> {
        self.apply(Scale(factor), &[])
    }

    /// This and the others, joined along an axis.
    #[track_caller]
    pub fn concat(self, others: &[Var<'b>], axis: usize) -> Var<'b> {
        self.apply(Concat { axis }, others)
    }

    /// Part of an axis.
    #[track_caller]
    pub fn slice(self, axis: usize, range: Range<usize>) -> Var<'b> {
        self.apply(Slice { axis, start: range.start, len: range.end.saturating_sub(range.start) }, &[])
    }

    /// Zeros before and after the indices of an axis.
    #[track_caller]
    pub fn pad_axis(self, axis: usize, before: usize, after: usize) -> Var<'b> {
        self.apply(PadAxis { axis, before, after }, &[])
    }

    /// The same elements in the same order under other extents.
    #[track_caller]
    pub fn reshape(self, dims: &[usize]) -> Var<'b> {
        let at = Location::caller();
        match Shape::new(dims) {
            Ok(shape) => self.b.push(Reshape { shape }.into(), &[self], at),
            Err(error) => self.b.refuse("reshape", &[self], at, error),
        }
    }

    /// The axes in another order: axis `k` of the result is axis `order[k]` of this.
    #[track_caller]
    pub fn permute(self, order: &[usize]) -> Var<'b> {
        let at = Location::caller();
        match Permute::new(order) {
            Ok(op) => self.b.push(op.into(), &[self], at),
            Err(error) => self.b.refuse("permute", &[self], at, error),
        }
    }

    /// Images resized to (rows, columns), PyTorch's conventions with `align_corners=False`.
    #[track_caller]
    pub fn resize(self, mode: ResizeMode, size: [usize; 2]) -> Var<'b> {
        self.apply(Resize { mode, size }, &[])
    }

    /// Images enlarged by a whole factor, each pixel repeated.
    #[track_caller]
    pub fn upsample_nearest(self, factor: usize) -> Var<'b> {
        let size = [self.dim(2).saturating_mul(factor), self.dim(3).saturating_mul(factor)];
        self.apply(Resize { mode: ResizeMode::Nearest, size }, &[])
    }

    /// kornia's `resize(antialias=True)` to (rows, columns): unchanged at the same size, bilinear
    /// when enlarging, and with a Gaussian blur before it when either axis shrinks.
    #[track_caller]
    pub fn resize_kornia(self, size: [usize; 2]) -> Var<'b> {
        let from = [self.dim(2), self.dim(3)];
        if from == size {
            return self;
        }
        let shrinks = from[0] > size[0] || from[1] > size[1];
        let blurred = if shrinks { self.apply(Blur::before_shrinking(from, size), &[]) } else { self };
        blurred.apply(Resize { mode: ResizeMode::Bilinear, size }, &[])
    }

    /// (n, c·r², h, w) to (n, c, h·r, w·r).
    #[track_caller]
    pub fn pixel_shuffle(self, r: usize) -> Var<'b> {
        self.apply(PixelShuffle(r), &[])
    }

    /// (n, c, h·r, w·r) to (n, c·r², h, w): channel (c·r + dy)·r + dx.
    #[track_caller]
    pub fn pixel_unshuffle(self, r: usize) -> Var<'b> {
        self.apply(PixelUnshuffle(r), &[])
    }

    /// Batch norm by running statistics along the channels (axis 1), all vectors of one length.
    #[track_caller]
    pub fn batch_norm(
        self,
        weight: Var<'b>,
        bias: Var<'b>,
        mean: Var<'b>,
        var: Var<'b>,
        eps: f32,
    ) -> Var<'b> {
        if self.b.mode() == Mode::Train {
            let at = Location::caller();
            let error =
                Error::unsupported("statistics of the batch are not computed yet; build for inference");
            return self.b.refuse("batch_norm", &[self], at, error);
        }
        self.apply(BatchNorm { eps }, &[weight, bias, mean, var])
    }

    /// The maximum of each window.
    #[track_caller]
    pub fn max_pool2d(self, windows: Pool2d) -> Var<'b> {
        self.apply(Pool { windows, mean: false }, &[])
    }

    /// The mean of each window.
    #[track_caller]
    pub fn avg_pool2d(self, windows: Pool2d) -> Var<'b> {
        self.apply(Pool { windows, mean: true }, &[])
    }

    /// Removes an axis by the value at sorted index (n - 1) / 2 along it.
    #[track_caller]
    pub fn median(self, axis: usize) -> Var<'b> {
        self.apply(Reduce { axis, mode: ReduceMode::LowerMedian }, &[])
    }

    /// Removes an axis by the largest value along it.
    #[track_caller]
    pub fn max(self, axis: usize) -> Var<'b> {
        self.apply(Reduce { axis, mode: ReduceMode::Max }, &[])
    }

    /// Removes an axis by the mean along it.
    #[track_caller]
    pub fn mean(self, axis: usize) -> Var<'b> {
        self.apply(Reduce { axis, mode: ReduceMode::Mean }, &[])
    }

    /// x·wᵀ + b over the last axis; w is (n_out, n_in).
    #[track_caller]
    pub fn linear(self, w: Var<'b>, bias: Option<Var<'b>>) -> Var<'b> {
        let others: Vec<Var<'b>> = std::iter::once(w).chain(bias).collect();
        self.apply(Linear { bias: bias.is_some(), act: None, residual: false }, &others)
    }

    /// Layer norm over the last axis; weight and bias are as long.
    #[track_caller]
    pub fn layer_norm(self, weight: Var<'b>, bias: Var<'b>, eps: f32) -> Var<'b> {
        self.apply(LayerNorm { eps, residual: false }, &[weight, bias])
    }

    /// Attention of the tokens of (n, rows, columns, 3·c) within windows; see [`WindowAttention`].
    #[track_caller]
    pub fn window_attention(
        self,
        attention: WindowAttention,
        pad: Var<'b>,
        bias: Var<'b>,
        scale: Option<Var<'b>>,
    ) -> Var<'b> {
        let others: Vec<Var<'b>> = [pad, bias].into_iter().chain(scale).collect();
        self.apply(attention, &others)
    }

    /// Of (n, m), the `k` largest with their indices, (n, k, 2), largest first; all when there are fewer.
    #[track_caller]
    pub fn top_k(self, k: usize) -> Var<'b> {
        self.apply(TopK(k), &[])
    }

    /// The entries of this, (n or 1, m, width), that the last numbers of (n, k, …) name.
    #[track_caller]
    pub fn gather(self, index: Var<'b>) -> Var<'b> {
        self.apply(Gather, &[index])
    }

    /// Boxes or rows of boxes moved and scaled by deltas; see [`BoxDecode`].
    #[track_caller]
    pub fn box_decode(self, deltas: Var<'b>, scores: Var<'b>, decode: BoxDecode) -> Var<'b> {
        self.apply(decode, &[deltas, scores])
    }

    /// Of rows of boxes, the best that no better one overlaps; see [`Nms`].
    #[track_caller]
    pub fn nms(self, nms: Nms) -> Var<'b> {
        self.apply(nms, &[])
    }

    /// Rows of boxes pooled out of a pyramid of maps, finest first; see [`RoiAlign`].
    #[track_caller]
    pub fn roi_align(self, maps: &[Var<'b>], align: RoiAlign) -> Var<'b> {
        self.apply(align, maps)
    }

    /// Raw samples (…, rows, columns) as a network's numbers, by one scale a channel; see [`Normalise`].
    #[track_caller]
    pub fn normalise(self, channels: &[ChannelScale]) -> Var<'b> {
        let at = Location::caller();
        let dtype = self.id.map_or(DType::U8, |id| self.b.spec(id).dtype);
        match Normalise::new(dtype, channels) {
            Ok(op) => self.b.push(op.into(), &[self], at),
            Err(error) => self.b.refuse("normalise", &[self], at, error),
        }
    }

    /// Numbers times a factor rounded to samples, which only an output can be; see [`ToSamples`].
    #[track_caller]
    pub fn to_samples(self, samples: DType, factor: f32) -> Var<'b> {
        self.apply(ToSamples { samples, factor }, &[])
    }
}
