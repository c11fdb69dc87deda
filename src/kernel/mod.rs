//! Contracts: what a kernel promises on any device, as one plain parameter struct per operator.
//!
//! A device implements a contract; a plan carries its parameters by value. The structs are
//! `#[repr(C)]` without padding, so that the same bytes can be handed to a GPU entry.

pub mod attention;
pub mod blur;
pub mod boxes;
pub mod conv;
pub mod conv_transpose;
pub mod levels;
pub mod map;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod precision;
pub mod reduce;
pub mod registry;
pub mod resize;
pub mod roi_align;
pub mod samples;
pub mod select;

use attention::WindowAttentionParams;
use blur::BlurParams;
use boxes::{AnchorsParams, BoxDecodeParams, NmsParams};
use conv::Conv2dParams;
use conv_transpose::ConvTranspose2dParams;
use map::MapParams;
use matmul::MatmulParams;
use norm::LayerNormParams;
use pool::PoolParams;
use reduce::AxisParams;
use resize::ResizeParams;
use roi_align::RoiAlignParams;
use samples::{NormaliseParams, ToSamplesParams};
use select::{GatherParams, TopKParams};

use std::ops::Range;

use crate::tensor::DType;

/// One kernel call without its operands: a contract and its parameters.
// A plan holds a few hundred of these; boxes would cost `Copy` and save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// Convolution; operands x, w, then bias, slopes, residuals as the epilogue says.
    Conv2d(Conv2dParams),
    /// Element-wise map; operands x0, x1, …
    Map(MapParams),
    /// Resize of images; operand x.
    Resize(ResizeParams),
    /// Gaussian blur; operand x.
    Blur(BlurParams),
    /// Pooling; operand x.
    Pool(PoolParams),
    /// Reduction over one axis; operand x.
    Reduce(AxisParams),
    /// Softmax over one axis; operand x.
    Softmax(AxisParams),
    /// Matrix product; operands x, w, then bias and residual if there are.
    Matmul(MatmulParams),
    /// Layer norm; operands x, w, b, then the residual if there is one.
    LayerNorm(LayerNormParams),
    /// Window attention; operands x, pad, bias, then scale if it is cosine attention.
    WindowAttention(WindowAttentionParams),
    /// Transposed convolution; operands x, w, then bias if there is one.
    ConvTranspose2d(ConvTranspose2dParams),
    /// Anchors of a feature map; no operands.
    Anchors(AnchorsParams),
    /// The largest values; operand x.
    TopK(TopKParams),
    /// Entries by index; operands x, index.
    Gather(GatherParams),
    /// Boxes decoded; operands references, deltas, scores.
    BoxDecode(BoxDecodeParams),
    /// Boxes suppressed; operand rows.
    Nms(NmsParams),
    /// Boxes pooled out of maps; operands rows, maps.
    RoiAlign(RoiAlignParams),
    /// Raw samples normalised; operand x.
    Normalise(NormaliseParams),
    /// Numbers rounded to samples; operand x.
    ToSamples(ToSamplesParams),
}

/// How far an implementation may be from the exact result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accuracy {
    /// The same bits as the reference.
    Exact,
    /// Up to n units in the last place per element.
    Ulp(u32),
    /// A sum of `k` products in any order: error up to about √k·ε·Σ|aᵢbᵢ|.
    Sum {
        /// Terms of each sum.
        k: u64,
    },
    /// Uses exponentials: a few units in the last place of the operands' range.
    Transcendental,
}

