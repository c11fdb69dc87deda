//! Launches of the transposed convolution, phase by phase of y, and its weights as the entries read them.

use super::conv::{blocks_of_terms, len_of_blocks, PIXELS, WARP_CHANNELS};
use super::conv_matrix::MIN_CHANNELS;
use super::conv_windows::{MAX_PLACES, MAX_TAPS};
use super::launch::{Launch, Operands, WARP};
use super::matrix_tiles::{Form, Tile, THREADS};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::conv_transpose::{ConvTranspose2dParams, Phase};
use crate::kernel::precision::Precision;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

const NAME: &str = "conv_transpose2d_fwd_f32__gemm_32x128";

/// Channels of y that a block computes.
const CHANNELS: usize = 32;

pub(super) const GEMM_32: Entry =
    Entry { packed, prepare: pack, ..Entry::always("conv_transpose2d_fwd", NAME, launch) };

macro_rules! windows {
    ($name:ident, $entry:literal, $set:ident, $precision:ident) => {
        pub(super) const $name: Entry = {
            const FORM: Form = Form { set: Set::$set, precision: Precision::$precision, tile: Tile::Small };
            Entry {
                choose: Impl {
                    contract: "conv_transpose2d_fwd",
                    entry: $entry,
                    rank: FORM.tile.rank(),
                    fits,
                },
                set: FORM.set,
                blocks: |_| u64::MAX,
                workspace: |_| 0,
                packed: |k| packed_words(k, FORM),
                prepare: |k, w| pack_words(k, w, FORM),
                launch: |k, o| launch_windows(k, o, $entry, FORM),
            }
        };
    };
}

windows!(BF16, "conv_transpose2d_fwd_bf16f32__windows_64x64_sm80", Sm80, Bf16);
windows!(F16, "conv_transpose2d_fwd_f16f32__windows_64x64_sm80", Sm80, F16);
windows!(TF32, "conv_transpose2d_fwd_tf32f32__windows_64x64_sm80", Sm80, Tf32);
windows!(SM70, "conv_transpose2d_fwd_f16f32__windows_64x64_sm70", Sm70, F16);
windows!(SM75, "conv_transpose2d_fwd_f16f32__windows_64x64_sm75", Sm75, F16);

fn packed(kernel: &Kernel) -> Option<Packed> {
    let Kernel::ConvTranspose2d(p) = kernel else { return None };
    let phase = len_of_blocks(p.c_out as usize, terms(p), CHANNELS);
    Some(Packed { operand: 1, len: phases(p) * phase, variant: p.pad << 16 | p.stride })
}

fn packed_words(kernel: &Kernel, form: Form) -> Option<Packed> {
    let Kernel::ConvTranspose2d(p) = kernel else { return None };
    let phase = form.packed_len(p.c_out as usize, terms(p));
    Some(Packed { len: phases(p) * phase, ..packed(kernel)? })
}

/// Weights by phase and block of channels as (terms, channels).
fn pack(kernel: &Kernel, weights: &[f32]) -> Result<Vec<u8>> {
    let Kernel::ConvTranspose2d(p) = kernel else { return Err(mismatch(kernel)) };
    let phases = (0..phases(p)).map(|phase| filters(p, weights, phase));
    let packed: Result<Vec<Vec<f32>>> =
        phases.map(|w| Ok(blocks_of_terms(p.c_out as usize, terms(p), CHANNELS, w?))).collect();
    Ok(bytemuck::cast_slice(&packed?.concat()).to_vec())
}

/// The same as the matrix units' lanes read them.
fn pack_words(kernel: &Kernel, weights: &[f32], form: Form) -> Result<Vec<u8>> {
    let Kernel::ConvTranspose2d(p) = kernel else { return Err(mismatch(kernel)) };
    let phases = (0..phases(p)).map(|phase| filters(p, weights, phase));
    let packed: Result<Vec<Vec<u32>>> =
        phases.map(|w| Ok(form.pack(p.c_out as usize, terms(p), w?))).collect();
    Ok(bytemuck::cast_slice(&packed?.concat()).to_vec())
}

