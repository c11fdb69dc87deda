//! A time series on one grid: what the stream reads from, whatever the files were.

use super::{Georef, SampleType};
use crate::error::Result;
use crate::tile::Rect;

/// The common grid of a time series.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Where it lies; `None` for files without georeferencing.
    pub georef: Option<Georef>,
}

/// One date of a time series.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameInfo {
    /// ISO date or date-time where known, else the file's stem.
    pub label: String,
    /// Files it is read from.
    pub files: Vec<std::path::PathBuf>,
    /// How its values were brought to the grid and to numbers, one line for people and provenance:
    /// radiometric offset, resampling, reprojection.
    pub notes: Vec<String>,
}

/// What reading has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Blocks decoded, repeats included.
    pub decoded: u64,
    /// Blocks decoded more than once because the cache had dropped them.
    pub repeated: u64,
    /// Largest number of bytes the decoded-block cache has held.
    pub cache_peak: u64,
}

/// Work for any thread that may be left undone.
pub type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Frames (dates) of the same bands on one grid, read by windows. Shared between threads.
pub trait FrameSource: Send + Sync {
    /// The grid every frame is read on.
    fn grid(&self) -> &Grid;

    /// The dates, in time order where known.
    fn frames(&self) -> &[FrameInfo];

    /// Names of the bands `read` delivers, in order.
    fn bands(&self) -> &[String];

    /// Sample type of the stored values (8-bit true colour, 16-bit digital numbers, ...).
    fn sample(&self) -> SampleType;

    /// Reads a window of one frame: `out` is `[band][y][x]` of `rect`, in the file's numbers with any
    /// radiometric offset already removed; `valid` is `[y][x]`, 1 where every band has data.
    /// `rect` must lie inside the grid. Where `valid` is 0, `out` is 0.
    ///
    /// # Errors
    /// What decoding says, naming the file, the date and the window.
    fn read(&self, frame: usize, rect: Rect, out: &mut [f32], valid: &mut [u8]) -> Result<()>;

    /// Says that tiles of `strip` are read from now on, row by row downwards, and then those of `next`: worth
    /// keeping what both need. Changes no pixel.
    fn enter_strip(&self, _strip: Rect, _next: Rect) {}

    /// Says that the tiles within `row` of the strip entered are read next. What it returns is worth doing on
    /// other threads meanwhile, in this order: decoding what they need and what the rows after them will, as far
    /// as there is room. Changes no pixel; what cannot be decoded is an error of [`Self::read`].
    fn enter_row(&self, _row: Rect) -> Vec<Task<'_>> {
        Vec::new()
    }

    /// Native block size of the finest band (columns, rows), for an order of tiles that follows the file.
    fn block(&self) -> (usize, usize);

    /// Counters for reports and tests.
    fn stats(&self) -> ReadStats;
}
