//! Launches of the matrix product of a linear layer, and its weights as the entries read them.

use super::launch::{Launch, Operands};
use super::matmul_warpgroup::TOKENS;
use super::matrix_tiles::{on_tiles, Form, Tile, THREADS};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::matmul::MatmulParams;
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

const NAME: &str = "matmul_fwd_f32__tile_32x128";

/// Least rows and columns of y on matrix units: with fewer, most of a tile would be computed for nothing.
const MIN_SIDE: u64 = 16;
/// Columns and terms are 32-bit numbers there.
pub(super) const MAX_SIDE: u64 = 1 << 30;
/// Terms of x that are read at once, and their bytes.
pub(super) const VECTOR: u64 = 4;
const VECTOR_BYTES: u64 = 16;

pub(super) const TILE: Entry = Entry::always("matmul_fwd", NAME, launch);

on_tiles!("matmul_fwd", 0 below:
    BF16_64 "matmul_fwd_bf16f32__tile_64x64_sm80" Sm80 Bf16 Small,
    BF16_128 "matmul_fwd_bf16f32__tile_128x128_sm80" Sm80 Bf16 Large,
    F16_64 "matmul_fwd_f16f32__tile_64x64_sm80" Sm80 F16 Small,
    F16_128 "matmul_fwd_f16f32__tile_128x128_sm80" Sm80 F16 Large,
    TF32_64 "matmul_fwd_tf32f32__tile_64x64_sm80" Sm80 Tf32 Small,
    TF32_128 "matmul_fwd_tf32f32__tile_128x128_sm80" Sm80 Tf32 Large,
    SM70_64 "matmul_fwd_f16f32__tile_64x64_sm70" Sm70 F16 Small,
    SM70_128 "matmul_fwd_f16f32__tile_128x128_sm70" Sm70 F16 Large,
    SM75_64 "matmul_fwd_f16f32__tile_64x64_sm75" Sm75 F16 Small,
    SM75_128 "matmul_fwd_f16f32__tile_128x128_sm75" Sm75 F16 Large
);

/// The entry that reads tokens that are laid out, where an implementation has one.
pub(super) fn reading_laid(entry: &str) -> Option<&'static str> {
    let pairs = [
        (&BF16_64, "matmul_fwd_bf16f32__laid_64x64_sm80"),
        (&BF16_128, "matmul_fwd_bf16f32__laid_128x128_sm80"),
        (&F16_64, "matmul_fwd_f16f32__laid_64x64_sm80"),
        (&F16_128, "matmul_fwd_f16f32__laid_128x128_sm80"),
        (&SM70_64, "matmul_fwd_f16f32__laid_64x64_sm70"),
        (&SM70_128, "matmul_fwd_f16f32__laid_128x128_sm70"),
        (&SM75_64, "matmul_fwd_f16f32__laid_64x64_sm75"),
        (&SM75_128, "matmul_fwd_f16f32__laid_128x128_sm75"),
    ];
    pairs.into_iter().find(|(tile, _)| tile.choose.entry == entry).map(|(_, laid)| laid)
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    let grid = [p.n.div_ceil(128), p.m.div_ceil(32).min(65_535), 1];
    p.activation()?;
    Ok(vec![Launch::new(NAME, grid, [128, 1, 1], &by_role(p, o), p)?])
}

fn fits(kernel: &Kernel, form: Form) -> bool {
    let Kernel::Matmul(p) = kernel else { return false };
    let sized = p.m.min(p.n) >= MIN_SIDE && p.n.max(p.k) < MAX_SIDE && p.k.is_multiple_of(VECTOR);
    sized && form.tile.whole(p.n as usize)
}

fn blocks(kernel: &Kernel, form: Form) -> u64 {
    let Kernel::Matmul(p) = kernel else { return 0 };
    form.tile.enough(form.tile.grid(p.n as usize, p.m as usize))
}

/// Room for x as it can be laid out beside where it is stored, where more blocks read it than whoever made it wrote.
fn workspace(kernel: &Kernel, form: Form) -> usize {
    match kernel {
        Kernel::Matmul(p) if form.precision.per_word() == 2 && p.n > p.k => {
            p.m.next_multiple_of(TOKENS as u64).saturating_mul(p.k) as usize / 2
        }
        _ => 0,
    }
}

fn packed(kernel: &Kernel, form: Form) -> Option<Packed> {
    let Kernel::Matmul(p) = kernel else { return None };
    Some(Packed { operand: 1, len: form.packed_len(p.n as usize, p.k as usize), variant: 0 })
}

fn pack(kernel: &Kernel, weights: &[f32], form: Form) -> Result<Vec<u8>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    let (n, k) = (p.n as usize, p.k as usize);
    if Some(weights.len()) != n.checked_mul(k) {
        return Err(Error::shape(format!("matmul: {} weights, {n} x {k} wanted", weights.len())));
    }
    let words = form.pack(n, k, |channel, term| weights[channel * k + term]);
    Ok(bytemuck::cast_slice(&words).to_vec())
}

fn launch_tiles(kernel: &Kernel, o: &Operands, entry: &'static str, form: Form) -> Result<Vec<Launch>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    check_x(o)?;
    p.activation()?;
    let grid = [form.tile.grid(p.n as usize, p.m as usize), 1, 1];
    Ok(vec![Launch::new(entry, grid, [THREADS, 1, 1], &by_role(p, o), p)?])
}

pub(super) fn check_x(o: &Operands) -> Result<()> {
    if o.x[0].is_multiple_of(VECTOR_BYTES) {
        return Ok(());
    }
    Err(Error::device(format!("matmul: x begins at {:#x}, no multiple of {VECTOR_BYTES}", o.x[0])))
}

/// Operands where the entries look for them: x, w, bias, residual.
pub(super) fn by_role(p: &MatmulParams, o: &Operands) -> Operands {
    let bias = if p.has_bias == 1 { o.x[2] } else { 0 };
    let residual = if p.residual == 1 { o.x[2 + p.has_bias as usize] } else { 0 };
    Operands { x: [o.x[0], o.x[1], bias, residual, 0, 0], ..*o }
}
