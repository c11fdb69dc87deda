//! How visible tile borders are: the mean absolute difference of neighbouring pixels across hand-overs, over
//! the same everywhere else. 1 means invisible.

use super::accumulate::BlockSums;
use crate::tile::{Axis, TileGrid};

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, v: f64) {
        self.sum += v;
        self.count += 1;
    }

    fn merge(&mut self, other: Mean) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

/// Sums over the blocks seen so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeamReport {
    border: Mean,
    elsewhere: Mean,
}

impl SeamReport {
    /// Adds the neighbouring pairs inside one block. A pair lies on a border where a hand-over starts, has its
    /// middle, or ends.
    pub fn add(&mut self, grid: &TileGrid, sums: &BlockSums) {
        let scale = grid.spec().scale as i64;
        let (xs, ys) = (borders(&grid.x, scale), borders(&grid.y, scale));
        let (w, r) = (sums.rect.width(), &sums.rect);
        let mut part = SeamReport::default();
        for (y, py) in (r.y0..r.y1).enumerate() {
            for (x, px) in (r.x0..r.x1).enumerate() {
                let here = y * w + x;
                if px > r.x0 {
                    part.pair(sums, here, here - 1, xs.binary_search(&px).is_ok());
                }
                if py > r.y0 {
                    part.pair(sums, here, here - w, ys.binary_search(&py).is_ok());
                }
            }
        }
        self.merge(&part);
    }

    /// Adds another report's sums.
    pub fn merge(&mut self, other: &SeamReport) {
        self.border.merge(other.border);
        self.elsewhere.merge(other.elsewhere);
    }

    fn pair(&mut self, sums: &BlockSums, a: usize, b: usize, border: bool) {
        let mean = if border { &mut self.border } else { &mut self.elsewhere };
        for band in 0..sums.bands() {
            if let (Some(va), Some(vb)) = (sums.value(band, a), sums.value(band, b)) {
                mean.add(f64::from((va - vb).abs()));
            }
        }
    }

    /// Mean absolute difference across borders, elsewhere, and their ratio; `None` without any border.
    pub fn figures(&self) -> Option<(f64, f64, f64)> {
        let (border, elsewhere) = (self.border.value(), self.elsewhere.value());
        (self.border.count > 0 && elsewhere > 0.0).then(|| (border, elsewhere, border / elsewhere))
    }
}

/// Output positions `p` where the pair (`p - 1`, `p`) lies on a hand-over's start, middle or end.
fn borders(axis: &Axis, scale: i64) -> Vec<i64> {
    let inner = &axis.spans[..axis.spans.len() - 1];
    let mut all: Vec<i64> = inner
        .iter()
        .flat_map(|s| [s.leave.0 * scale, (s.leave.0 + s.leave.1) * scale / 2, s.leave.1 * scale])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
