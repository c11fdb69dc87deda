//! What is made ready for a kernel call at load, and the call itself.

use std::sync::Arc;

use super::args::Args;
use super::attention::{self, WindowBias};
use super::blur::{self, BlurWeights};
use super::conv::{Algorithm, Method, Operands, PackedConv};
use super::conv_transpose::PackedPhases;
use super::effort::threads_worth;
use super::isa::Isa;
use super::matmul::PackedMatmul;
use super::pool::Pool;
use super::resize::{self, ResizeTables};
use super::{boxes, map, norm, pooling, reduce, roi_align, samples, select};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::levels::MOST_TERMS;
use crate::kernel::precision::Precision;
use crate::kernel::registry::{self, Impl};
use crate::kernel::Kernel;
use crate::plan::{Choice, Packed, Rounding};
use crate::Result;

/// Tables and packed weights of one call. Steps that read the same weights share them.
#[derive(Clone)]
pub(super) enum Prepared {
    /// Nothing.
    None,
    /// Weights.
    Conv(Arc<PackedConv>),
    /// Weights.
    ConvTranspose(Arc<PackedPhases>),
    /// Weights.
    Matmul(Arc<PackedMatmul>),
    /// Position bias.
    Attention(Arc<WindowBias>),
    /// Taps.
    Resize(Arc<ResizeTables>),
    /// Weights of the taps.
    Blur(Arc<BlurWeights>),
}

impl Prepared {
    /// Tables of a call to the implementation chosen; `weights` are its packed operand's values.
    pub fn new(kernel: &Kernel, choice: &Choice, weights: &[f32], pool: &Pool) -> Result<Self> {
        let (entry, levels) = (choice.entry, choice.levels.as_deref());
        Ok(match kernel {
            Kernel::Conv2d(p) => {
                let packed = PackedConv::with_levels(method(entry)?, p, weights, levels, pool)?;
                Prepared::Conv(Arc::new(packed))
            }
            Kernel::ConvTranspose2d(p) => Prepared::ConvTranspose(Arc::new(PackedPhases::new(p, weights)?)),
            Kernel::Matmul(p) => {
                Prepared::Matmul(Arc::new(PackedMatmul::new(Precision::of(entry), p, weights, levels)?))
            }
            Kernel::WindowAttention(p) => Prepared::Attention(Arc::new(WindowBias::new(p, weights)?)),
            Kernel::Resize(p) => Prepared::Resize(Arc::new(ResizeTables::new(p)?)),
            Kernel::Blur(p) => Prepared::Blur(Arc::new(BlurWeights::new(p))),
            _ => Prepared::None,
        })
    }
}

/// Channels of x from which a convolution is rounded to bf16, or of y where its sums are long: with fewer, more is lost
/// than time is won.
const ROUNDED_CHANNELS: u64 = 64;

/// Terms from which a sum is long: shorter ones wait for their epilogue, not for products.
const ROUNDED_TERMS: u64 = 96;

/// Fewest pairs of channels of which Winograd's 36 numbers each, 36 MiB, come from main memory each time: multiplying
/// pairs of bf16 directly takes less.
const WIDE_FILTERS: u64 = 1 << 18;

/// Most of an error that may reach an output where factors are rounded to bf16 after Winograd's transform. There it
/// loses 2.5 % of white noise; so damped, no more than the 0.2 % that it loses of products made directly.
const COARSE_DAMPING: f32 = 0.08;

/// Fewest channels of a convolution, and terms of a matrix product, that become bytes.
const BYTES_TERMS: u64 = 32;

