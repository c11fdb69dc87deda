//! One axis of a tiled JPEG 2000 image: which tiles make a block, and where it lies at each level.

use std::ops::Range;

/// Columns (or rows) of the reference grid, its tiles, and the blocks they are decoded in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// The image on the reference grid.
    image: Range<u32>,
    /// Start of the first tile, not after the image's.
    first: u32,
    tile: u32,
    tiles: u32,
    /// Tiles of a block.
    group: u32,
    blocks: u32,
}

impl Axis {
    /// Blocks of at least `min_block` points. A last block too short to be halved `halvings` times is
    /// taken into the one before it.
    pub fn new(image: Range<u32>, first: u32, tile: u32, min_block: u32, halvings: u8) -> Self {
        let tiles = (image.end - first).div_ceil(tile);
        let group = min_block.div_ceil(tile).max(1);
        let mut axis = Self { image, first, tile, tiles, group, blocks: tiles.div_ceil(group) };
        let last = axis.points(&axis.tiles_of(axis.blocks as usize - 1));
        if axis.blocks > 1 && u64::from(last.end - last.start) < 1 << halvings {
            axis.blocks -= 1;
        }
        axis
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks as usize
    }

    /// Points of the largest block.
    pub fn largest(&self) -> usize {
        let length = |block: usize| self.points(&self.tiles_of(block)).len();
        let last = self.blocks as usize - 1;
        length(0).max(length(last.min(1))).max(length(last))
    }

    /// How often every block can be halved before one vanishes.
    pub fn halvings(&self) -> u8 {
        let length = |block: usize| self.points(&self.tiles_of(block)).len();
        length(0).min(length(self.blocks as usize - 1)).max(1).ilog2() as u8
    }

    /// Tiles of a block; empty beyond the last.
    pub fn tiles_of(&self, block: usize) -> Range<u32> {
        if block >= self.blocks as usize {
            return self.tiles..self.tiles;
        }
        let start = block as u32 * self.group;
        let end = if block + 1 == self.blocks as usize { self.tiles } else { start + self.group };
        start..end
    }

    /// Reference grid points of a range of tiles, clipped to the image.
    pub fn points(&self, tiles: &Range<u32>) -> Range<u32> {
        let edge = |tile: u32| u64::from(self.first) + u64::from(self.tile) * u64::from(tile);
        let low = edge(tiles.start).clamp(u64::from(self.image.start), u64::from(self.image.end));
        let high = edge(tiles.end).min(u64::from(self.image.end)).max(low);
        low as u32..high as u32
    }

    /// Pixels of a block at a level, counted from the image's edge. A reduced resolution keeps the points
    /// that are multiples of `2^level` (B-14 of the standard).
    pub fn pixels(&self, block: usize, level: u8) -> Range<i64> {
        let points = self.points(&self.tiles_of(block));
        let origin = halved(self.image.start, level);
        halved(points.start, level) - origin..halved(points.end, level) - origin
    }

    /// Blocks that the pixels `low..high` of a level touch.
    pub fn touching(&self, low: i64, high: i64, level: u8) -> Range<usize> {
        let end = self.pixels(self.blocks as usize - 1, level).end;
        let (low, high) = (low.max(0), high.min(end));
        if low >= high {
            return 0..0;
        }
        let block = |pixel: i64| {
            let point = (pixel + halved(self.image.start, level)) << level;
            let block =
                (point - i64::from(self.first)).max(0) / (i64::from(self.tile) * i64::from(self.group));
            (block as usize).min(self.blocks as usize - 1)
        };
        block(low)..block(high - 1) + 1
    }
}

/// `v / 2^level`, rounded up.
fn halved(v: u32, level: u8) -> i64 {
    -((-i64::from(v)) >> level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sentinel_2_band_has_eleven_blocks() {
        let axis = Axis::new(0..10980, 0, 1024, 256, 5);
        assert_eq!((axis.blocks(), axis.largest(), axis.halvings()), (11, 1024, 9));
        assert_eq!(axis.pixels(10, 0), 10240..10980);
        assert_eq!(axis.pixels(10, 3), 1280..1373);
        assert_eq!(axis.touching(1000, 1256, 0), 0..2);
    }

    #[test]
    fn small_tiles_are_grouped_and_slivers_absorbed() {
        let axis = Axis::new(0..343, 0, 8, 256, 4);
        assert_eq!((axis.blocks(), axis.tiles_of(0), axis.tiles_of(1)), (2, 0..32, 32..43));
        let axis = Axis::new(0..2049, 0, 1024, 256, 5);
        assert_eq!((axis.blocks(), axis.tiles_of(1), axis.largest()), (2, 1..3, 1025));
    }

    proptest! {
        #[test]
        fn blocks_cover_every_level_once(
            (start, length) in (0u32..300, 1u32..3000),
            (tile, back) in (1u32..700, 0u32..700),
            min_block in 1u32..300,
            halvings in 0u8..6,
        ) {
            let first = start - back.min(start).min(tile - 1);
            let axis = Axis::new(start..start + length, first, tile, min_block, halvings);
            for level in 0..=halvings {
                let mut at = 0;
                for block in 0..axis.blocks() {
                    let pixels = axis.pixels(block, level);
                    prop_assert_eq!(pixels.start, at);
                    for pixel in pixels.clone() {
                        prop_assert_eq!(axis.touching(pixel, pixel + 1, level), block..block + 1);
                    }
                    at = pixels.end;
                }
                prop_assert_eq!(at, halved(start + length, level) - halved(start, level));
            }
        }
    }
}
