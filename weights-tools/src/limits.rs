//! Bounds on what a file may make the reader do. The defaults fit every published checkpoint with room to spare.

use crate::error::{Error, Result};

/// Bounds checked before anything is allocated or followed.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one pickle stream (the structure, not the tensors' data).
    pub pickle_bytes: u64,
    /// Opcodes run over all pickle streams of a file.
    pub opcodes: u64,
    /// Values made and items put into containers, strings counted by their length.
    pub items: u64,
    /// Entries of the memo.
    pub memo: usize,
    /// Nesting of containers.
    pub depth: usize,
    /// Tensors in one file.
    pub tensors: usize,
    /// Dimensions of one tensor.
    pub rank: usize,
    /// Bytes of a tensor's name or a dictionary's key.
    pub name_bytes: usize,
    /// Entries of a zip archive.
    pub zip_entries: usize,
    /// Bytes that compressed entries of one archive may inflate to, together.
    pub inflated_bytes: u64,
    /// Bytes of a safetensors header.
    pub header_bytes: u64,
    /// Bytes that all tensors may ask for beyond sixteen times the file's length: storages can be
    /// shared and expanded, so tensors may hold more than the file does, but not without bound.
    pub expanded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pickle_bytes: 64 << 20,
            opcodes: 10_000_000,
            items: 10_000_000,
            memo: 4_000_000,
            depth: 64,
            tensors: 200_000,
            rank: 16,
            name_bytes: 1024,
            zip_entries: 200_000,
            inflated_bytes: 1 << 30,
            header_bytes: 64 << 20,
            expanded_bytes: 1 << 30,
        }
    }
}

/// Refuses `value` above `bound`: "<what> <value>, over the limit of <bound>".
pub(crate) fn within(what: &str, value: u64, bound: u64) -> Result<()> {
    if value > bound {
        return Err(Error::limit(format!("{what} {value}, over the limit of {bound}")));
    }
    Ok(())
}
