//! Where results go: a raster that is written block by block, in any order, from many threads.

use super::Block;
use crate::error::Result;
use crate::tile::Rect;

/// Told how far finishing has come, in blocks (`done`, `total`); an error stops it with that error.
/// Called from many threads.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) -> Result<()> + Sync);

/// What a finished file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the file under its final name.
    pub bytes: u64,
    /// Resolutions in the file: 1 and its overviews.
    pub levels: usize,
    /// Whether the file was complete before this run touched it.
    pub was_complete: bool,
}

/// A raster being written. Blocks cover the image row by row; those at the right and lower edge are
/// clipped. Nothing appears under the final name before [`finish`](BlockSink::finish) succeeds.
pub trait BlockSink: Send + Sync {
    /// Blocks per row and per column.
    fn blocks(&self) -> (usize, usize);

    /// The pixels of a block, clipped to the image; empty when there is no such block.
    fn block_rect(&self, column: usize, row: usize) -> Rect;

    /// Whether a block is already written (by this run or the one it resumes).
    fn is_done(&self, column: usize, row: usize) -> bool;

    /// Writes one block: pixel-interleaved samples of the sink's type, `rect` as `block_rect` says
    /// or of full size. Pixels with mask 0 get the nodata value (0 without one). A block that is
    /// already done is left as it is.
    ///
    /// # Errors
    /// `Shape` when the block does not fit, `Io` when it cannot be stored.
    fn put(&self, column: usize, row: usize, block: &Block) -> Result<()>;

    /// Marks a block as holding no data at all.
    ///
    /// # Errors
    /// As [`put`](BlockSink::put).
    fn put_empty(&self, column: usize, row: usize) -> Result<()>;

    /// Completes the file and gives it its final name.
    ///
    /// # Errors
    /// `Usage` when blocks are missing, `Io` when the system refuses, and what `progress` returns.
    fn finish(self: Box<Self>, progress: Progress<'_>) -> Result<Summary>;
}
