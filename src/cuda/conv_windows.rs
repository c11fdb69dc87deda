//! Launches of the convolution on matrix units whose windows are gathered, for what no other takes.

use super::conv::{by_role, check_positions};
use super::conv_matrix::MIN_CHANNELS;
use super::launch::{Launch, Operands};
use super::matrix_tiles::{on_tiles, Tile, THREADS};
use super::table::mismatch;
use crate::kernel::conv::{Conv2dParams, PadMode};
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Most rows or columns of taps; a window has a bit for each.
pub(super) const MAX_TAPS: u32 = 15;
/// Places and terms are 32-bit numbers in the kernel.
pub(super) const MAX_PLACES: usize = 1 << 31;

// Below those that read a pixel once for all taps.
on_tiles!("conv2d_fwd", 5 below:
    BF16_64 "conv2d_fwd_bf16f32__windows_64x64_sm80" Bf16 Small,
    BF16_128 "conv2d_fwd_bf16f32__windows_128x128_sm80" Bf16 Large,
    F16_64 "conv2d_fwd_f16f32__windows_64x64_sm80" F16 Small,
    F16_128 "conv2d_fwd_f16f32__windows_128x128_sm80" F16 Large,
    TF32_64 "conv2d_fwd_tf32f32__windows_64x64_sm80" Tf32 Small,
    TF32_128 "conv2d_fwd_tf32f32__windows_128x128_sm80" Tf32 Large
);

/// Terms of each sum.
fn terms(p: &Conv2dParams) -> usize {
    p.weight_len() / p.c_out as usize
}

fn fits(kernel: &Kernel, tile: Tile) -> bool {
    let Kernel::Conv2d(p) = kernel else { return false };
    let gathered = p.groups == 1
        && p.upsample == 1
        && p.pad_mode == PadMode::Zero as u32
        && p.kernel.iter().all(|&taps| taps <= MAX_TAPS)
        && (p.c_in as usize).saturating_mul(p.x_plane()) < MAX_PLACES
        && terms(p) < MAX_PLACES / 2;
    gathered && p.c_out >= MIN_CHANNELS && tile.whole(p.c_out as usize)
}

fn blocks(kernel: &Kernel, tile: Tile) -> u64 {
    let Kernel::Conv2d(p) = kernel else { return 0 };
    tile.enough(u64::from(p.batch) * tile.grid(p.c_out as usize, p.y_plane()))
}

fn workspace(_: &Kernel, _: Precision) -> usize {
    0
}

fn packed(kernel: &Kernel, tile: Tile, precision: Precision) -> Option<Packed> {
    let Kernel::Conv2d(p) = kernel else { return None };
    Some(Packed { operand: 1, len: tile.packed_len(p.c_out as usize, terms(p), precision), variant: 0 })
}

fn pack(kernel: &Kernel, weights: &[f32], tile: Tile, precision: Precision) -> Result<Vec<u8>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    if weights.len() != p.weight_len() {
        return Err(Error::shape(format!("conv2d: {} weights, {} wanted", weights.len(), p.weight_len())));
    }
    let terms = terms(p);
    let words =
        tile.pack(p.c_out as usize, terms, precision, |channel, term| weights[channel * terms + term]);
    Ok(bytemuck::cast_slice(&words).to_vec())
}

fn launch_tiles(kernel: &Kernel, o: &Operands, entry: &'static str, tile: Tile) -> Result<Vec<Launch>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    check_positions(p)?;
    let grid = [tile.grid(p.c_out as usize, p.y_plane()), 1, p.batch.into()];
    Ok(vec![Launch::new(entry, grid, [THREADS, 1, 1], &by_role(p, o), p)?])
}
