//! How visible tile borders are: the mean absolute difference of neighbouring pixels across hand-overs, over
//! what the two tiles show there by themselves. 1 means invisible.
//!
//! With v the blended image, t a tile whose weights at p − 1 and p have the mean w_t, and d the difference of
//! the pixels p and p − 1 along one axis,
//!
//! ```text
//! ratio = Σ |d v(p)| / Σ over t of w_t |d t(p_t)|
//! ```
//!
//! over all bands and all lines that cross a hand-over, at its start, middle and end. `p_t` is `p` where the tile
//! reaches both pixels, so that content cancels exactly; a tile that ends there (no overlap) is asked one input
//! pixel further inside, where the content is alike and the place within an input pixel the same, of which every
//! enlargement leaves a pattern. The error given is that of a ratio estimator (Cochran, Sampling Techniques, 1977,
//! section 6.4) with the pixels along one border inside one output block as the unit.

use super::accumulate::{BlockSums, TileOutput};
use crate::tile::{Axis, Rect, TileGrid};

/// The pair of output pixels `at - 1`, `at` on one axis, within the hand-over from tile `tile` to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Border {
    at: i64,
    tile: usize,
}

/// All hand-overs of a grid.
#[derive(Debug, Clone)]
pub struct Borders {
    x: Vec<Border>,
    y: Vec<Border>,
    scale: i64,
}

/// One axis of pixels that lie row by row: along it and across it.
#[derive(Clone, Copy)]
struct Lie {
    along: (i64, i64),
    across: (i64, i64),
    steps: (usize, usize),
}

impl Lie {
    fn of(rect: &Rect) -> [Self; 2] {
        let (x, y, width) = ((rect.x0, rect.x1), (rect.y0, rect.y1), rect.width());
        [Self { along: x, across: y, steps: (1, width) }, Self { along: y, across: x, steps: (width, 1) }]
    }

    fn index(&self, along: i64, across: i64) -> usize {
        (along - self.along.0) as usize * self.steps.0 + (across - self.across.0) as usize * self.steps.1
    }
}

impl Borders {
    /// Starts, middles and ends of a grid's hand-overs.
    pub fn of(grid: &TileGrid) -> Self {
        let scale = grid.spec().scale as i64;
        let all = |axis: &Axis| {
            let inner = axis.spans[..axis.spans.len() - 1].iter().enumerate();
            let mut all: Vec<Border> = inner
                .flat_map(|(tile, s)| {
                    let (from, to) = (s.leave.0 * scale, s.leave.1 * scale);
                    [from, (from + to) / 2, to].map(|at| Border { at, tile })
                })
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        Self { x: all(&grid.x), y: all(&grid.y), scale }
    }

    /// The borders whose pairs lie inside an area, each with the axis it crosses: 0 along rows, 1 along columns.
    fn inside(&self, area: &Rect) -> impl Iterator<Item = (usize, Border)> + '_ {
        let (x, y) = ((area.x0 + 1, area.x1), (area.y0 + 1, area.y1));
        let within = |all: &'_ [Border], (from, to): (i64, i64)| {
            all.partition_point(|b| b.at < from)..all.partition_point(|b| b.at < to)
        };
        let (xs, ys) = (within(&self.x, x), within(&self.y, y));
        let across = self.x.get(xs).unwrap_or_default().iter().map(|b| (0, *b));
        across.chain(self.y.get(ys).unwrap_or_default().iter().map(|b| (1, *b)))
    }

    /// Adds what a tile shows by itself at the borders inside a block. `active` is the tile's share of the output,
    /// `weights` are those of its columns and of its rows.
    pub fn expect(&self, sums: &mut BlockSums, output: &TileOutput, active: &Rect, weights: [&[f32]; 2]) {
        let tile = output.tile.input.scale_up(self.scale);
        let (lies, shares) = (Lie::of(&tile), Lie::of(active));
        let part = Lie::of(&sums.rect.intersect(active));
        let position = [output.tile.column, output.tile.row];
        let inside: Vec<_> = self.inside(&sums.rect).collect();
        sums.expected.resize(inside.len(), 0.0);
        for ((axis, border), expected) in inside.into_iter().zip(&mut sums.expected) {
            let (lie, share) = (&lies[axis], &shares[axis]);
            let (first, end) = (lie.along.0, lie.along.1);
            let at = match border.tile {
                before if before == position[axis] => {
                    border.at - if border.at < end { 0 } else { self.scale }
                }
                before if before + 1 == position[axis] => {
                    border.at + if border.at > first { 0 } else { self.scale }
                }
                _ => continue,
            };
            if at <= first || at >= end {
                continue;
            }
            let weight = |axis: usize, from: i64, p: i64| {
                usize::try_from(p - from).ok().and_then(|i| weights[axis].get(i)).copied().unwrap_or(0.0)
            };
            let along =
                0.5 * (weight(axis, share.along.0, border.at) + weight(axis, share.along.0, border.at - 1));
            for across in part[axis].across.0..part[axis].across.1 {
                let weight = f64::from(along * weight(1 - axis, share.across.0, across));
                let pair = [lie.index(at, across), lie.index(at - 1, across)];
                if weight > 0.0 && pair.iter().all(|i| self.has_data(*i, &tile, output)) {
                    let bands = output.values.chunks_exact(tile.area());
                    *expected +=
                        weight * bands.map(|b| f64::from((b[pair[0]] - b[pair[1]]).abs())).sum::<f64>();
                }
            }
        }
    }

    /// Whether the input pixel under an output pixel of a tile has data.
    fn has_data(&self, index: usize, tile: &Rect, output: &TileOutput) -> bool {
        let scale = self.scale as usize;
        let (x, y) = (index % tile.width() / scale, index / tile.width() / scale);
        output.valid[y * output.tile.input.width() + x] != 0
    }
}

