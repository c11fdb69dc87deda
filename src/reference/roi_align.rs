//! Pooling of boxes out of a pyramid, sample by sample.

use super::Element;
use crate::kernel::boxes::{NO_BOX, ROW};
use crate::kernel::roi_align::RoiAlignParams;

/// Computes y; operands are rows, then maps.
pub(super) fn run<T: Element>(p: &RoiAlignParams, operands: &[Vec<T>], y: &mut [T]) {
    let [rois, channels, size, samples] = [p.rois, p.channels, p.size, p.samples].map(|v| v as usize);
    for (roi, y) in y.chunks_exact_mut(channels * size * size).enumerate() {
        let row: Vec<f64> = operands[0][roi * ROW..][..ROW].iter().map(|v| v.to_f64()).collect();
        y.fill(T::from_f32(0.0));
        if row[4] <= f64::from(NO_BOX) {
            continue;
        }
        let level = p.level((row[2] - row[0]) * (row[3] - row[1]));
        let [h, w] = p.maps[level].map(|v| v as usize);
        let scale = 0.5f64.powi(p.shifts[level] as i32);
        let side = |from: usize, to: usize| ((row[to] - row[from]) * scale).max(1.0) / size as f64;
        let (bin_w, bin_h) = (side(0, 2), side(1, 3));
        for channel in 0..channels {
            let map = &operands[1 + level][(roi / rois * channels + channel) * h * w..][..h * w];
            for bin in 0..size * size {
                let mut sum = 0.0;
                for sample in 0..samples * samples {
                    let at = |start: f64, bin: usize, side: f64, k: usize| {
                        start * scale + (bin as f64 + (k as f64 + 0.5) / samples as f64) * side
                    };
                    let row_at = at(row[1], bin / size, bin_h, sample / samples);
                    let column = at(row[0], bin % size, bin_w, sample % samples);
                    sum += bilinear(map, h, w, row_at, column);
                }
                y[channel * size * size + bin] = T::from_f64(sum / (samples * samples) as f64);
            }
        }
    }
}

/// The value of a map between its pixels; zero more than a pixel outside.
fn bilinear<T: Element>(map: &[T], h: usize, w: usize, row: f64, column: f64) -> f64 {
    if !(-1.0..=h as f64).contains(&row) || !(-1.0..=w as f64).contains(&column) {
        return 0.0;
    }
    let axis = |at: f64, extent: usize| {
        let at = at.max(0.0);
        let low = (at as usize).min(extent - 1);
        let last = low + 1 >= extent;
        (low, if last { low } else { low + 1 }, if last { 0.0 } else { at - low as f64 })
    };
    let ((top, bottom, y), (left, right, x)) = (axis(row, h), axis(column, w));
    let v = |row: usize, column: usize| map[row * w + column].to_f64();
    (1.0 - y) * ((1.0 - x) * v(top, left) + x * v(top, right))
        + y * ((1.0 - x) * v(bottom, left) + x * v(bottom, right))
}
