//! Opens a raster by what its first bytes say, whatever its name.

use std::path::{Path, PathBuf};

use super::{jp2, png, tiff, BlockSource, Bytes};
use crate::error::{Error, InFile, Result};

/// Bounds on what a file may make the program allocate. Checked before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Columns or rows of an image.
    pub side: usize,
    /// Bands of an image.
    pub bands: usize,
    /// Decoded bytes of one block (JPEG 2000 tile, TIFF tile or strip, whole PNG).
    pub block_bytes: usize,
    /// Blocks of one image at one level.
    pub blocks: usize,
    /// Bytes of one metadata item (XML box, text tag).
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { side: 1 << 22, bands: 1 << 10, block_bytes: 1 << 31, blocks: 1 << 24, text_bytes: 1 << 24 }
    }
}

/// Which library decodes JPEG 2000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Jp2Decoder {
    /// hayro-jpeg2000: pure Rust, the choice for files from anywhere.
    #[default]
    Hayro,
    /// OpenJPEG (C): only when the user names it.
    OpenJpeg,
}

/// How files are opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Bounds on sizes.
    pub limits: Limits,
    /// Decoder of JPEG 2000 codestreams.
    pub jp2_decoder: Jp2Decoder,
    /// Reads a TIFF with a palette as the palette's indices; without this it is refused.
    pub indices: bool,
}

/// Opens JPEG 2000 (JP2 file or raw codestream), TIFF, BigTIFF or PNG bytes. `name` is the file (or
/// `archive.zip/entry`) that errors name.
///
/// # Errors
/// `Format` for damaged headers and unknown content, `Unsupported`, `Limit`; all name the file.
pub fn open(bytes: Bytes, name: &Path, options: &OpenOptions) -> Result<Box<dyn BlockSource>> {
    let opened: Result<Box<dyn BlockSource>> = if jp2::sniff(&bytes) {
        jp2::Jp2Source::open(bytes, name, options).map(|s| Box::new(s) as _)
    } else if tiff::sniff(&bytes) {
        tiff::TiffSource::open(bytes, name, options).map(|s| Box::new(s) as _)
    } else if png::sniff(&bytes) {
        png::PngSource::open(bytes, name, options).map(|s| Box::new(s) as _)
    } else if bytes.is_empty() {
        Err(Error::format("the file is empty"))
    } else {
        Err(Error::format("neither JPEG 2000, TIFF nor PNG by its first bytes"))
    };
    opened.in_file(name)
}

/// Maps and opens a file; a TIFF's mask file beside it (`name.tif.msk`) is taken along.
///
/// # Errors
/// As [`open`], and `Io` when a file cannot be read.
pub fn open_path(path: &Path, options: &OpenOptions) -> Result<Box<dyn BlockSource>> {
    let bytes = Bytes::map(path)?;
    let mut mask = path.as_os_str().to_owned();
    mask.push(".msk");
    let mask = PathBuf::from(mask);
    if tiff::sniff(&bytes) && mask.is_file() {
        let source = tiff::TiffSource::open(bytes, path, options).in_file(path)?;
        let source = source.with_mask_file(Bytes::map(&mask)?, &mask, options).in_file(&mask)?;
        return Ok(Box::new(source));
    }
    open(bytes, path, options)
}
