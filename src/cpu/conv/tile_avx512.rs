//! Register tiles in AVX-512: 8, 4, 2 or 1 output channels times up to 48 pixels.

use std::arch::x86_64::*;
use std::ops::Range;

use super::blocking::{Block, Blocking};
use super::gather::gather as gather_plain;
use super::store::store as store_plain;
use super::tile::{Tile, TileJob, MAX_VECTORS};
use super::{Operands, Spread};
use crate::cpu::isa::Isa;
use crate::kernel::conv::Conv2dParams;

const LANES: usize = 16;

pub(super) const TILES: &[Tile] = &[
    tile_of::<8>("conv2d_fwd_f32__direct_8x48_avx512"),
    tile_of::<4>("conv2d_fwd_f32__direct_4x48_avx512"),
    tile_of::<2>("conv2d_fwd_f32__direct_2x48_avx512"),
    tile_of::<1>("conv2d_fwd_f32__direct_1x48_avx512"),
];

const fn tile_of<const ROWS: usize>(name: &'static str) -> Tile {
    Tile {
        name,
        isa: Isa::Avx512,
        lanes: LANES,
        rows: ROWS,
        functions: [tile::<ROWS, 1>, tile::<ROWS, 2>, tile::<ROWS, 3>],
        gather,
        store,
    }
}

/// # Safety
/// AVX-512 F is available, and all that `job` and `bases` address lies in its buffers.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(job: &TileJob, bases: &[usize; MAX_VECTORS]) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    // SAFETY: the caller's promise, for all accesses of this function.
    unsafe {
        if !job.first {
            for o in 0..ROWS {
                for v in 0..VECTORS {
                    sums[o][v] = _mm512_loadu_ps(job.sums.add(o * job.sum_stride + v * LANES));
                }
            }
        }
        let mut w = job.w;
        let mut x = job.x;
        for _ in 0..job.channels {
            for &tap in job.taps {
                let at = x.add(tap as usize);
                let mut pixels = [_mm512_setzero_ps(); VECTORS];
                for v in 0..VECTORS {
                    pixels[v] = _mm512_loadu_ps(at.add(bases[v]));
                }
                for o in 0..ROWS {
                    let weight = _mm512_set1_ps(*w.add(o));
                    for v in 0..VECTORS {
                        sums[o][v] = _mm512_fmadd_ps(weight, pixels[v], sums[o][v]);
                    }
                }
                w = w.add(ROWS);
            }
            x = x.add(job.x_stride);
        }
        for o in 0..ROWS {
            for v in 0..VECTORS {
                _mm512_storeu_ps(job.sums.add(o * job.sum_stride + v * LANES), sums[o][v]);
            }
        }
    }
}

/// # Safety
/// AVX-512 F is available; the conditions of [`store_plain`].
#[target_feature(enable = "avx512f")]
unsafe fn store(
    params: &Conv2dParams,
    blocking: &Blocking,
    block: &Block,
    operands: &Operands,
    spread: Spread,
    sums: &[f32],
) {
    // SAFETY: the caller's promise.
    unsafe { store_plain(params, blocking, block, operands, spread, sums) }
}

/// # Safety
/// AVX-512 F is available; the conditions of [`gather_plain`].
#[target_feature(enable = "avx512f")]
unsafe fn gather(
    params: &Conv2dParams,
    blocking: &Blocking,
    block: &Block,
    channels: Range<usize>,
    x: *const f32,
    buffer: &mut [f32],
) {
    // SAFETY: the caller's promise.
    unsafe { gather_plain(params, blocking, block, channels, x, buffer) }
}
