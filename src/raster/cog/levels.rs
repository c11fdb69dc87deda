//! The pyramid: sizes and tile counts of the full image and its overviews.

/// One resolution of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Number of the level's first tile when the tiles of all levels are counted in order.
    pub(super) first: usize,
}

impl Level {
    pub(super) fn tiles(&self) -> usize {
        self.columns * self.rows
    }

    /// Number of a tile among those of all levels; `None` outside the grid.
    pub(super) fn slot(&self, column: usize, row: usize) -> Option<usize> {
        (column < self.columns && row < self.rows).then(|| self.first + row * self.columns + column)
    }

    /// Columns and rows of image inside a tile.
    pub(super) fn clipped(&self, column: usize, row: usize, tile: usize) -> (usize, usize) {
        (self.width.saturating_sub(column * tile).min(tile), self.height.saturating_sub(row * tile).min(tile))
    }
}

/// The full image and its halvings (rounded up) until both edges are within a tile, or within 512
/// pixels when tiles are larger, as validators expect.
pub(super) fn levels(width: usize, height: usize, tile: usize) -> Vec<Level> {
    let goal = tile.min(512);
    let (mut width, mut height, mut first) = (width, height, 0);
    let mut all = Vec::new();
    loop {
        let level =
            Level { width, height, columns: width.div_ceil(tile), rows: height.div_ceil(tile), first };
        first += level.tiles();
        all.push(level);
        if width <= goal && height <= goal {
            return all;
        }
        (width, height) = (width.div_ceil(2), height.div_ceil(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up_until_one_tile() {
        let sizes: Vec<_> =
            levels(1025, 3, 512).iter().map(|l| (l.width, l.height, l.columns, l.first)).collect();
        assert_eq!(sizes, [(1025, 3, 3, 0), (513, 2, 2, 3), (257, 1, 1, 5)]);
        assert_eq!(levels(512, 512, 512).len(), 1);
        assert_eq!(levels(1024, 512, 1024).len(), 2);
    }

    #[test]
    fn slots_stay_inside_the_grid() {
        let level = levels(100, 40, 32)[0];
        assert_eq!((level.columns, level.rows), (4, 2));
        assert_eq!(level.slot(3, 1), Some(7));
        assert_eq!(level.slot(4, 0), None);
        assert_eq!(level.slot(0, 2), None);
        assert_eq!(level.clipped(3, 1, 32), (4, 8));
    }
}
