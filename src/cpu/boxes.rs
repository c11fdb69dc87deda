//! Anchors, decoding and suppression of boxes.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::boxes::{AnchorsParams, BoxDecodeParams, NmsParams, EMPTY_ROW, MAX_LOG_SIDE, NO_BOX, ROW};
use crate::{Error, Result};

/// References a part decodes.
const PART: usize = 512;

/// Computes the anchors of a map.
///
/// # Safety
/// As [`Args`] says.
pub(super) unsafe fn anchors(p: &AnchorsParams, args: &Args) {
    // SAFETY: y is writable for all anchors.
    let y = unsafe { std::slice::from_raw_parts_mut(args.y, 4 * p.len()) };
    for (index, y) in y.chunks_exact_mut(4).enumerate() {
        y.copy_from_slice(&p.anchor(index));
    }
}

/// Decodes.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of an operand.
pub(super) unsafe fn decode(p: &BoxDecodeParams, args: &Args, pool: &Pool) {
    let (k, width, classes) = (p.k as usize, p.width as usize, p.classes as usize);
    let each = classes - p.first as usize;
    let all = p.batch as usize * k;
    pool.run(all.div_ceil(PART), |part| {
        let args = *args;
        for index in part * PART..((part + 1) * PART).min(all) {
            let item = if p.shared == 1 { index % k } else { index };
            // SAFETY: the reference, its deltas and scores lie within the operands' spans; each
            // reference has rows of its own.
            unsafe {
                let reference = std::slice::from_raw_parts(args.x[0].add(item * width), width);
                let deltas = std::slice::from_raw_parts(args.x[1].add(index * classes * 4), classes * 4);
                let scores = std::slice::from_raw_parts(args.x[2].add(index * classes), classes);
                let rows = std::slice::from_raw_parts_mut(args.y.add(index * each * ROW), each * ROW);
                decode_one(p, reference, deltas, scores, rows);
            }
        }
    });
}

fn decode_one(p: &BoxDecodeParams, reference: &[f32], deltas: &[f32], scores: &[f32], rows: &mut [f32]) {
    let [w, h] = [reference[2] - reference[0], reference[3] - reference[1]];
    let [cx, cy] = [reference[0] + 0.5 * w, reference[1] + 0.5 * h];
    let held = reference.len() == 4 || reference[4] > NO_BOX;
    let first = p.first as usize;
    for (class, row) in (first..).zip(rows.chunks_exact_mut(ROW)) {
        let delta = |i: usize| deltas[class * 4 + i] / p.weights[i];
        let half = |i: usize| {
            let log = delta(i);
            0.5 * if log > MAX_LOG_SIDE as f32 { MAX_LOG_SIDE as f32 } else { log }.exp()
        };
        let [x, y] = [delta(0) * w + cx, delta(1) * h + cy];
        let [half_w, half_h] = [half(2) * w, half(3) * h];
        row.copy_from_slice(&[
            (x - half_w).clamp(0.0, p.size[1]),
            (y - half_h).clamp(0.0, p.size[0]),
            (x + half_w).clamp(0.0, p.size[1]),
            (y + half_h).clamp(0.0, p.size[0]),
            if held { scores[class] } else { NO_BOX },
            (p.label as usize + class) as f32,
        ]);
    }
}

/// Elements of scratch that suppression needs.
pub(super) fn nms_scratch(p: &NmsParams) -> usize {
    p.batch as usize * p.rows as usize
}

/// Suppresses.
///
/// # Errors
/// `Shape` for too little scratch.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x; scratch overlaps nothing.
pub(super) unsafe fn nms(p: &NmsParams, args: &Args, scratch: &mut [f32]) -> Result<()> {
    let (rows, capacity) = (p.rows as usize, p.capacity as usize);
    if scratch.len() < nms_scratch(p) {
        return Err(Error::shape(format!("nms: {} elements of scratch", scratch.len())));
    }
    let order: &mut [u32] = bytemuck::cast_slice_mut(scratch);
    for n in 0..p.batch as usize {
        // SAFETY: an item's rows lie within the spans.
        let (x, y) = unsafe {
            (
                std::slice::from_raw_parts(args.x[0].add(n * rows * ROW), rows * ROW),
                std::slice::from_raw_parts_mut(args.y.add(n * capacity * ROW), capacity * ROW),
            )
        };
        suppress(p, x, y, &mut order[..rows]);
    }
    Ok(())
}

fn suppress(p: &NmsParams, x: &[f32], y: &mut [f32], order: &mut [u32]) {
    let row = |i: u32| &x[i as usize * ROW..][..ROW];
    let mut candidates = 0;
    for i in 0..p.rows {
        let r = row(i);
        if r[4] > p.score_above && r[2] - r[0] >= p.min_side && r[3] - r[1] >= p.min_side {
            order[candidates] = i;
            candidates += 1;
        }
    }
    let order = &mut order[..candidates];
    order.sort_unstable_by(|&a, &b| row(b)[4].total_cmp(&row(a)[4]).then(a.cmp(&b)));
    let mut kept = 0;
    for &i in order.iter() {
        let candidate = row(i);
        let hidden = |r: &[f32]| r[5] == candidate[5] && overlap(r, candidate) > p.iou;
        if kept < p.capacity as usize && !y[..kept * ROW].chunks_exact(ROW).any(hidden) {
            y[kept * ROW..][..ROW].copy_from_slice(candidate);
            kept += 1;
        }
    }
    y[kept * ROW..].chunks_exact_mut(ROW).for_each(|row| row.copy_from_slice(&EMPTY_ROW));
}

/// Intersection over union.
#[inline]
fn overlap(a: &[f32], b: &[f32]) -> f32 {
    let w = a[2].min(b[2]) - a[0].max(b[0]);
    let h = a[3].min(b[3]) - a[1].max(b[1]);
    if w <= 0.0 || h <= 0.0 {
        return 0.0;
    }
    let shared = w * h;
    let area = |r: &[f32]| (r[2] - r[0]) * (r[3] - r[1]);
    shared / (area(a) + area(b) - shared)
}
