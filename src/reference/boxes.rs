//! Anchors, decoding and suppression, row by row.

use super::Element;
use crate::kernel::boxes::{AnchorsParams, BoxDecodeParams, NmsParams, EMPTY_ROW, MAX_LOG_SIDE, NO_BOX, ROW};

/// Computes the anchors of a map.
pub(super) fn anchors<T: Element>(p: &AnchorsParams, y: &mut [T]) {
    for (index, y) in y.chunks_exact_mut(4).enumerate() {
        y.copy_from_slice(&p.anchor(index).map(T::from_f32));
    }
}

/// Decodes; operands are references, deltas, scores.
pub(super) fn decode<T: Element>(p: &BoxDecodeParams, operands: &[Vec<T>], y: &mut [T]) {
    let [batch, k, classes, first, width] = [p.batch, p.k, p.classes, p.first, p.width].map(|v| v as usize);
    let (half, none) = (T::from_f64(0.5), T::from_f32(NO_BOX));
    let at_most = |v: T, most: T| if v > most { most } else { v };
    let inside = |v: T, most: f32| {
        let zero = T::from_f32(0.0);
        at_most(if v < zero { zero } else { v }, T::from_f32(most))
    };
    let mut rows = y.chunks_exact_mut(ROW);
    for n in 0..batch {
        for box_ in 0..k {
            let item = if p.shared == 1 { 0 } else { n };
            let reference = &operands[0][(item * k + box_) * width..][..width];
            let [w, h] = [reference[2] - reference[0], reference[3] - reference[1]];
            let [cx, cy] = [reference[0] + half * w, reference[1] + half * h];
            for class in first..classes {
                let Some(row) = rows.next() else { return };
                let delta = |i: usize| {
                    operands[1][((n * k + box_) * classes + class) * 4 + i] / T::from_f32(p.weights[i])
                };
                let side = |i: usize| at_most(delta(i), T::from_f64(MAX_LOG_SIDE)).exp() * half;
                let centre = [delta(0) * w + cx, delta(1) * h + cy];
                let sides = [side(2) * w, side(3) * h];
                let held = width == 4 || reference[4] > none;
                let score = operands[2][(n * k + box_) * classes + class];
                row[0] = inside(centre[0] - sides[0], p.size[1]);
                row[1] = inside(centre[1] - sides[1], p.size[0]);
                row[2] = inside(centre[0] + sides[0], p.size[1]);
                row[3] = inside(centre[1] + sides[1], p.size[0]);
                row[4] = if held { score } else { none };
                row[5] = T::from_f32((p.label as usize + class) as f32);
            }
        }
    }
}

/// Suppresses.
pub(super) fn nms<T: Element>(p: &NmsParams, x: &[T], y: &mut [T]) {
    let (rows, capacity) = (p.rows as usize, p.capacity as usize);
    let least = T::from_f32(p.min_side);
    for n in 0..p.batch as usize {
        let row = |i: usize| &x[(n * rows + i) * ROW..][..ROW];
        let fits = |&i: &usize| {
            let r = row(i);
            r[4] > T::from_f32(p.score_above) && r[2] - r[0] >= least && r[3] - r[1] >= least
        };
        let mut order: Vec<usize> = (0..rows).filter(fits).collect();
        order.sort_by(|&a, &b| row(b)[4].total_cmp(&row(a)[4]));
        let mut kept: Vec<usize> = Vec::new();
        for i in order {
            let hides = |&other: &usize| {
                row(other)[5] == row(i)[5] && overlap(row(other), row(i)) > T::from_f32(p.iou)
            };
            if kept.len() < capacity && !kept.iter().any(hides) {
                kept.push(i);
            }
        }
        for (place, y) in y[n * capacity * ROW..][..capacity * ROW].chunks_exact_mut(ROW).enumerate() {
            match kept.get(place) {
                Some(&i) => y.copy_from_slice(row(i)),
                None => y.copy_from_slice(&EMPTY_ROW.map(T::from_f32)),
            }
        }
    }
}

/// Intersection over union.
fn overlap<T: Element>(a: &[T], b: &[T]) -> T {
    let zero = T::from_f32(0.0);
    let side = |from: usize, to: usize| {
        let low = if a[from] > b[from] { a[from] } else { b[from] };
        let high = if a[to] < b[to] { a[to] } else { b[to] };
        if high > low {
            high - low
        } else {
            zero
        }
    };
    let shared = side(0, 2) * side(1, 3);
    let area = |r: &[T]| (r[2] - r[0]) * (r[3] - r[1]);
    shared / (area(a) + area(b) - shared)
}
