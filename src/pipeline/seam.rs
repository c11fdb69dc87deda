//! How visible tile borders are: the mean absolute difference of neighbouring pixels across hand-overs, over
//! the same a few pixels beside them. 1 means invisible.
//!
//! With d(p) = |v(p) − v(p − 1)| along one axis, a hand-over at p, and s output pixels an input pixel,
//!
//! ```text
//! ratio = Σ d(p) / Σ mean over k of (d(p − k s) + d(p + k s)) / 2
//! ```
//!
//! over all bands and all lines that cross the border. What the image shows under a border it also shows
//! beside it, on both sides, so its own contrast cancels; whole input pixels `k s` keep the place within an
//! input pixel, of which every enlargement leaves a pattern. The error given is that of a ratio estimator
//! (Cochran, Sampling Techniques, 1977, section 6.4) with the pixels along one border inside one output block
//! as the unit.

use super::accumulate::BlockSums;
use crate::tile::{Axis, TileGrid};

/// Distances `k` of the pairs compared with, in input pixels: the nearer, the more alike what they show.
const BESIDE: [i64; 2] = [1, 2];

/// Sums over the blocks seen so far, of units (border `b`, beside it `c`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeamReport {
    pairs: u64,
    b: f64,
    c: f64,
    bb: f64,
    bc: f64,
    cc: f64,
}

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeamFigures {
    /// Mean absolute difference across borders.
    pub border: f64,
    /// The same beside them.
    pub beside: f64,
    /// Their ratio.
    pub ratio: f64,
    /// Standard error of the ratio.
    pub error: f64,
}

/// One axis of a block: where it starts, and how samples lie along it and across it.
#[derive(Clone, Copy)]
struct Lie {
    start: i64,
    length: i64,
    step: usize,
    lines: usize,
    line_step: usize,
}

impl SeamReport {
    /// Adds the pairs inside one block. A pair lies on a border where a hand-over starts, has its middle, or
    /// ends; it counts when all pairs it is compared with lie in the block, have data and are on no border.
    pub fn add(&mut self, grid: &TileGrid, sums: &BlockSums) {
        let scale = grid.spec().scale as i64;
        let (w, h, r) = (sums.rect.width(), sums.rect.height(), &sums.rect);
        let across = Lie { start: r.x0, length: w as i64, step: 1, lines: h, line_step: w };
        let down = Lie { start: r.y0, length: h as i64, step: w, lines: w, line_step: 1 };
        for (axis, lie) in [(&grid.x, across), (&grid.y, down)] {
            let borders = borders(axis, scale);
            for border in &borders {
                let beside = BESIDE.iter().flat_map(|k| [border - k * scale, border + k * scale]);
                let beside: Vec<i64> = beside.filter(|p| borders.binary_search(p).is_err()).collect();
                self.unit(sums, lie, border - lie.start, beside.iter().map(|p| p - lie.start).collect());
            }
        }
    }

    /// Adds another report's sums.
    pub fn merge(&mut self, other: &SeamReport) {
        self.pairs += other.pairs;
        let sums = [(&mut self.b, other.b), (&mut self.c, other.c), (&mut self.bb, other.bb)];
        sums.into_iter()
            .chain([(&mut self.bc, other.bc), (&mut self.cc, other.cc)])
            .for_each(|(s, o)| *s += o);
    }

    /// Adds all pairs at `border`, compared with those at `beside`, positions within the block.
    fn unit(&mut self, sums: &BlockSums, lie: Lie, border: i64, beside: Vec<i64>) {
        let inside = |p: &i64| (1..lie.length).contains(p);
        if beside.is_empty() || !inside(&border) || !beside.iter().all(inside) {
            return;
        }
        let (mut b, mut c, mut pairs) = (0.0, 0.0, 0);
        for line in 0..lie.lines {
            for band in 0..sums.bands() {
                let difference = |p: i64| {
                    let at = line * lie.line_step + p as usize * lie.step;
                    let (here, before) = (sums.value(band, at)?, sums.value(band, at - lie.step)?);
                    Some(f64::from((here - before).abs()))
                };
                let others: Option<f64> = beside.iter().map(|p| difference(*p)).sum();
                if let (Some(own), Some(others)) = (difference(border), others) {
                    b += own;
                    c += others / beside.len() as f64;
                    pairs += 1;
                }
            }
        }
        self.merge(&SeamReport { pairs, b, c, bb: b * b, bc: b * c, cc: c * c });
    }

