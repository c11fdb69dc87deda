//! Launches of the transposed convolution, phase by phase of y, and its weights as the entry reads them.

use super::conv::{blocks_of_terms, len_of_blocks, PIXELS, WARP_CHANNELS};
use super::launch::{Launch, Operands, WARP};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

const NAME: &str = "conv_transpose2d_fwd_f32__gemm_32x128";

/// Channels of y that a block computes.
const CHANNELS: usize = 32;

pub(super) const GEMM_32: Entry =
    Entry { packed, prepare: pack, ..Entry::always("conv_transpose2d_fwd", NAME, launch) };

fn packed(kernel: &Kernel) -> Option<Packed> {
    let Kernel::ConvTranspose2d(p) = kernel else { return None };
    let sides = p.kernel.div_ceil(p.stride) as usize;
    let phase = len_of_blocks(p.c_out as usize, p.c_in as usize * sides * sides, CHANNELS);
    let phases = p.stride as usize * p.stride as usize;
    Some(Packed { operand: 1, len: phases * phase, variant: p.pad << 16 | p.stride })
}

/// Weights by phase and block of channels as (terms, channels); taps that a phase lacks are zeros.
fn pack(kernel: &Kernel, weights: &[f32]) -> Result<Vec<u8>> {
    let Kernel::ConvTranspose2d(p) = kernel else { return Err(mismatch(kernel)) };
    if weights.len() != p.weight_len() {
        let what = format!("conv_transpose2d: {} weights, {} wanted", weights.len(), p.weight_len());
        return Err(Error::shape(what));
    }
    let [c_in, c_out, side, stride] = [p.c_in, p.c_out, p.kernel, p.stride].map(|v| v as usize);
    let sides = side.div_ceil(stride);
    let mut packed = Vec::new();
    for phase in 0..stride * stride {
        let [rows, columns] = [phase / stride, phase % stride].map(|at| p.phase(at as u32, 0));
        let element = |f: crate::kernel::conv_transpose::Phase, tap: usize| {
            (tap < f.taps as usize).then(|| f.last as usize - tap * stride)
        };
        let filter = |channel: usize, term: usize| {
            let (from, tap) = (term / (sides * sides), term % (sides * sides));
            let (Some(row), Some(column)) = (element(rows, tap / sides), element(columns, tap % sides))
            else {
                return 0.0;
            };
            weights[((from * c_out + channel) * side + row) * side + column]
        };
        packed.extend(blocks_of_terms(c_out, c_in * sides * sides, CHANNELS, filter));
    }
    Ok(bytemuck::cast_slice(&packed).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::ConvTranspose2d(p) = kernel else { return Err(mismatch(kernel)) };
    let phase = |extent: u32| u64::from(extent.div_ceil(p.stride));
    let pixels = (phase(p.h_out) * phase(p.w_out)).div_ceil(PIXELS);
    if pixels * PIXELS >= 1 << 31 {
        let what = format!("conv_transpose2d: {} x {} pixels; try a smaller --tile", p.h_out, p.w_out);
        return Err(Error::limit(what));
    }
    let blocks = u64::from(p.stride * p.stride) * (p.c_out as usize).div_ceil(CHANNELS) as u64;
    let threads = (CHANNELS / WARP_CHANNELS) as u32 * WARP;
    let by_role = Operands { x: [o.x[0], o.x[2], 0, 0, 0, 0], ..*o };
    Ok(vec![Launch::new(NAME, [pixels, blocks, p.batch.into()], [threads, 1, 1], &by_role, p)?])
}