/// Implementations of this device. A convolution goes by the name of the register tile it gets.
const IMPLS: &[Impl] = &[
    Impl::always("conv2d_fwd", "conv2d_fwd_f32__direct"),
    Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_f32__winograd",
        rank: 10,
        fits: |k| matches!(k, Kernel::Conv2d(p) if Algorithm::Winograd.fits(p)),
    },
    Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_bf16__direct",
        rank: 5,
        fits: |k| matches!(k, Kernel::Conv2d(p) if conv_is_rounded(p)),
    },
    Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_bf16__direct_wide",
        rank: 15,
        fits: |k| matches!(k, Kernel::Conv2d(p) if conv_is_rounded(p) && is_wide(p)),
    },
    Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_bf16__winograd",
        rank: 12,
        fits: |k| matches!(k, Kernel::Conv2d(p) if Algorithm::Winograd.fits(p)),
    },
    Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_int8__direct",
        rank: 20,
        fits: |k| matches!(k, Kernel::Conv2d(p) if conv_takes_bytes(p)),
    },
    Impl::always("map_fwd", "map_fwd_f32__runs"),
    Impl::always("resize_fwd", "resize_fwd_f32__rows"),
    Impl::always("blur_fwd", "blur_fwd_f32__separable"),
    Impl::always("pool_fwd", "pool_fwd_f32__rows"),
    Impl::always("reduce_fwd", "reduce_fwd_f32__lines"),
    Impl::always("softmax_fwd", "softmax_fwd_f32__lines"),
    Impl::always("matmul_fwd", "matmul_fwd_f32__panels"),
    Impl {
        contract: "matmul_fwd",
        entry: "matmul_fwd_bf16__panels",
        rank: 10,
        fits: |k| matches!(k, Kernel::Matmul(p) if p.k >= ROUNDED_TERMS),
    },
    Impl {
        contract: "matmul_fwd",
        entry: "matmul_fwd_int8__panels",
        rank: 20,
        fits: |k| matches!(k, Kernel::Matmul(p) if (BYTES_TERMS..=MOST_TERMS).contains(&p.k)),
    },
    Impl::always("layer_norm_fwd", "layer_norm_fwd_f32__rows"),
    Impl::always("window_attention_fwd", "window_attention_fwd_f32__windows"),
    Impl::always("conv_transpose2d_fwd", "conv_transpose2d_fwd_f32__phases"),
    Impl::always("anchors_fwd", "anchors_fwd_f32__plain"),
    Impl::always("top_k_fwd", "top_k_fwd_f32__partition"),
    Impl::always("gather_fwd", "gather_fwd_f32__plain"),
    Impl::always("box_decode_fwd", "box_decode_fwd_f32__plain"),
    Impl::always("nms_fwd", "nms_fwd_f32__greedy"),
    Impl::always("roi_align_fwd", "roi_align_fwd_f32__placed"),
    Impl::always("normalise_fwd", "normalise_fwd_f32__plain"),
    Impl::always("to_samples_fwd", "to_samples_fwd_f32__plain"),
];

fn channels(p: &Conv2dParams) -> u64 {
    u64::from(p.c_in / p.groups)
}

fn terms(p: &Conv2dParams) -> u64 {
    channels(p) * u64::from(p.kernel[0]) * u64::from(p.kernel[1])
}

fn is_wide(p: &Conv2dParams) -> bool {
    channels(p) * u64::from(p.c_out) >= WIDE_FILTERS
}

fn conv_is_rounded(p: &Conv2dParams) -> bool {
    channels(p) >= ROUNDED_CHANNELS || terms(p) >= ROUNDED_TERMS && u64::from(p.c_out) >= ROUNDED_CHANNELS
}

fn conv_takes_bytes(p: &Conv2dParams) -> bool {
    channels(p) >= BYTES_TERMS && terms(p) <= MOST_TERMS
}

/// The implementation of a kernel on a pool of so many threads: the fastest that rounds factors to nothing
/// coarser than `precision`, to bytes only on levels that are given and after Winograd's transform only what is damped,
/// or with `pointwise` the fastest of those whose results do not depend on where in an image a pixel lies.
pub(super) fn choose(
    kernel: &Kernel,
    pool: usize,
    (precision, rounding): (Precision, Rounding),
    pointwise: bool,
) -> Result<Choice> {
    let (precision, levels, damping) = match rounding {
        Rounding::None => (Precision::F32, None, 1.0),
        Rounding::AsAsked { levels, damping } => (precision, levels, damping),
    };
    let (threads, isa) = (pool.min(threads_worth(kernel)), Isa::current()?);
    let fitting = IMPLS.iter().filter(|i| {
        let own = Precision::of(i.entry);
        let placed = algorithm(i.entry) == Algorithm::Winograd;
        let has_levels = own != Precision::Int8 || levels.is_some();
        let coarse = placed && own != Precision::F32;
        let is_damped = !coarse || damping <= COARSE_DAMPING;
        precision.allows(own) && has_levels && is_damped && isa.multiplies(own) && !(pointwise && placed)
    });
    let mut choice = Choice::of(registry::choose(fitting, kernel)?.entry);
    choice.levels = levels.filter(|_| Precision::of(choice.entry) == Precision::Int8).cloned();
    match kernel {
        Kernel::Conv2d(p) => {
            let method = method(choice.entry)?;
            let (entry, len) = PackedConv::form(method, p)?;
            choice.entry = entry;
            choice.transform = PackedConv::transform(method, p, pool)?;
            let threads = if method.algorithm == Algorithm::Winograd { pool } else { threads };
            choice.workspace = PackedConv::scratch_len(method, p, threads)?;
            choice.packed = Some(Packed { operand: 1, len, variant: p.groups });
        }
        Kernel::ConvTranspose2d(p) => {
            choice.workspace = PackedPhases::scratch_len(p, threads)?;
            let variant = p.pad << 16 | p.stride;
            choice.packed = Some(Packed { operand: 1, len: PackedPhases::len(p)?, variant });
        }
        Kernel::Matmul(p) => {
            let own = Precision::of(choice.entry);
            choice.workspace = PackedMatmul::scratch_len(own, p, threads)?;
            choice.packed = Some(Packed { operand: 1, len: PackedMatmul::len(own, p)?, variant: 0 });
        }
        Kernel::WindowAttention(p) => {
            choice.workspace = attention::scratch_len(p, threads);
            choice.packed = Some(Packed { operand: 2, len: WindowBias::len(p), variant: p.window });
        }
        Kernel::TopK(p) => choice.workspace = select::top_k_scratch(p),
        Kernel::Nms(p) => choice.workspace = boxes::nms_scratch(p),
        Kernel::RoiAlign(p) => choice.workspace = roi_align::scratch_len(p, threads),
        Kernel::Blur(p) => choice.workspace = blur::scratch_len(p),
        _ => {}
    }
    Ok(choice)
}

