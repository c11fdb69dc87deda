//! Corners that lie on borders, and those where more than two borders meet: two bits a corner, from the first row that
//! is still needed on.

use std::collections::VecDeque;

use super::Corner;

/// Rows of corners.
#[derive(Debug)]
pub(super) struct Borders {
    /// Corners of a row; 0 when nothing is kept.
    columns: usize,
    first: u32,
    rows: VecDeque<Row>,
}

#[derive(Debug)]
struct Row {
    border: Vec<u64>,
    junction: Vec<u64>,
}

impl Borders {
    /// For rows of so many corners; of 0, nothing is kept.
    pub fn new(columns: usize) -> Self {
        Self { columns, first: 0, rows: VecDeque::new() }
    }

    /// Whether corners are kept.
    pub fn is_kept(&self) -> bool {
        self.columns > 0
    }

    /// Rows that are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Begins the next row.
    pub fn begin_row(&mut self) {
        if self.is_kept() {
            let words = || vec![0; self.columns.div_ceil(64)];
            self.rows.push_back(Row { border: words(), junction: words() });
        }
    }

    /// Marks a corner of the last row.
    pub fn mark(&mut self, column: usize, junction: bool) {
        if let Some(row) = self.rows.back_mut() {
            let (word, bit) = (column / 64, 1 << (column % 64));
            row.border[word] |= bit;
            row.junction[word] |= if junction { bit } else { 0 };
        }
    }

    /// Forgets the rows before one.
    pub fn forget_above(&mut self, row: u32) {
        while self.first < row && self.rows.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Whether more than two borders meet in a corner.
    pub fn is_junction(&self, [column, row]: Corner) -> bool {
        let row = row.checked_sub(self.first).and_then(|row| self.rows.get(row as usize));
        row.is_some_and(|row| row.junction[column as usize / 64] >> (column % 64) & 1 == 1)
    }

    /// Columns from `from` to `to` of a row, both included, whose corners lie on borders.
    pub fn between(&self, row: u32, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        let row = row.checked_sub(self.first).and_then(|row| self.rows.get(row as usize));
        (from..=to).filter(move |column| {
            row.is_some_and(|row| row.border[*column as usize / 64] >> (column % 64) & 1 == 1)
        })
    }
}
