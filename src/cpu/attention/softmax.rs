//! The softmax of some queries' logits, in place.

use crate::cpu::simd::{exp, Lanes};
use crate::kernel::attention::MASKED;

/// One query.
#[derive(Clone, Copy)]
pub(super) struct Query {
    /// Added to its logits.
    pub bias: *const f32,
    /// Its mask region, where a window's tokens are of several.
    pub region: Option<f32>,
    /// What its shares are multiplied by to add up to one.
    pub share: f32,
}

/// Makes rows of logits shares, exp(v - largest) of logits v with bias and mask, and fills in
/// [`Query::share`].
///
/// # Safety
/// A row of `keys`, a multiple of the lanes, elements for each query is writable at `logits`; regions and every bias
/// are readable for as many; the instruction set is there.
#[inline(always)]
pub(super) unsafe fn softmax<L: Lanes>(
    logits: *mut f32,
    keys: usize,
    regions: *const f32,
    queries: &mut [Query],
) {
    let lanes = L::N;
    // SAFETY: the caller's promise.
    unsafe {
        for (r, query) in queries.iter_mut().enumerate() {
            let row = logits.add(r * keys);
            let mut largest = L::splat(f32::NEG_INFINITY);
            for i in (0..keys).step_by(lanes) {
                let mut v = L::load(row.add(i)).add(L::load(query.bias.add(i)));
                if let Some(region) = query.region {
                    let apart = L::load(regions.add(i)).sub(L::splat(region));
                    let apart = apart.max(L::splat(0.0).sub(apart));
                    v = v.add(apart.if_below(L::splat(0.5), L::splat(0.0), L::splat(MASKED)));
                }
                v.store(row.add(i));
                largest = largest.max(v);
            }
            query.share = largest.largest();
        }
        for (r, query) in queries.iter_mut().enumerate() {
            let row = logits.add(r * keys);
            let largest = query.share;
            let mut sum = L::splat(0.0);
            for i in (0..keys).step_by(lanes) {
                let v = L::load(row.add(i));
                let e = exp(v.sub(L::splat(largest)));
                e.store(row.add(i));
                sum = sum.add(e);
            }
            query.share = 1.0 / sum.sum();
        }
    }
}