/// Sums over the blocks seen so far, of units: `b` across a border, `c` what its tiles show by themselves.
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
    /// The same within the tiles that meet there.
    pub within: f64,
    /// Their ratio.
    pub ratio: f64,
    /// Standard error of the ratio.
    pub error: f64,
}

impl SeamReport {
    /// Adds the borders inside a finished block.
    pub fn add(&mut self, borders: &Borders, sums: &BlockSums) {
        let lies = Lie::of(&sums.rect);
        for ((axis, border), &c) in borders.inside(&sums.rect).zip(&sums.expected) {
            let (mut b, mut pairs) = (0.0, 0);
            for across in lies[axis].across.0..lies[axis].across.1 {
                let index = |at| lies[axis].index(at, across);
                for band in 0..sums.bands() {
                    let pair = (sums.value(band, index(border.at)), sums.value(band, index(border.at - 1)));
                    if let (Some(here), Some(before)) = pair {
                        b += f64::from((here - before).abs());
                        pairs += 1;
                    }
                }
            }
            self.merge(&SeamReport { pairs, b, c, bb: b * b, bc: b * c, cc: c * c });
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

    /// The figures; `None` without any border.
    pub fn figures(&self) -> Option<SeamFigures> {
        let ratio = self.b / self.c;
        let squares = self.bb - 2.0 * ratio * self.bc + ratio * ratio * self.cc;
        let n = self.pairs as f64;
        (self.pairs > 0 && self.c > 0.0).then(|| SeamFigures {
            border: self.b / n,
            within: self.c / n,
            ratio,
            error: squares.max(0.0).sqrt() / self.c,
        })
    }
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
        let borders = Borders::of(&grid);
        let mut sums = Accumulator::new(&grid, 1, 512, &order, &|_| true, folder.path().join("scratch"))
            .with_borders(Some(&borders));
        let mut report = SeamReport::default();
        for (sequence, (strip, tile)) in order.iter().enumerate() {
            let own = step * ((tile.column + tile.row) % 2) as f32;
            let r = tile.input.scale_up(SCALE);
            let pixels = (r.y0..r.y1).flat_map(|y| (r.x0..r.x1).map(move |x| value(x, y) + own));
            let (values, valid): (Vec<f32>, _) = (pixels.collect(), vec![1; tile.input.area()]);
            for block in sums
                .add(
                    sequence,
                    *strip,
                    &TileOutput { tile: *tile, values: &values, valid: &valid, dates: &[] },
                )
                .unwrap()
            {
                report.add(&borders, &block);
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
            assert!((f.ratio - 1.0).abs() <= 4.0 * f.error + 1e-6 && f.error < 0.03, "{f:?}");
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
