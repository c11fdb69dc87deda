//! Register tiles in NEON: 8, 4, 2 or 1 output channels times up to 12 pixels.

use std::arch::aarch64::*;

use super::gather::gather;
use super::store::store;
use super::tile::{Tile, TileJob, MAX_VECTORS};
use crate::cpu::isa::Isa;

const LANES: usize = 4;

pub(super) const TILES: &[Tile] = &[
    tile_of::<8>("conv2d_fwd_f32__direct_8x12_neon"),
    tile_of::<4>("conv2d_fwd_f32__direct_4x12_neon"),
    tile_of::<2>("conv2d_fwd_f32__direct_2x12_neon"),
    tile_of::<1>("conv2d_fwd_f32__direct_1x12_neon"),
];

const fn tile_of<const ROWS: usize>(name: &'static str) -> Tile {
    Tile {
        name,
        isa: Isa::Neon,
        lanes: LANES,
        rows: ROWS,
        functions: [tile::<ROWS, 1>, tile::<ROWS, 2>, tile::<ROWS, 3>],
        gather,
        store,
    }
}

/// # Safety
/// All that `job` and `bases` address lies in its buffers.
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(job: &TileJob, bases: &[usize; MAX_VECTORS]) {
    // SAFETY: the caller's promise, for all accesses of this function; NEON is part of aarch64.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
        if !job.first {
            for o in 0..ROWS {
                for v in 0..VECTORS {
                    sums[o][v] = vld1q_f32(job.sums.add(o * job.sum_stride + v * LANES));
                }
            }
        }
        let mut w = job.w;
        let mut x = job.x;
        for _ in 0..job.channels {
            for &tap in job.taps {
                let at = x.add(tap as usize);
                let mut pixels = [vdupq_n_f32(0.0); VECTORS];
                for v in 0..VECTORS {
                    pixels[v] = vld1q_f32(at.add(bases[v]));
                }
                for o in 0..ROWS {
                    let weight = vdupq_n_f32(*w.add(o));
                    for v in 0..VECTORS {
                        sums[o][v] = vfmaq_f32(sums[o][v], weight, pixels[v]);
                    }
                }
                w = w.add(ROWS);
            }
            x = x.add(job.x_stride);
        }
        for o in 0..ROWS {
            for v in 0..VECTORS {
                vst1q_f32(job.sums.add(o * job.sum_stride + v * LANES), sums[o][v]);
            }
        }
    }
}