fn phases(p: &ConvTranspose2dParams) -> usize {
    p.stride as usize * p.stride as usize
}

/// Terms of a phase's sums: channels, and rows and columns of taps.
fn terms(p: &ConvTranspose2dParams) -> usize {
    let sides = p.kernel.div_ceil(p.stride) as usize;
    p.c_in as usize * sides * sides
}

/// A phase's weights by channel of y and term; taps that it lacks are zeros.
fn filters<'w>(
    p: &ConvTranspose2dParams,
    weights: &'w [f32],
    phase: usize,
) -> Result<impl Fn(usize, usize) -> f32 + 'w> {
    if weights.len() != p.weight_len() {
        let what = format!("conv_transpose2d: {} weights, {} wanted", weights.len(), p.weight_len());
        return Err(Error::shape(what));
    }
    let [c_out, side, stride] = [p.c_out, p.kernel, p.stride].map(|v| v as usize);
    let sides = side.div_ceil(stride);
    let [rows, columns] = [phase / stride, phase % stride].map(|at| p.phase(at as u32, 0));
    let element = move |f: Phase, tap: usize| (tap < f.taps as usize).then(|| f.last as usize - tap * stride);
    Ok(move |channel: usize, term: usize| {
        let (from, tap) = (term / (sides * sides), term % (sides * sides));
        match (element(rows, tap / sides), element(columns, tap % sides)) {
            (Some(row), Some(column)) => weights[((from * c_out + channel) * side + row) * side + column],
            _ => 0.0,
        }
    })
}

fn fits(kernel: &Kernel) -> bool {
    let Kernel::ConvTranspose2d(p) = kernel else { return false };
    let x = (p.c_in as usize).saturating_mul(p.h_in as usize).saturating_mul(p.w_in as usize);
    p.c_out >= MIN_CHANNELS
        && p.kernel.div_ceil(p.stride) <= MAX_TAPS
        && x < MAX_PLACES
        && terms(p) < MAX_PLACES / 2
}

/// Pixels of the largest phase, few enough for positions in whole blocks to be 32-bit numbers.
fn phase_pixels(p: &ConvTranspose2dParams) -> Result<u64> {
    let phase = |extent: u32| u64::from(extent.div_ceil(p.stride));
    let pixels = phase(p.h_out) * phase(p.w_out);
    if pixels.next_multiple_of(PIXELS) >= 1 << 31 {
        let what = format!("conv_transpose2d: {} x {} pixels; try a smaller --tile", p.h_out, p.w_out);
        return Err(Error::limit(what));
    }
    Ok(pixels)
}

/// Operands where the entries look for them: x, bias.
fn by_role(o: &Operands) -> Operands {
    Operands { x: [o.x[0], o.x[2], 0, 0, 0, 0], ..*o }
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::ConvTranspose2d(p) = kernel else { return Err(mismatch(kernel)) };
    let blocks = phases(p) as u64 * (p.c_out as usize).div_ceil(CHANNELS) as u64;
    let threads = (CHANNELS / WARP_CHANNELS) as u32 * WARP;
    let grid = [phase_pixels(p)?.div_ceil(PIXELS), blocks, p.batch.into()];
    Ok(vec![Launch::new(NAME, grid, [threads, 1, 1], &by_role(o), p)?])
}

fn launch_windows(kernel: &Kernel, o: &Operands, entry: &'static str, form: Form) -> Result<Vec<Launch>> {
    let Kernel::ConvTranspose2d(p) = kernel else { return Err(mismatch(kernel)) };
    let blocks = form.tile.grid(p.c_out as usize, phase_pixels(p)? as usize);
    let grid = [blocks, phases(p) as u64, p.batch.into()];
    Ok(vec![Launch::new(entry, grid, [THREADS, 1, 1], &by_role(o), p)?])
}
