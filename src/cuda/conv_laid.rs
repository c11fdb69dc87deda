//! Launches of the convolution on matrix units that reads x laid out in units, with the weights of the one that reads it
//! as it is stored. Terms are summed in the same order, so the bits are the same.

use super::conv::{by_role, check_positions};
use super::conv_matrix::{self, blocks_of_channels, blocks_of_pixels, THREADS};
use super::conv_units::{arguments, lay_out, unit_count, whole, workspace};
use super::launch::{Launch, Operands};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::precision::Precision;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::Result;

/// Blocks that share a unit.
const BLOCKS_OF_UNIT: usize = 2;

macro_rules! laid {
    ($name:ident, $entry:literal, $units:expr, $precision:ident, $tiles:literal, $kernel:literal) => {
        pub(super) const $name: Entry = Entry {
            choose: Impl {
                contract: "conv2d_fwd",
                entry: $entry,
                rank: 15 + ($tiles == 2) as u32,
                fits: |k| fits(k, $kernel, $tiles),
            },
            set: Set::Sm80,
            blocks: |_| u64::MAX,
            workspace,
            packed: |k| conv_matrix::packed(k, Precision::$precision, $tiles),
            prepare: |k, w| conv_matrix::pack(k, w, Precision::$precision, $tiles),
            launch: |k, o| launch(k, o, [$units, $entry], $tiles),
        };
    };
}

const BF16_UNITS: &str = "conv2d_fwd_bf16f32__units_sm80";
const F16_UNITS: &str = "conv2d_fwd_f16f32__units_sm80";
laid!(BF16_1X1_32, "conv2d_fwd_bf16f32__laid_1x1_32_sm80", BF16_UNITS, Bf16, 2, 1);
laid!(BF16_1X1_64, "conv2d_fwd_bf16f32__laid_1x1_64_sm80", BF16_UNITS, Bf16, 4, 1);
laid!(BF16_3X3_32, "conv2d_fwd_bf16f32__laid_3x3_32_sm80", BF16_UNITS, Bf16, 2, 3);
laid!(BF16_3X3_64, "conv2d_fwd_bf16f32__laid_3x3_64_sm80", BF16_UNITS, Bf16, 4, 3);
laid!(F16_1X1_32, "conv2d_fwd_f16f32__laid_1x1_32_sm80", F16_UNITS, F16, 2, 1);
laid!(F16_1X1_64, "conv2d_fwd_f16f32__laid_1x1_64_sm80", F16_UNITS, F16, 4, 1);
laid!(F16_3X3_32, "conv2d_fwd_f16f32__laid_3x3_32_sm80", F16_UNITS, F16, 2, 3);
laid!(F16_3X3_64, "conv2d_fwd_f16f32__laid_3x3_64_sm80", F16_UNITS, F16, 4, 3);

fn fits(kernel: &Kernel, side: u32, tiles: u32) -> bool {
    matches!(kernel, Kernel::Conv2d(p) if whole(p)) && conv_matrix::fits(kernel, side, tiles)
}

fn launch(kernel: &Kernel, o: &Operands, entries: [&'static str; 2], tiles: usize) -> Result<Vec<Launch>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    check_positions(p)?;
    let o = by_role(p, o);
    let grid = [(unit_count(p) * BLOCKS_OF_UNIT) as u64, blocks_of_channels(p, tiles), p.batch.into()];
    Ok(vec![lay_out(entries[0], p, &o)?, Launch::new(entries[1], grid, [THREADS, 1, 1], &o, p)?])
}

/// The launch that reads x as it is stored, in place of one that reads its layout; nothing where there is none.
///
/// # Errors
/// `Device` when the launch holds other arguments.
pub(super) fn reading_stored(launch: &Launch) -> Result<Option<Launch>> {
    let pairs = [
        (&BF16_1X1_32, &conv_matrix::BF16_1X1_32),
        (&BF16_1X1_64, &conv_matrix::BF16_1X1_64),
        (&BF16_3X3_32, &conv_matrix::BF16_3X3_32),
        (&BF16_3X3_64, &conv_matrix::BF16_3X3_64),
        (&F16_1X1_32, &conv_matrix::F16_1X1_32),
        (&F16_1X1_64, &conv_matrix::F16_1X1_64),
        (&F16_3X3_32, &conv_matrix::F16_3X3_32),
        (&F16_3X3_64, &conv_matrix::F16_3X3_64),
    ];
    let Some((_, stored)) = pairs.into_iter().find(|(laid, _)| laid.choose.entry == launch.entry) else {
        return Ok(None);
    };
    let (o, p) = arguments(launch)?;
    let grid = [blocks_of_pixels(&p), launch.grid[1].into(), launch.grid[2].into()];
    Launch::new(stored.choose.entry, grid, launch.block, &o, &p).map(Some)
}
