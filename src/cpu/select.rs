//! The largest of many values, and entries by index.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::select::{GatherParams, TopKParams};
use crate::{Error, Result};

/// Entries a part gathers.
const PART: usize = 1024;

/// Elements of scratch that a choice needs.
pub(super) fn top_k_scratch(p: &TopKParams) -> usize {
    p.m as usize
}

/// Chooses the largest.
///
/// # Errors
/// `Shape` for too little scratch.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x; scratch overlaps nothing.
pub(super) unsafe fn top_k(p: &TopKParams, args: &Args, scratch: &mut [f32]) -> Result<()> {
    let (m, k) = (p.m as usize, p.k as usize);
    if scratch.len() < m || k > m {
        return Err(Error::shape(format!("top_k: {k} of {m} with {} elements of scratch", scratch.len())));
    }
    let order: &mut [u32] = &mut bytemuck::cast_slice_mut(scratch)[..m];
    for row in 0..p.rows as usize {
        // SAFETY: a row lies within the spans.
        let (x, y) = unsafe {
            (
                std::slice::from_raw_parts(args.x[0].add(row * m), m),
                std::slice::from_raw_parts_mut(args.y.add(row * 2 * k), 2 * k),
            )
        };
        order.iter_mut().zip(0..).for_each(|(place, i)| *place = i);
        let before = |a: &u32, b: &u32| x[*b as usize].total_cmp(&x[*a as usize]).then(a.cmp(b));
        if k > 0 && k < m {
            order.select_nth_unstable_by(k - 1, before);
        }
        order[..k].sort_unstable_by(before);
        for (y, &i) in y.chunks_exact_mut(2).zip(order.iter()) {
            y.copy_from_slice(&[x[i as usize], i as f32]);
        }
    }
    Ok(())
}

/// Gathers.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of an operand.
pub(super) unsafe fn gather(p: &GatherParams, args: &Args, pool: &Pool) {
    let [m, k, width, index_width] = [p.m, p.k, p.width, p.index_width].map(|v| v as usize);
    let all = p.batch as usize * k;
    pool.run(all.div_ceil(PART), |part| {
        let args = *args;
        for place in part * PART..((part + 1) * PART).min(all) {
            let item = if p.shared == 1 { 0 } else { place / k };
            // SAFETY: entries and indices lie within the spans; each place of y has one part.
            unsafe {
                let index = *args.x[1].add((place + 1) * index_width - 1);
                let from = args.x[0].add((item * m + p.entry(f64::from(index))) * width);
                std::ptr::copy_nonoverlapping(from, args.y.add(place * width), width);
            }
        }
    });
}
