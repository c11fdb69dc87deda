//! Launches of the convolution on matrix units, and its weights in the order their lanes read them.

use super::conv::check_positions;
use super::launch::{Launch, Operands};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::conv::{Conv2dParams, PadMode};
use crate::kernel::precision::Precision;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Rows and columns of y that a block computes.
const PIXELS: [u32; 2] = [8, 32];
/// Threads of a block.
pub(super) const THREADS: u32 = 128;
/// Channels of y in a tile.
const TILE: usize = 16;
/// Words of terms that one product takes.
const WORDS: usize = 8;
/// Least channels of y: with fewer, most of a tile would be computed for nothing.
pub(super) const MIN_CHANNELS: u32 = 9;

macro_rules! halo {
    ($name:ident, $entry:literal, $precision:ident, $tiles:literal, $kernel:literal) => {
        pub(super) const $name: Entry = Entry {
            choose: Impl {
                contract: "conv2d_fwd",
                entry: $entry,
                rank: 10 + ($tiles == 2) as u32,
                fits: |k| fits(k, $kernel, $tiles),
            },
            set: Set::Sm80,
            blocks: |_| u64::MAX,
            workspace: |_| 0,
            packed: |k| packed(k, Precision::$precision, $tiles),
            prepare: |k, w| pack(k, w, Precision::$precision, $tiles),
            launch: |k, o| launch(k, o, $entry, $tiles),
        };
    };
}

halo!(BF16_1X1_32, "conv2d_fwd_bf16f32__halo_1x1_32_sm80", Bf16, 2, 1);
halo!(BF16_1X1_64, "conv2d_fwd_bf16f32__halo_1x1_64_sm80", Bf16, 4, 1);
halo!(BF16_3X3_32, "conv2d_fwd_bf16f32__halo_3x3_32_sm80", Bf16, 2, 3);
halo!(BF16_3X3_64, "conv2d_fwd_bf16f32__halo_3x3_64_sm80", Bf16, 4, 3);
halo!(F16_1X1_32, "conv2d_fwd_f16f32__halo_1x1_32_sm80", F16, 2, 1);
halo!(F16_1X1_64, "conv2d_fwd_f16f32__halo_1x1_64_sm80", F16, 4, 1);
halo!(F16_3X3_32, "conv2d_fwd_f16f32__halo_3x3_32_sm80", F16, 2, 3);
halo!(F16_3X3_64, "conv2d_fwd_f16f32__halo_3x3_64_sm80", F16, 4, 3);
halo!(TF32_1X1_32, "conv2d_fwd_tf32f32__halo_1x1_32_sm80", Tf32, 2, 1);
halo!(TF32_1X1_64, "conv2d_fwd_tf32f32__halo_1x1_64_sm80", Tf32, 4, 1);
halo!(TF32_3X3_32, "conv2d_fwd_tf32f32__halo_3x3_32_sm80", Tf32, 2, 3);
halo!(TF32_3X3_64, "conv2d_fwd_tf32f32__halo_3x3_64_sm80", Tf32, 4, 3);

/// Whether it is a dense convolution of stride 1 and one group by a square of that side, padded with zeros.
pub(super) fn plain(p: &Conv2dParams, side: u32) -> bool {
    p.kernel == [side; 2]
        && p.stride == [1; 2]
        && p.dilation == [1; 2]
        && p.groups == 1
        && p.pad_mode == PadMode::Zero as u32
}

/// Whether a block of so many tiles takes the call; two tiles where four would mean more idle ones.
pub(super) fn fits(kernel: &Kernel, side: u32, tiles: u32) -> bool {
    let Kernel::Conv2d(p) = kernel else { return false };
    plain(p, side) && p.c_out >= MIN_CHANNELS && (tiles == 4 || p.c_out.div_ceil(32) % 2 == 1)
}

/// Blocks of channels of y, and stages of channels of x.
fn blocks_and_stages(p: &Conv2dParams, precision: Precision, tiles: usize) -> [usize; 2] {
    let channels = WORDS * precision.per_word();
    [(p.c_out as usize).div_ceil(TILE * tiles), (p.c_in as usize).div_ceil(channels)]
}

pub(super) fn packed(kernel: &Kernel, precision: Precision, tiles: usize) -> Option<Packed> {
    let Kernel::Conv2d(p) = kernel else { return None };
    let taps = (p.kernel[0] * p.kernel[1]) as usize;
    let [blocks, stages] = blocks_and_stages(p, precision, tiles);
    Some(Packed { operand: 1, len: blocks * stages * taps * tiles * TILE * WORDS, variant: 0 })
}

/// Weights as (blocks, stages, columns of taps, rows of taps, tiles, lanes, four words): what a lane
/// hands to one product lies together.
pub(super) fn pack(kernel: &Kernel, weights: &[f32], precision: Precision, tiles: usize) -> Result<Vec<u8>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    if weights.len() != p.weight_len() {
        return Err(Error::shape(format!("conv2d: {} weights, {} wanted", weights.len(), p.weight_len())));
    }
    let [c_in, c_out, height, width] = [p.c_in, p.c_out, p.kernel[0], p.kernel[1]].map(|v| v as usize);
    let per_word = precision.per_word();
    let [blocks, stages] = blocks_and_stages(p, precision, tiles);
    let mut words: Vec<u32> = Vec::with_capacity(blocks * stages * height * width * tiles * TILE * WORDS);
    for (block, stage) in (0..blocks).flat_map(|b| (0..stages).map(move |s| (b, s))) {
        for (column, row) in (0..width).flat_map(|c| (0..height).map(move |r| (c, r))) {
            let weight = |channel: usize, from: usize| match channel < c_out && from < c_in {
                true => weights[((channel * c_in + from) * height + row) * width + column],
                false => 0.0,
            };
            for (tile, lane) in (0..tiles).flat_map(|t| (0..32).map(move |l| (t, l))) {
                let first = (block * tiles + tile) * TILE + lane / 4;
                let word = |channel: usize, word: usize| {
                    let from = (stage * WORDS + word) * per_word;
                    precision.word([weight(channel, from), weight(channel, from + 1)])
                };
                let term = lane % 4;
                words.extend([
                    word(first, term),
                    word(first + 8, term),
                    word(first, term + 4),
                    word(first + 8, term + 4),
                ]);
            }
        }
    }
    Ok(bytemuck::cast_slice(&words).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands, entry: &'static str, tiles: usize) -> Result<Vec<Launch>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    check_positions(p)?;
    let grid = [blocks_of_pixels(p), blocks_of_channels(p, tiles), p.batch.into()];
    Ok(vec![Launch::new(entry, grid, [THREADS, 1, 1], &super::conv::by_role(p, o), p)?])
}

/// Blocks of an image of y.
pub(super) fn blocks_of_pixels(p: &Conv2dParams) -> u64 {
    u64::from(p.h_out.div_ceil(PIXELS[0])) * u64::from(p.w_out.div_ceil(PIXELS[1]))
}

/// Blocks of so many tiles of channels of y.
pub(super) fn blocks_of_channels(p: &Conv2dParams, tiles: usize) -> u64 {
    (p.c_out as usize).div_ceil(TILE * tiles) as u64
}
