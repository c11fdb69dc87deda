//! Contracts that choose: the largest of many values, and the entries that an index names.

use bytemuck::{Pod, Zeroable};

/// Largest index that a float holds exactly.
pub const MAX_INDEX: u64 = 1 << 24;

/// Parameters of a choice. Operand: x (rows, m). y is (rows, k, 2): the k largest values with their
/// indices, largest first, of equals the earlier; a NaN is larger than all.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct TopKParams {
    /// Rows.
    pub rows: u64,
    /// Values of a row, at most [`MAX_INDEX`].
    pub m: u64,
    /// Values chosen.
    pub k: u64,
}

/// Parameters of a gathering. Operands: x (batch, m, width), one item for all if `shared`; index
/// (batch, k, index_width), of which the last number names the entry. y is (batch, k, width). Indices
/// that are no entry's name the nearest.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct GatherParams {
    /// Items.
    pub batch: u64,
    /// Entries of an item.
    pub m: u64,
    /// Entries gathered.
    pub k: u64,
    /// Numbers of an entry.
    pub width: u64,
    /// Numbers of an index.
    pub index_width: u64,
    /// 1 if all items have the same entries.
    pub shared: u64,
}

impl GatherParams {
    /// The entry an index means.
    pub fn entry(&self, index: f64) -> usize {
        (index.max(0.0) as usize).min(self.m.saturating_sub(1) as usize)
    }
}