/// The algorithm of a convolution's implementation.
fn algorithm(entry: &str) -> Algorithm {
    if entry.contains("__winograd") {
        Algorithm::Winograd
    } else {
        Algorithm::Direct
    }
}

/// How a convolution's implementation computes.
fn method(entry: &str) -> Result<Method> {
    Ok(Method { algorithm: algorithm(entry), precision: Precision::of(entry), isa: Isa::current()? })
}

/// Runs one call.
///
/// # Safety
/// As [`Args`] says for the spans of `kernel`; `prepared` was made for it; scratch, as long as the
/// choice says, overlaps nothing.
pub(super) unsafe fn run(
    kernel: &Kernel,
    prepared: &Prepared,
    args: &Args,
    scratch: &mut [f32],
    pool: &Pool,
) -> Result<()> {
    let pool = &pool.at_most(threads_worth(kernel));
    // SAFETY: as this function's.
    unsafe {
        match (kernel, prepared) {
            (Kernel::Conv2d(p), Prepared::Conv(packed)) => convolve(p, packed, args, scratch, pool)?,
            (Kernel::Map(p), _) => map::run(p, args, pool)?,
            (Kernel::Resize(p), Prepared::Resize(tables)) => resize::run(p, tables, args, pool),
            (Kernel::Blur(p), Prepared::Blur(weights)) => blur::run(p, weights, args, scratch, pool),
            (Kernel::Pool(p), _) => pooling::run(p, args, pool)?,
            (Kernel::Reduce(p), _) => reduce::run(p, args, pool)?,
            (Kernel::Softmax(p), _) => reduce::softmax(p, args, pool),
            (Kernel::ConvTranspose2d(p), Prepared::ConvTranspose(packed)) => {
                packed.run(p, args, scratch, pool)?;
            }
            (Kernel::Matmul(p), Prepared::Matmul(packed)) => packed.run(p, args, scratch, pool)?,
            (Kernel::Anchors(p), _) => boxes::anchors(p, args),
            (Kernel::TopK(p), _) => select::top_k(p, args, scratch)?,
            (Kernel::Gather(p), _) => select::gather(p, args, pool),
            (Kernel::BoxDecode(p), _) => boxes::decode(p, args, pool),
            (Kernel::Nms(p), _) => boxes::nms(p, args, scratch)?,
            (Kernel::RoiAlign(p), _) => roi_align::run(p, args, scratch, pool)?,
            (Kernel::LayerNorm(p), _) => norm::run(p, args, pool)?,
            (Kernel::Normalise(p), _) => samples::normalise(p, args, pool)?,
            (Kernel::ToSamples(p), _) => samples::to_samples(p, args, pool)?,
            (Kernel::WindowAttention(p), Prepared::Attention(bias)) => {
                attention::run(p, bias, args, scratch, pool)?;
            }
            (
                Kernel::Conv2d(_)
                | Kernel::ConvTranspose2d(_)
                | Kernel::Matmul(_)
                | Kernel::WindowAttention(_)
                | Kernel::Resize(_)
                | Kernel::Blur(_),
                _,
            ) => return Err(crate::Error::device(format!("{} was not prepared", kernel.name()))),
        }
    }
    Ok(())
}

/// # Safety
/// As [`run`].
unsafe fn convolve(
    p: &Conv2dParams,
    packed: &PackedConv,
    args: &Args,
    scratch: &mut [f32],
    pool: &Pool,
) -> Result<()> {
    let mut next = 2;
    let mut vector = |len: usize| {
        if len == 0 {
            return &[][..];
        }
        next += 1;
        // SAFETY: an operand readable for its span, which nobody writes.
        unsafe { std::slice::from_raw_parts(args.x[next - 1], len) }
    };
    let bias = vector(if p.epilogue.has_bias == 1 { p.c_out as usize } else { 0 });
    let slope = vector(p.epilogue.slopes(p.c_out as usize));
    let residuals = [args.x[next], args.x.get(next + 1).copied().unwrap_or(std::ptr::null())];
    let operands = Operands { x: args.x[0], y: args.y, bias, slope, residuals, kept: args.kept };
    // SAFETY: as this function's.
    unsafe { packed.run(p, &operands, scratch, pool) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_is_implemented() {
        assert_eq!(registry::faults(IMPLS), Vec::<String>::new());
    }
}
