//! The largest values, and entries by index.

use super::Element;
use crate::kernel::select::{GatherParams, TopKParams};

/// Chooses the largest.
pub(super) fn top_k<T: Element>(p: &TopKParams, x: &[T], y: &mut [T]) {
    let (m, k) = (p.m as usize, p.k as usize);
    for (row, y) in x.chunks_exact(m).zip(y.chunks_exact_mut(2 * k)) {
        let mut order: Vec<usize> = (0..m).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        for (y, &index) in y.chunks_exact_mut(2).zip(&order) {
            y.copy_from_slice(&[row[index], T::from_f64(index as f64)]);
        }
    }
}

/// Gathers; operands are x and index.
pub(super) fn gather<T: Element>(p: &GatherParams, operands: &[Vec<T>], y: &mut [T]) {
    let (m, k, width, index_width) = (p.m as usize, p.k as usize, p.width as usize, p.index_width as usize);
    for (place, y) in y.chunks_exact_mut(width).enumerate() {
        let item = if p.shared == 1 { 0 } else { place / k };
        let index = operands[1][(place + 1) * index_width - 1].to_f32();
        let at = (item * m + p.entry(f64::from(index))) * width;
        y.copy_from_slice(&operands[0][at..at + width]);
    }
}
