//! Gaussian blur in two passes: along rows into scratch, then along columns.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::blur::{gaussian, mirror, BlurParams};

/// Normalised weights of both axes.
#[derive(Debug)]
pub(super) struct BlurWeights([Vec<f32>; 2]);

impl BlurWeights {
    pub fn new(p: &BlurParams) -> Self {
        let axis = |k: usize| gaussian(p.taps[k] as usize, f64::from(p.sigma[k]));
        Self([0, 1].map(|k| axis(k).into_iter().map(|w| w as f32).collect()))
    }
}

/// Elements of scratch: one per pixel.
pub(super) fn scratch_len(p: &BlurParams) -> usize {
    p.planes as usize * p.h as usize * p.w as usize
}

/// Computes y.
///
/// # Safety
/// As [`Args`] says; scratch overlaps neither x nor y.
pub(super) unsafe fn run(
    p: &BlurParams,
    weights: &BlurWeights,
    args: &Args,
    scratch: &mut [f32],
    pool: &Pool,
) {
    let (h, w) = (p.h as usize, p.w as usize);
    let rows = p.planes as usize * h;
    let middle = &Args { y: scratch.as_mut_ptr(), ..*args };
    pool.run(rows, |part| {
        // SAFETY: row `part` of x is readable and row `part` of scratch is this part's own.
        let (x, y) = unsafe { (row(middle.x[0], part, w), row_mut(middle.y, part, w)) };
        let [_, along] = &weights.0;
        for (column, y) in y.iter_mut().enumerate() {
            let source = |j: usize| mirror((column + j) as i64 - (along.len() / 2) as i64, w as i64);
            *y = along.iter().enumerate().map(|(j, weight)| weight * x[source(j)]).sum();
        }
    });
    pool.run(rows, |part| {
        let (plane, at) = (part / h, part % h);
        // SAFETY: row `part` of y is this part's own.
        let y = unsafe { row_mut(args.y, part, w) };
        y.fill(0.0);
        for (i, weight) in weights.0[0].iter().enumerate() {
            let source = mirror((at + i) as i64 - (weights.0[0].len() / 2) as i64, h as i64);
            // SAFETY: nobody writes scratch in this pass.
            let x = unsafe { row(middle.y, plane * h + source, w) };
            y.iter_mut().zip(x).for_each(|(y, x)| *y += weight * x);
        }
    });
}

/// # Safety
/// Row `index` is readable and nobody writes it.
unsafe fn row<'a>(start: *const f32, index: usize, w: usize) -> &'a [f32] {
    // SAFETY: as this function's.
    unsafe { std::slice::from_raw_parts(start.add(index * w), w) }
}

/// # Safety
/// Row `index` is writable and nobody else uses it.
unsafe fn row_mut<'a>(start: *mut f32, index: usize, w: usize) -> &'a mut [f32] {
    // SAFETY: as this function's.
    unsafe { std::slice::from_raw_parts_mut(start.add(index * w), w) }
}