    /// The figures; `None` without any border.
    pub fn figures(&self) -> Option<SeamFigures> {
        let ratio = self.b / self.c;
        let squares = self.bb - 2.0 * ratio * self.bc + ratio * ratio * self.cc;
        let n = self.pairs as f64;
        (self.pairs > 0 && self.c > 0.0).then(|| SeamFigures {
            border: self.b / n,
            beside: self.c / n,
            ratio,
            error: squares.max(0.0).sqrt() / self.c,
        })
    }
}

/// Output positions `p` where the pair (`p - 1`, `p`) lies on a hand-over's start, middle or end; sorted.
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

#[cfg(test)]
mod tests {
    use super::super::accumulate::{Accumulator, TileOutput};
    use super::*;
    use crate::tile::{Blend, TileSpec};

    const SCALE: i64 = 4;

    /// Noise in -1..1 of a position.
    fn noise(x: i64, y: i64) -> f32 {
        let mut z =
            (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (y as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z >> 40) as f32) / (1 << 23) as f32 - 1.0
    }

    /// Streams tiles whose pixels are `value(x, y)` plus `step` in every other tile.
    fn report(
        tile: usize,
        overlap: usize,
        blend: Blend,
        step: f32,
        value: fn(i64, i64) -> f32,
    ) -> SeamFigures {
        let spec = TileSpec { tile, overlap, align: 1, blend, scale: SCALE as usize, strip: 1 << 20 };
        let grid = TileGrid::new(300, 300, spec).unwrap();
        let order: Vec<_> = grid.order().collect();
        let folder = tempfile::tempdir().unwrap();
        let mut sums = Accumulator::new(&grid, 1, 512, &order, &|_| true, folder.path().join("scratch"));
        let mut report = SeamReport::default();
        for (sequence, (strip, tile)) in order.iter().enumerate() {
            let own = step * ((tile.column + tile.row) % 2) as f32;
            let r = tile.input.scale_up(SCALE);
            let pixels = (r.y0..r.y1).flat_map(|y| (r.x0..r.x1).map(move |x| value(x, y) + own));
            let (values, valid): (Vec<f32>, _) = (pixels.collect(), vec![1; tile.input.area()]);
            for block in sums
                .add(sequence, *strip, &TileOutput { tile: *tile, values: &values, valid: &valid })
                .unwrap()
            {
                report.add(&grid, &block);
                sums.recycle(block);
            }
        }
        report.figures().unwrap()
    }

    #[test]
    fn without_a_seam_it_is_one_within_its_error() {
        for (tile, overlap, blend) in [(64, 0, Blend::Crop), (100, 16, Blend::Crop), (100, 32, Blend::Cosine)]
        {
            let f = report(tile, overlap, blend, 0.0, noise);
            assert!((f.ratio - 1.0).abs() < 4.0 * f.error && f.error < 0.03, "{f:?}");
        }
    }

    #[test]
    fn a_step_between_tiles_is_seen() {
        let f = report(64, 0, Blend::Crop, 1.0, noise);
        // For the difference D of two such noises, E|D + a| = 2/3 + a²/2 − a³/12 (0 ≤ a ≤ 2).
        assert!((f.ratio - 1.625).abs() < 0.05, "{f:?}");
        let small = report(64, 0, Blend::Crop, 0.25, noise);
        assert!(small.ratio > 1.02 && small.ratio > 1.0 + 2.0 * small.error, "{small:?}");
    }

    #[test]
    fn contrast_that_lies_under_borders_is_not_a_seam() {
        // Tiles of 64 meet at multiples of 256 output pixels; there the image has five times the contrast.
        let f = report(64, 0, Blend::Crop, 0.0, |x, y| {
            let near = |p: i64| (p + 40).rem_euclid(256) < 80;
            noise(x, y) * if near(x) || near(y) { 5.0 } else { 1.0 }
        });
        assert!((f.ratio - 1.0).abs() < 4.0 * f.error && f.error < 0.05, "{f:?}");
    }

    #[test]
    fn the_pattern_of_an_enlargement_is_not_a_seam() {
        // Pixels repeated four times: differences only where input pixels meet, as tiles do.
        let f = report(64, 0, Blend::Crop, 0.0, |x, y| noise(x.div_euclid(SCALE), y.div_euclid(SCALE)));
        assert!((f.ratio - 1.0).abs() < 4.0 * f.error && f.error < 0.05, "{f:?}");
    }
}
