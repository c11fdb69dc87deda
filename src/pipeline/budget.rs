//! Where the memory goes: one line a consumer, summed before anything is allocated and held against `--memory`.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::accumulate::{blocks_of, BlockId};
use crate::error::{Error, Result};
use crate::tile::TileGrid;

/// What the process takes before any tile: program, thread stacks, allocator slack. Measured, generous.
pub const BASE_BYTES: u64 = 48 << 20;

/// Bytes by consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    lines: Vec<(&'static str, u64)>,
    limit: u64,
    /// What sets the limit, and what helps against it.
    limited_by: [&'static str; 2],
}

impl Budget {
    /// The process's table under `--memory`.
    pub fn new(limit: u64) -> Self {
        let limited_by = ["--memory", "raise --memory, or lower --tile or --threads"];
        Self { lines: vec![("program", BASE_BYTES)], limit, limited_by }
    }

    /// A GPU's table: under what is free there, or less where `--gpu-memory` says so.
    pub fn of_gpu(free: u64, ceiling: Option<u64>) -> Self {
        let (limit, limited_by) = match ceiling {
            Some(ceiling) if ceiling < free => (ceiling, ["--gpu-memory", "raise it, or lower --tile"]),
            _ => (free, ["the GPU's free", "end what else runs there, or lower --tile"]),
        };
        Self { lines: Vec::new(), limit, limited_by }
    }

    /// The table with one more consumer.
    #[must_use]
    pub fn with(mut self, what: &'static str, bytes: u64) -> Self {
        self.lines.push((what, bytes));
        self
    }

    /// Sum of all consumers.
    pub fn total(&self) -> u64 {
        self.lines.iter().map(|(_, b)| *b).sum()
    }

    /// What is left under the limit; 0 when over it.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.total())
    }

    /// Whether everything fits.
    pub fn fits(&self) -> bool {
        self.total() <= self.limit
    }

    /// The error that prints the table.
    ///
    /// # Errors
    /// `Limit`, when the sum is over the limit.
    pub fn check(&self) -> Result<()> {
        if self.fits() {
            return Ok(());
        }
        let mib = |b: u64| b.div_ceil(1 << 20);
        let table: Vec<String> =
            self.lines.iter().map(|(what, b)| format!("{what} {} MiB", mib(*b))).collect();
        Err(Error::limit(format!(
            "this needs {} MiB ({}), over {} {} MiB; {}",
            mib(self.total()),
            table.join(", "),
            self.limited_by[0],
            mib(self.limit),
            self.limited_by[1]
        )))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, bytes) in self.lines.iter().filter(|(_, bytes)| *bytes > 0) {
            writeln!(f, "  {what:<22} {:>9.1} MiB", *bytes as f64 / (1 << 20) as f64)?;
        }
        let mib = |b: u64| b as f64 / (1 << 20) as f64;
        write!(f, "  {:<22} {:>9.1} MiB of {:.1} MiB", "sum", mib(self.total()), mib(self.limit))
    }
}

/// Largest number of unfinished output blocks in memory while `grid` is streamed, found by walking its order
/// as the accumulator does.
pub fn peak_blocks(grid: &TileGrid, block: usize) -> usize {
    let scale = grid.spec().scale as i64;
    let tiles: Vec<_> = grid.order().collect();
    let mut remaining: HashMap<BlockId, u32> = HashMap::new();
    let mut last: HashMap<(BlockId, usize), usize> = HashMap::new();
    for (sequence, (strip, tile)) in tiles.iter().enumerate() {
        for id in blocks_of(&tile.active.scale_up(scale), block) {
            *remaining.entry(id).or_default() += 1;
            last.insert((id, *strip), sequence);
        }
    }
    let mut live: HashSet<BlockId> = HashSet::new();
    let mut peak = 0;
    for (sequence, (strip, tile)) in tiles.iter().enumerate() {
        let touched: Vec<BlockId> = blocks_of(&tile.active.scale_up(scale), block).collect();
        live.extend(&touched);
        peak = peak.max(live.len());
        for id in touched {
            let left = remaining.entry(id).or_default();
            *left -= 1;
            if *left == 0 || last.get(&(id, *strip)) == Some(&sequence) {
                live.remove(&id);
            }
        }
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{Blend, TileSpec};

    #[test]
    fn unfinished_blocks_do_not_grow_with_the_image() {
        let peak = |side: usize| {
            let spec =
                TileSpec { tile: 144, overlap: 16, align: 1, blend: Blend::Linear, scale: 4, strip: 1024 };
            peak_blocks(&TileGrid::new(side, side, spec).unwrap(), 512)
        };
        assert_eq!(peak(4096), peak(16384));
        assert!(peak(4096) < 30, "{}", peak(4096));
    }

    #[test]
    fn over_the_limit_is_an_error_that_prints_the_table() {
        let budget = Budget::new(100 << 20).with("network", 80 << 20);
        let error = budget.check().unwrap_err().to_string();
        assert!(error.contains("network 80 MiB") && error.contains("--memory 100 MiB"), "{error}");
        assert_eq!(budget.left(), 0);
    }
}