impl Kernel {
    /// Names of all contracts.
    pub const CONTRACTS: &'static [&'static str] = &[
        "conv2d_fwd",
        "map_fwd",
        "resize_fwd",
        "blur_fwd",
        "pool_fwd",
        "reduce_fwd",
        "softmax_fwd",
        "matmul_fwd",
        "layer_norm_fwd",
        "window_attention_fwd",
        "conv_transpose2d_fwd",
        "anchors_fwd",
        "top_k_fwd",
        "gather_fwd",
        "box_decode_fwd",
        "nms_fwd",
        "roi_align_fwd",
        "normalise_fwd",
        "to_samples_fwd",
    ];

    /// Name of the contract.
    pub fn name(&self) -> &'static str {
        Self::CONTRACTS[match self {
            Kernel::Conv2d(_) => 0,
            Kernel::Map(_) => 1,
            Kernel::Resize(_) => 2,
            Kernel::Blur(_) => 3,
            Kernel::Pool(_) => 4,
            Kernel::Reduce(_) => 5,
            Kernel::Softmax(_) => 6,
            Kernel::Matmul(_) => 7,
            Kernel::LayerNorm(_) => 8,
            Kernel::WindowAttention(_) => 9,
            Kernel::ConvTranspose2d(_) => 10,
            Kernel::Anchors(_) => 11,
            Kernel::TopK(_) => 12,
            Kernel::Gather(_) => 13,
            Kernel::BoxDecode(_) => 14,
            Kernel::Nms(_) => 15,
            Kernel::RoiAlign(_) => 16,
            Kernel::Normalise(_) => 17,
            Kernel::ToSamples(_) => 18,
        }]
    }

    /// Accuracy every implementation must keep.
    pub fn accuracy(&self) -> Accuracy {
        match self {
            Kernel::Conv2d(p) => Accuracy::Sum { k: (p.weight_len() / (p.c_out as usize).max(1)) as u64 },
            Kernel::Matmul(p) => Accuracy::Sum { k: p.k },
            Kernel::Blur(p) => Accuracy::Sum { k: u64::from(p.taps[0]) * u64::from(p.taps[1]) },
            Kernel::Pool(p) if p.mean == 1 => {
                Accuracy::Sum { k: u64::from(p.kernel[0]) * u64::from(p.kernel[1]) }
            }
            Kernel::Resize(_) => Accuracy::Sum { k: 16 },
            Kernel::Reduce(p) if p.mode == reduce::ReduceMode::Mean as u64 => Accuracy::Sum { k: p.n },
            Kernel::Map(p) => match p.map_op() {
                Ok(map::MapOp::Sigmoid | map::MapOp::Gelu) => Accuracy::Transcendental,
                Ok(map::MapOp::Add | map::MapOp::Affine) => Accuracy::Ulp(2),
                Ok(map::MapOp::Norm | map::MapOp::NormScale | map::MapOp::NormShift) => Accuracy::Ulp(8),
                _ => Accuracy::Exact,
            },
            Kernel::ConvTranspose2d(p) => {
                Accuracy::Sum { k: (p.weight_len() / (p.c_out as usize * p.stride as usize).max(1)) as u64 }
            }
            Kernel::LayerNorm(p) => Accuracy::Sum { k: p.n },
            Kernel::WindowAttention(p) => Accuracy::Sum { k: p.tokens() as u64 + u64::from(p.head_dim) },
            Kernel::Softmax(_) => Accuracy::Transcendental,
            Kernel::BoxDecode(_) => Accuracy::Transcendental,
            Kernel::RoiAlign(p) => Accuracy::Sum { k: 4 * u64::from(p.samples * p.samples) },
            Kernel::Pool(_)
            | Kernel::Reduce(_)
            | Kernel::Anchors(_)
            | Kernel::TopK(_)
            | Kernel::Gather(_)
            | Kernel::Nms(_)
            | Kernel::Normalise(_)
            | Kernel::ToSamples(_) => Accuracy::Exact,
        }
    }

    /// Products that it sums up when none is saved by a transform; 0 where there are no sums of products.
    pub fn products(&self) -> f64 {
        let of = |extents: &[u64]| extents.iter().map(|&n| n as f64).product::<f64>();
        match self {
            Kernel::Conv2d(p) => {
                of(&[p.batch.into(), p.h_out.into(), p.w_out.into()]) * p.weight_len() as f64
            }
            Kernel::ConvTranspose2d(p) => {
                of(&[p.batch.into(), p.h_in.into(), p.w_in.into()]) * p.weight_len() as f64
            }
            Kernel::Matmul(p) => of(&[p.m, p.n, p.k]),
            Kernel::WindowAttention(p) => {
                let [rows, columns] = p.windows();
                let windows = of(&[p.batch.into(), rows as u64, columns as u64, p.heads.into()]);
                2.0 * windows * (p.tokens() as f64).powi(2) * f64::from(p.head_dim)
            }
            _ => 0.0,
        }
    }

    /// Elements an operand spans from its first to one past its last.
    pub fn x_span(&self, operand: usize) -> usize {
        match self {
            Kernel::Conv2d(p) => conv_span(p, operand),
            Kernel::Map(p) if operand < map::MAX_INPUTS => p.x_span(operand),
            Kernel::Map(_) => 0,
            Kernel::Resize(p) => images(p.batch, p.x_batch_stride, [p.channels, p.h_in, p.w_in]),
            Kernel::Blur(p) => images(1, 0, [p.planes, p.h, p.w]),
            Kernel::Pool(p) => images(p.batch, p.x_batch_stride, [p.channels, p.h_in, p.w_in]),
            Kernel::Reduce(p) | Kernel::Softmax(p) => (p.outer * p.n * p.inner) as usize,
            Kernel::Matmul(p) => match operand {
                0 => (p.m * p.k) as usize,
                1 => (p.n * p.k) as usize,
                2 if p.has_bias == 1 => p.n as usize,
                _ => (p.m * p.n) as usize,
            },
            Kernel::LayerNorm(p) => match operand {
                1 | 2 => p.n as usize,
                _ => (p.rows * p.n) as usize,
            },
            Kernel::WindowAttention(p) => match operand {
                0 => p.map_tokens() * 3 * p.channels(),
                1 => 3 * p.channels(),
                2 => p.heads as usize * p.bias_len(),
                _ => p.heads as usize,
            },
            Kernel::ConvTranspose2d(p) => match operand {
                0 => images(p.batch, p.x_batch_stride, [p.c_in, p.h_in, p.w_in]),
                1 => p.weight_len(),
                _ => p.c_out as usize,
            },
            Kernel::Anchors(_) => 0,
            Kernel::TopK(p) => (p.rows * p.m) as usize,
            Kernel::Gather(p) => match operand {
                0 => (if p.shared == 1 { 1 } else { p.batch } * p.m * p.width) as usize,
                _ => (p.batch * p.k * p.index_width) as usize,
            },
            Kernel::BoxDecode(p) => {
                let items = if p.shared == 1 && operand == 0 { 1 } else { p.batch as usize };
                let each = [p.width, 4 * p.classes, p.classes].get(operand).map_or(0, |&n| n as usize);
                items * p.k as usize * each
            }
            Kernel::Nms(p) => p.batch as usize * p.rows as usize * boxes::ROW,
            Kernel::RoiAlign(p) => match operand.checked_sub(1) {
                None => p.batch as usize * p.rois as usize * boxes::ROW,
                Some(level) => p.map_len(level),
            },
            Kernel::Normalise(p) => (p.planes * p.plane) as usize,
            Kernel::ToSamples(p) => p.n as usize,
        }
    }

    /// Elements of the result, counted from its first, that are surely written; of most kernels none are known.
    pub fn y_written(&self) -> Vec<Range<usize>> {
        let whole = 0..self.y_span();
        match self {
            Kernel::Conv2d(p) => {
                let (stride, len) = (p.y_batch_stride as usize, p.c_out as usize * p.y_plane());
                (0..p.batch as usize).map(|image| image * stride..image * stride + len).collect()
            }
            Kernel::Map(p) if p.numel() == whole.end => vec![whole],
            Kernel::Matmul(_) | Kernel::LayerNorm(_) | Kernel::WindowAttention(_) => vec![whole],
            _ => Vec::new(),
        }
    }

    /// Elements the result spans from its first to one past its last.
    pub fn y_span(&self) -> usize {
        match self {
            Kernel::Conv2d(p) => p.y_span(),
            Kernel::Map(p) => p.y_span(),
            Kernel::Resize(p) => images(p.batch, p.y_batch_stride, [p.channels, p.h_out, p.w_out]),
            Kernel::Blur(_) => self.x_span(0),
            Kernel::Pool(p) => images(p.batch, p.y_batch_stride, [p.channels, p.h_out, p.w_out]),
            Kernel::Reduce(p) => (p.outer * p.inner) as usize,
            Kernel::Softmax(_) => self.x_span(0),
            Kernel::Matmul(p) => (p.m * p.n) as usize,
            Kernel::LayerNorm(_) => self.x_span(0),
            Kernel::WindowAttention(p) => p.map_tokens() * p.channels(),
            Kernel::ConvTranspose2d(p) => images(p.batch, p.y_batch_stride, [p.c_out, p.h_out, p.w_out]),
            Kernel::Anchors(p) => 4 * p.len(),
            Kernel::TopK(p) => 2 * (p.rows * p.k) as usize,
            Kernel::Gather(p) => (p.batch * p.k * p.width) as usize,
            Kernel::BoxDecode(p) => {
                p.batch as usize * p.k as usize * (p.classes - p.first) as usize * boxes::ROW
            }
            Kernel::Nms(p) => p.batch as usize * p.capacity as usize * boxes::ROW,
            Kernel::RoiAlign(p) => {
                let bins = p.size as usize * p.size as usize;
                p.batch as usize * p.rois as usize * p.channels as usize * bins
            }
            Kernel::Normalise(_) | Kernel::ToSamples(_) => self.x_span(0),
        }
    }

    /// Element type of the operands.
    pub fn x_dtype(&self) -> DType {
        match self {
            Kernel::Normalise(p) => p.dtype().unwrap_or(DType::F32),
            _ => DType::F32,
        }
    }

    /// Element type of the result.
    pub fn y_dtype(&self) -> DType {
        match self {
            Kernel::ToSamples(p) => p.dtype().unwrap_or(DType::F32),
            _ => DType::F32,
        }
    }

    /// Number of operands.
    pub fn operands(&self) -> usize {
        match self {
            Kernel::Conv2d(p) => first_residual(p) + p.epilogue.residuals as usize,
            Kernel::Map(p) => p.map_op().map_or(0, map::MapOp::inputs),
            Kernel::Matmul(p) => 2 + p.has_bias as usize + p.residual as usize,
            Kernel::LayerNorm(p) => 3 + p.residual as usize,
            Kernel::WindowAttention(p) => 3 + p.cosine as usize,
            Kernel::ConvTranspose2d(p) => 2 + p.has_bias as usize,
            Kernel::Anchors(_) => 0,
            Kernel::Gather(_) => 2,
            Kernel::BoxDecode(_) => 3,
            Kernel::RoiAlign(p) => 1 + p.levels as usize,
            _ => 1,
        }
    }
}

/// Position of a convolution's first residual among its operands.
fn first_residual(p: &Conv2dParams) -> usize {
    2 + p.epilogue.has_bias as usize + usize::from(p.epilogue.slopes(p.c_out as usize) > 0)
}

fn conv_span(p: &Conv2dParams, operand: usize) -> usize {
    let residual = first_residual(p);
    match operand {
        0 => p.x_span(),
        1 => p.weight_len(),
        k if k >= residual => p.r_span(k - residual),
        2 if p.epilogue.has_bias == 1 => p.c_out as usize,
        _ => p.epilogue.slopes(p.c_out as usize),
    }
}

fn images(batch: u32, stride: u64, image: [u32; 3]) -> usize {
    let image: usize = image.iter().map(|&v| v as usize).product();
    batch.saturating_sub(1) as usize * stride as usize + image
}
