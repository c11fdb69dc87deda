//! Pixels of files: what a raster is, how blocks of it are decoded, how results are written.
//! Knows nothing of networks.

mod bytes;
mod cache;
pub mod cog;
pub mod crs;
mod frames;
mod geokeys;
mod guard;
mod info;
pub mod jp2;
pub mod npy;
mod open;
mod outlook;
mod picture;
pub mod png;
mod png_out;
pub mod safe;
pub mod scene;
mod sink;
pub mod tiff;
pub mod vector;
pub mod warp;
mod window;

pub use bytes::Bytes;
pub use cache::{BlockCache, BlockCost, SourceId};
pub use frames::{FrameInfo, FrameSource, Grid, ReadStats, Task};
pub use info::{BandInfo, GeoTransform, Georef, RasterInfo, SampleType};
pub use open::{open, open_path, Jp2Decoder, Limits, OpenOptions};
pub use outlook::{BlockRange, Outlook};
pub use picture::Picture;
pub use png_out::{PngWriter, MAX_PNG_PIXELS};
pub use sink::{BlockSink, Progress, Summary};

use std::path::Path;

use crate::error::Result;
use crate::tile::Rect;

/// Decoded samples of one block, pixel-interleaved by band (`[y][x][band]`), in the file's own type.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// 8-bit.
    U8(Vec<u8>),
    /// 16-bit.
    U16(Vec<u16>),
    /// Every other type, as floats.
    F32(Vec<f32>),
}

/// One decoded block of a file.
#[derive(Debug, Clone)]
pub struct Block {
    /// The pixels it covers, on the grid of the level it was decoded at (clipped to the image).
    pub rect: Rect,
    /// `rect.area() * bands` samples.
    pub samples: Samples,
    /// One byte a pixel, 0 = masked out by the file's own mask or alpha; `None` when all are valid.
    /// (The nodata value is not applied here.)
    pub mask: Option<Vec<u8>>,
}

impl Block {
    /// Bytes held, for the cache's budget.
    pub fn bytes(&self) -> usize {
        let samples = match &self.samples {
            Samples::U8(v) => v.len(),
            Samples::U16(v) => v.len() * 2,
            Samples::F32(v) => v.len() * 4,
        };
        samples + self.mask.as_ref().map_or(0, Vec::len)
    }
}

/// A file (or an entry of an archive) that decodes one native block at a time.
///
/// Implemented by each format; `raster::cache` puts a bounded cache and window reads on top.
/// Levels are the file's reduced resolutions: level `n` is `1/2^n` of the size, rounded up.
pub trait BlockSource: Send + Sync {
    /// The file (or `archive.zip/entry`), for messages.
    fn name(&self) -> &Path;

    /// Size, bands, georeferencing.
    fn info(&self) -> &RasterInfo;

    /// Number of levels that can be decoded, at least 1 (level 0 is full resolution).
    fn levels(&self) -> u8;

    /// Columns and rows of the largest block of a level.
    fn block_size(&self, level: u8) -> (usize, usize);

    /// Rectangle of block (`column`, `row`) at a level, clipped to the image at that level.
    fn block_rect(&self, level: u8, column: usize, row: usize) -> Rect;

    /// The blocks that `rect` touches at a level, as half-open column and row ranges.
    fn blocks_touching(&self, level: u8, rect: &Rect) -> (std::ops::Range<usize>, std::ops::Range<usize>);

    /// Decodes one block. Called from many threads at once.
    ///
    /// # Errors
    /// `Format`, `Unsupported`, `Limit` or `Io`, naming the file and the block.
    fn decode(&self, level: u8, column: usize, row: usize) -> Result<Block>;

    /// Upper bound on the bytes one `decode` call allocates beside its result (codec scratch).
    fn scratch_bytes(&self, level: u8) -> usize;
}
