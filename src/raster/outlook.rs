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
    /// Whether a block will be read.
    pub fn expects(&self, column: usize, row: usize) -> bool {
        self.strip.contains(column, row) || self.next.contains(column, row)
    }
}
