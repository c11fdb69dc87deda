//! Register tiles in plain loops, for the compiler to vectorise as it can.

use super::gather::gather;
use super::store::store;
use super::tile::{Tile, TileJob, MAX_VECTORS};
use crate::cpu::isa::Isa;

const LANES: usize = 4;

pub(super) const TILES: &[Tile] = &[
    tile_of::<4>("conv2d_fwd_f32__direct_4x12_portable"),
    tile_of::<1>("conv2d_fwd_f32__direct_1x12_portable"),
];

const fn tile_of<const ROWS: usize>(name: &'static str) -> Tile {
    Tile {
        name,
        isa: Isa::Portable,
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
    let mut sums = [[[0.0f32; LANES]; VECTORS]; ROWS];
    if !job.first {
        for (o, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sum = unsafe { job.sums.add(o * job.sum_stride + v * LANES).cast::<[f32; LANES]>().read() };
            }
        }
    }
    let mut w = job.w;
    for channel in 0..job.channels {
        for &tap in job.taps {
            let at = channel * job.x_stride + tap as usize;
            for v in 0..VECTORS {
                // SAFETY: the caller's promise.
                let x = unsafe { job.x.add(at + bases[v]).cast::<[f32; LANES]>().read() };
                for (o, row) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    let w = unsafe { *w.add(o) };
                    for (sum, x) in row[v].iter_mut().zip(x) {
                        *sum += w * x;
                    }
                }
            }
            // SAFETY: the caller's promise.
            w = unsafe { w.add(ROWS) };
        }
    }
    for (o, row) in sums.iter().enumerate() {
        for (v, sum) in row.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { job.sums.add(o * job.sum_stride + v * LANES).cast::<[f32; LANES]>().write(*sum) };
        }
    }
}
