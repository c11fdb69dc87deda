//! Writing Cloud-Optimized GeoTIFFs, crash-safe.
//!
//! Compressed tiles are appended to a spool beside the output (`OUT.swath-spool/`) in whatever order
//! they come, each recorded in a checksummed journal. `finish` derives the overviews from the spooled
//! tiles, assembles the file in a fixed order and renames it into place. A run that is killed at any
//! moment can therefore be resumed, and ends with the same bytes as one that was not.
//!
//! The file follows GDAL's COG layout: hidden structural metadata, all directories first (image, its
//! mask, overviews by falling size), then the tiles from the smallest overview to the full image, row by
//! row, each mask tile behind its image tile, with sizes in front and the last bytes repeated behind.

mod assemble;
mod codec;
mod finish;
mod geokeys;
mod ifd;
mod journal;
mod levels;
mod metadata;
mod overview;
mod spec;
mod spool;
mod target;
mod tile;
mod writer;

pub use spec::{BigTiff, CogSpec, Compression, Estimate, OverviewResampling};
pub use writer::{CogOptions, CogWriter};
