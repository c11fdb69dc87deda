//! What will be read next and once more: the blocks of the strip of tiles being read, and of the one after it.

use std::ops::Range;

use super::BlockSource;
use crate::tile::Rect;

/// A rectangle of blocks of one level of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockRange {
    /// Columns of blocks.
    pub columns: Range<usize>,
    /// Rows of blocks.
    pub rows: Range<usize>,
}

impl BlockRange {
    /// The blocks of a level that `rect` touches.
    pub fn touching(source: &dyn BlockSource, level: u8, rect: &Rect) -> Self {
        let (columns, rows) = source.blocks_touching(level, rect);
        Self { columns, rows }
    }

    /// Whether the block is one of these.
    pub fn contains(&self, column: usize, row: usize) -> bool {
        self.columns.contains(&column) && self.rows.contains(&row)
    }

    /// Column and row of each block, row by row.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.rows.clone().flat_map(|row| self.columns.clone().map(move |column| (column, row)))
    }

    /// Its uppermost rows.
    fn upper(&self, rows: usize) -> Self {
        let Range { start, end } = self.rows;
        Self { columns: self.columns.clone(), rows: start..end.min(start + rows) }
    }

    /// Rows of blocks that the next row of tiles adds where one touches these.
    pub fn rows_after(&self) -> usize {
        self.rows.len().saturating_sub(1).max(1)
    }

    /// Number of columns that are also columns of another rectangle.
    pub fn shared_columns(&self, other: &BlockRange) -> usize {
        let end = self.columns.end.min(other.columns.end);
        end.saturating_sub(self.columns.start.max(other.columns.start))
    }
}

/// What is still to be read of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Of the strip being read; its rows begin where reading is.
    pub strip: BlockRange,
    /// Of the next strip.
    pub next: BlockRange,
}

impl Outlook {
    /// What a row of tiles is likely to need that comes after one of `range`, a part of the strip: rows of blocks
    /// below it, or the uppermost of the next strip.
    pub fn after(&self, range: &BlockRange) -> BlockRange {
        let rows = range.rows_after();
        let Range { start, end } = self.strip.rows;
        let below = range.rows.end.clamp(start, end);
        match below < end {
            true => BlockRange { columns: range.columns.clone(), rows: below..end.min(below + rows) },
            false => self.next.upper(rows),
        }
    }

    /// Whether a block will be read.
    pub fn expects(&self, column: usize, row: usize) -> bool {
        self.strip.contains(column, row) || self.next.contains(column, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(columns: Range<usize>, rows: Range<usize>) -> BlockRange {
        BlockRange { columns, rows }
    }

    #[test]
    fn the_rows_below_come_next_and_after_the_last_the_next_strip() {
        let outlook = Outlook { strip: range(2..5, 0..8), next: range(4..7, 0..8) };
        assert_eq!(outlook.after(&range(2..5, 0..1)), range(2..5, 1..2));
        assert_eq!(outlook.after(&range(2..5, 3..6)), range(2..5, 6..8));
        assert_eq!(outlook.after(&range(2..5, 4..7)), range(2..5, 7..8));
        assert_eq!(outlook.after(&range(2..5, 5..8)), range(4..7, 0..2));
        assert_eq!(
            Outlook { next: BlockRange::default(), ..outlook }.after(&range(2..5, 7..8)).iter().count(),
            0
        );
    }
}
