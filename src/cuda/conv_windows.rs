//! Launches of the convolution on matrix units whose windows are gathered, for what no other takes.

use super::conv::{by_role, check_positions};
use super::conv_matrix::MIN_CHANNELS;
use super::launch::{Launch, Operands};
use super::matrix_tiles::{on_tiles, Form, Tile, THREADS};
use super::modules::Set;
use super::table::mismatch;
use crate::kernel::conv::{Conv2dParams, PadMode};
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Most rows or columns of taps; a window has a bit for each.
pub(super) const MAX_TAPS: u32 = 15;
/// Most rows and columns that a pixel is enlarged to; places within it have terms of their own.
const MAX_UPSAMPLE: u32 = 2;
/// Places and terms are 32-bit numbers in the kernel.
pub(super) const MAX_PLACES: usize = 1 << 31;

// Below those that read a pixel once for all taps.
on_tiles!("conv2d_fwd", 5 below:
    BF16_64 "conv2d_fwd_bf16f32__windows_64x64_sm80" Sm80 Bf16 Small,
    BF16_128 "conv2d_fwd_bf16f32__windows_128x128_sm80" Sm80 Bf16 Large,
    F16_64 "conv2d_fwd_f16f32__windows_64x64_sm80" Sm80 F16 Small,
    F16_128 "conv2d_fwd_f16f32__windows_128x128_sm80" Sm80 F16 Large,
    TF32_64 "conv2d_fwd_tf32f32__windows_64x64_sm80" Sm80 Tf32 Small,
    TF32_128 "conv2d_fwd_tf32f32__windows_128x128_sm80" Sm80 Tf32 Large,
    SM70_64 "conv2d_fwd_f16f32__windows_64x64_sm70" Sm70 F16 Small,
    SM70_128 "conv2d_fwd_f16f32__windows_128x128_sm70" Sm70 F16 Large,
    SM75_64 "conv2d_fwd_f16f32__windows_64x64_sm75" Sm75 F16 Small,
    SM75_128 "conv2d_fwd_f16f32__windows_128x128_sm75" Sm75 F16 Large
);

/// Terms of each sum.
fn terms(p: &Conv2dParams) -> usize {
    p.weight_len() / p.c_out as usize
}

fn fits(kernel: &Kernel, form: Form) -> bool {
    let Kernel::Conv2d(p) = kernel else { return false };
    let gathered = p.groups == 1
        && p.upsample <= MAX_UPSAMPLE
        && p.pad_mode == PadMode::Zero as u32
        && p.kernel.iter().all(|&taps| taps <= MAX_TAPS)
        && (p.c_in as usize).saturating_mul(p.x_plane()) < MAX_PLACES
        && terms(p) < MAX_PLACES / 2;
    gathered && p.c_out >= MIN_CHANNELS && form.tile.whole(p.c_out as usize)
}

fn blocks(kernel: &Kernel, form: Form) -> u64 {
    let Kernel::Conv2d(p) = kernel else { return 0 };
    form.tile.enough(u64::from(p.batch) * form.tile.grid(p.c_out as usize, p.y_plane()))
}

fn workspace(_: &Kernel, _: Form) -> usize {
    0
}

fn packed(kernel: &Kernel, form: Form) -> Option<Packed> {
    let Kernel::Conv2d(p) = kernel else { return None };
    Some(Packed { operand: 1, len: form.packed_len(p.c_out as usize, terms(p)), variant: 0 })
}

fn pack(kernel: &Kernel, weights: &[f32], form: Form) -> Result<Vec<u8>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    if weights.len() != p.weight_len() {
        return Err(Error::shape(format!("conv2d: {} weights, {} wanted", weights.len(), p.weight_len())));
    }
    let terms = terms(p);
    let words = form.pack(p.c_out as usize, terms, |channel, term| weights[channel * terms + term]);
    Ok(bytemuck::cast_slice(&words).to_vec())
}

fn launch_tiles(kernel: &Kernel, o: &Operands, entry: &'static str, form: Form) -> Result<Vec<Launch>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    check_positions(p)?;
    let grid = [form.tile.grid(p.c_out as usize, p.y_plane()), 1, p.batch.into()];
    Ok(vec![Launch::new(entry, grid, [THREADS, 1, 1], &by_role(p, o), p)?])
}
