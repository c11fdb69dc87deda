//! A raster to be written: its file, by extension a GeoTIFF or a PNG, what it holds, and the memory that takes.

use std::path::{Path, PathBuf};

use super::encode::Encoding;
use crate::error::{Error, InFile, Result};
use crate::raster::cog::{CogOptions, CogSpec, CogWriter};
use crate::raster::{BlockSink, PngWriter};

/// A raster to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The file, `.tif` or `.png`.
    pub path: PathBuf,
    /// Its size, bands and place.
    pub cog: CogSpec,
    /// What it holds of the network's result.
    pub encoding: Encoding,
}

impl Target {
    /// Begins the file.
    ///
    /// # Errors
    /// `Usage` for other extensions and files that are there already; what the format cannot hold.
    pub fn open(&self, options: CogOptions) -> Result<Box<dyn BlockSink>> {
        open_sink(&self.path, self.cog.clone(), options)
    }

    /// Bytes that each writing thread takes, that the file takes, and that an image held whole takes.
    ///
    /// # Errors
    /// What the format cannot hold.
    pub fn memory(&self) -> Result<(u64, u64, u64)> {
        let estimate = self.cog.estimate().in_file(&self.path)?;
        let pixels = self.cog.tile * self.cog.tile;
        let block = (pixels * self.cog.bands.len() * self.cog.sample.size() + pixels) as u64;
        let whole = if extension(&self.path).as_deref() == Some("png") { estimate.raw_bytes } else { 0 };
        Ok((block + estimate.thread_bytes, estimate.fixed_bytes, whole))
    }
}

/// Begins a raster file.
///
/// # Errors
/// As [`Target::open`].
pub fn open_sink(path: &Path, cog: CogSpec, options: CogOptions) -> Result<Box<dyn BlockSink>> {
    match extension(path).as_deref() {
        Some("tif" | "tiff") => Ok(Box::new(CogWriter::create(path, cog, options)?)),
        Some("png") => Ok(Box::new(PngWriter::create(path, cog, options.overwrite)?)),
        _ => Err(Error::usage("the result's name should end in .tif or .png").in_file(path)),
    }
}

/// A file's extension in lower case.
fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase)
}
