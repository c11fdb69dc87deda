//! Launches of the convolution, and its weights as the entries read them.

use super::launch::{Launch, Operands, WARP};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Channels of y that a warp computes.
pub(super) const WARP_CHANNELS: usize = 8;
/// Pixels of y that a block computes.
pub(super) const PIXELS: u64 = 128;
/// Terms of the sums that a block stages at once.
const TERMS: usize = 16;
/// Positions are 32-bit numbers in the kernel; extents and planes stay below this.
const MAX_POSITION: u64 = 1 << 31;

pub(super) const GEMM_64: Entry = Entry {
    choose: Impl::always("conv2d_fwd", "conv2d_fwd_f32__gemm_64x128"),
    set: Set::Base,
    blocks: |_| u64::MAX,
    workspace: |_| 0,
    packed: |k| packed(k, 64),
    prepare: |k, w| pack(k, w, 64),
    launch: |k, o| launch(k, o, "conv2d_fwd_f32__gemm_64x128", 64),
};

pub(super) const GEMM_32: Entry = Entry {
    choose: Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_f32__gemm_32x128",
        rank: 1,
        fits: |k| matches!(k, Kernel::Conv2d(p) if group_channels(p) <= 32),
    },
    set: Set::Base,
    blocks: |_| u64::MAX,
    workspace: |_| 0,
    packed: |k| packed(k, 32),
    prepare: |k, w| pack(k, w, 32),
    launch: |k, o| launch(k, o, "conv2d_fwd_f32__gemm_32x128", 32),
};

pub(super) const GEMM_8: Entry = Entry {
    choose: Impl {
        contract: "conv2d_fwd",
        entry: "conv2d_fwd_f32__gemm_8x128",
        rank: 2,
        fits: |k| matches!(k, Kernel::Conv2d(p) if group_channels(p) <= 8),
    },
    set: Set::Base,
    blocks: |_| u64::MAX,
    workspace: |_| 0,
    packed: |k| packed(k, 8),
    prepare: |k, w| pack(k, w, 8),
    launch: |k, o| launch(k, o, "conv2d_fwd_f32__gemm_8x128", 8),
};

/// Channels of y in one group.
fn group_channels(p: &Conv2dParams) -> usize {
    (p.c_out / p.groups) as usize
}

fn packed(kernel: &Kernel, channels: usize) -> Option<Packed> {
    let Kernel::Conv2d(p) = kernel else { return None };
    let terms = p.weight_len() / p.c_out as usize;
    let len = p.groups as usize * len_of_blocks(group_channels(p), terms, channels);
    Some(Packed { operand: 1, len, variant: p.groups })
}

/// Weights by group and block of channels as (terms, channels).
fn pack(kernel: &Kernel, weights: &[f32], channels: usize) -> Result<Vec<u8>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    let c_out = group_channels(p);
    let terms = p.weight_len() / p.c_out as usize;
    if weights.len() != p.weight_len() {
        return Err(Error::shape(format!("conv2d: {} weights, {} wanted", weights.len(), p.weight_len())));
    }
    let groups = weights.chunks_exact(c_out * terms);
    let packed: Vec<f32> = groups
        .flat_map(|w| blocks_of_terms(c_out, terms, channels, |channel, term| w[channel * terms + term]))
        .collect();
    Ok(bytemuck::cast_slice(&packed).to_vec())
}

/// Elements of [`blocks_of_terms`].
pub(super) fn len_of_blocks(c_out: usize, terms: usize, channels: usize) -> usize {
    c_out.div_ceil(channels) * channels * terms.next_multiple_of(TERMS)
}

/// A matrix of (channels, terms) in blocks of channels, each as (terms, channels), filled up with
/// zeros to whole blocks and stages.
pub(super) fn blocks_of_terms(
    c_out: usize,
    terms: usize,
    channels: usize,
    value: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let block_len = terms.next_multiple_of(TERMS) * channels;
    let mut packed = vec![0.0; len_of_blocks(c_out, terms, channels)];
    for channel in 0..c_out {
        let start = channel / channels * block_len + channel % channels;
        for term in 0..terms {
            packed[start + term * channels] = value(channel, term);
        }
    }
    packed
}

fn launch(kernel: &Kernel, o: &Operands, entry: &'static str, channels: usize) -> Result<Vec<Launch>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    check_positions(p)?;
    let pixels = (p.y_plane() as u64).div_ceil(PIXELS);
    let blocks = u64::from(p.groups) * group_channels(p).div_ceil(channels) as u64;
    let threads = (channels / WARP_CHANNELS) as u32 * WARP;
    let grid = [pixels, blocks, p.batch.into()];
    Ok(vec![Launch::new(entry, grid, [threads, 1, 1], &by_role(p, o), p)?])
}

/// Operands where the entries look for them: x, bias, slopes, residuals.
pub(super) fn by_role(p: &Conv2dParams, o: &Operands) -> Operands {
    let mut given = o.x[2..].iter().copied();
    let mut next = |wanted: bool| if wanted { given.next().unwrap_or(0) } else { 0 };
    let bias = next(p.epilogue.has_bias == 1);
    let slopes = next(p.epilogue.slopes(p.c_out as usize) > 0);
    let residuals = [0, 1].map(|k| next(p.epilogue.residuals > k));
    Operands { x: [o.x[0], bias, slopes, residuals[0], residuals[1], 0], ..*o }
}

pub(super) fn check_positions(p: &Conv2dParams) -> Result<()> {
    let reach = |k: usize| {
        let extent = u64::from([p.h_in, p.w_in][k]) + u64::from(p.pad[k].unsigned_abs());
        let out = u64::from([p.h_out, p.w_out][k]) * u64::from(p.stride[k]);
        extent.max(out) + u64::from(p.kernel[k]) * u64::from(p.dilation[k])
    };
    let largest = (p.y_plane() as u64 + PIXELS).max(reach(0)).max(reach(1));
    if largest >= MAX_POSITION {
        return Err(Error::limit(format!("conv2d: {} x {} pixels; try a smaller --tile", p.h_out, p.w_out)));
    }
    Ok(())
}
