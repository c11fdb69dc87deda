//! Tiles over an image and the order in which they are computed.
//!
//! Columns of tiles are taken strip by strip, each strip from top to bottom, so that what must be kept (decoded
//! blocks of the files, unfinished output) depends on the strip's width and not on the image's.

use std::ops::Range;

use super::axis::{Axis, Blend, Span};
use super::Rect;
use crate::error::Result;

/// How an image is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileSpec {
    /// Side of a tile, input pixels.
    pub tile: usize,
    /// Pixels shared by neighbours.
    pub overlap: usize,
    /// Origins and sides are multiples of this.
    pub align: usize,
    /// How shared pixels are joined.
    pub blend: Blend,
    /// Output pixels an input pixel.
    pub scale: usize,
    /// Width of a strip, input pixels (at least one tile).
    pub strip: usize,
}

/// One tile: where it reads and what it answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Column in the grid.
    pub column: usize,
    /// Row in the grid.
    pub row: usize,
    /// Input pixels read; may reach past the image by less than the alignment.
    pub input: Rect,
    /// Input pixels it contributes to.
    pub active: Rect,
}

/// An image cut into tiles, in computing order.
#[derive(Debug, Clone)]
pub struct TileGrid {
    /// Horizontal cuts.
    pub x: Axis,
    /// Vertical cuts.
    pub y: Axis,
    spec: TileSpec,
    columns_per_strip: usize,
}

impl TileGrid {
    /// Cuts an image of `width` by `height` input pixels.
    ///
    /// # Errors
    /// `Usage` when tile and overlap do not fit together.
    pub fn new(width: usize, height: usize, spec: TileSpec) -> Result<Self> {
        let x = Axis::new(width, spec.tile, spec.overlap, spec.align, spec.blend)?;
        let y = Axis::new(height, spec.tile, spec.overlap, spec.align, spec.blend)?;
        let step = x.spans.get(1).map_or(x.tile, |s| s.origin as usize).max(1);
        let columns_per_strip = (spec.strip / step).max(1);
        Ok(Self { x, y, spec, columns_per_strip })
    }

    /// How the image was cut.
    pub fn spec(&self) -> &TileSpec {
        &self.spec
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.x.spans.len() * self.y.spans.len()
    }

    /// Whether there is no tile (never: an image has at least one).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tile columns computed before moving right.
    pub fn columns_per_strip(&self) -> usize {
        self.columns_per_strip
    }

    /// Pixels computed over pixels wanted.
    pub fn redundancy(&self) -> f64 {
        self.x.redundancy() * self.y.redundancy()
    }

    /// The tile at a grid position.
    pub fn tile(&self, column: usize, row: usize) -> Tile {
        let (sx, sy) = (&self.x.spans[column], &self.y.spans[row]);
        let ((x0, x1), (y0, y1)) = (sx.active(), sy.active());
        Tile {
            column,
            row,
            input: Rect::at(sx.origin, sy.origin, self.x.tile, self.y.tile),
            active: Rect { x0, y0, x1, y1 },
        }
    }

    /// Input pixels that each strip's tiles read, from left to right; strips share what their tiles share.
    pub fn strips(&self) -> Vec<Rect> {
        let columns = self.x.spans.chunks(self.columns_per_strip);
        let last = self.y.spans.last().map_or(0, |s| s.origin);
        let reach = |spans: &[Span]| {
            let (first, end) = (spans.first().map_or(0, |s| s.origin), spans.last().map_or(0, |s| s.origin));
            Rect { x0: first, y0: 0, x1: end + self.x.tile as i64, y1: last + self.y.tile as i64 }
        };
        columns.map(reach).collect()
    }

    /// All tiles in computing order, with the number of their strip.
    pub fn order(&self) -> impl Iterator<Item = (usize, Tile)> + '_ {
        let (columns, rows) = (self.x.spans.len(), self.y.spans.len());
        (0..columns).step_by(self.columns_per_strip).enumerate().flat_map(move |(strip, first)| {
            let range: Range<usize> = first..(first + self.columns_per_strip).min(columns);
            (0..rows).flat_map(move |row| range.clone().map(move |column| (strip, self.tile(column, row))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_visits_every_tile_once_strip_by_strip() {
        let spec = TileSpec { tile: 64, overlap: 16, align: 1, blend: Blend::Linear, scale: 4, strip: 200 };
        let grid = TileGrid::new(500, 300, spec).unwrap();
        let order: Vec<_> = grid.order().collect();
        assert_eq!(order.len(), grid.len());
        let unique: std::collections::HashSet<_> = order.iter().map(|(_, t)| (t.column, t.row)).collect();
        assert_eq!(unique.len(), grid.len());
        assert!(order.windows(2).all(|w| w[0].0 <= w[1].0));
        assert!(order.iter().all(|(strip, t)| t.column / grid.columns_per_strip() == *strip));
        let strips = grid.strips();
        assert!(order.iter().all(|(strip, t)| strips[*strip].contains(&t.input)));
    }
}
