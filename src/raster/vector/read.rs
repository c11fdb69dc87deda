//! Features of files that others wrote: one at a time, every size bounded before it is allocated.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{flatgeobuf, geojson_read, Format, Geometry, Value};
use crate::error::{Error, InFile, Result};

/// What a file may ask for.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Bytes of a file.
    pub bytes: u64,
    /// Bytes of one feature; it takes up to twelve times as much memory while it is read.
    pub feature_bytes: u64,
    /// Features of a file.
    pub features: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { bytes: 4 << 30, feature_bytes: 32 << 20, features: 50_000_000 }
    }
}

/// What a file says of all its features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// EPSG code of the coordinates; `None` where the file says that they have no system.
    pub epsg: Option<u32>,
}

/// A feature as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it is; every coordinate finite, every ring closed.
    pub geometry: Geometry,
    /// Names and values. Truth values are 0 and 1, nested ones their JSON.
    pub properties: Vec<(String, Value)>,
}

impl Record {
    /// The value of that name; null when there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.properties.iter().find(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value)
    }
}

/// Told every feature of a file; an error ends the reading with that error.
pub type Each<'a> = &'a mut dyn FnMut(&Source, Record) -> Result<()>;

/// Reads GeoJSON, NDJSON or FlatGeobuf by the file's extension. Features come in the file's order.
///
/// # Errors
/// `Usage` for another extension, and as [`read_from`], naming the file.
pub fn read(path: impl AsRef<Path>, limits: &ReadLimits, each: Each<'_>) -> Result<()> {
    let path = path.as_ref();
    let format = Format::of(path)?;
    let file = File::open(path).map_err(|e| Error::io("cannot open", e)).in_file(path)?;
    read_from(file, format, limits, each).in_file(path)
}

/// Reads a file of a format.
///
/// # Errors
/// `Io`, `Format` or `Unsupported` for the file, `Limit` for what is larger than
/// allowed, and what `each` returns.
pub fn read_from(
    mut file: impl Read + Seek,
    format: Format,
    limits: &ReadLimits,
    each: Each<'_>,
) -> Result<()> {
    let bytes = file.seek(SeekFrom::End(0)).and_then(|bytes| file.rewind().map(|()| bytes));
    let bytes = bytes.map_err(|e| Error::io("cannot read", e))?;
    if bytes > limits.bytes {
        let most = limits.bytes;
        return Err(Error::limit(format!("{bytes} bytes; at most {most} are read; split the file")));
    }
    let mut features = 0;
    let mut counted = |source: &Source, record: Record| {
        features += 1;
        if features > limits.features {
            return Err(Error::limit(format!("more than {} features; split the file", limits.features)));
        }
        record.geometry.check().map_err(|e| Error::format(format!("feature {features}: {e}")))?;
        each(source, record)
    };
    match format {
        Format::GeoJson => geojson_read::read_collection(file, limits, &mut counted),
        Format::NdJson => geojson_read::read_lines(file, limits, &mut counted),
        Format::FlatGeobuf => flatgeobuf::read(file, limits, &mut counted),
        #[cfg(feature = "parquet")]
        Format::GeoParquet => {
            Err(Error::unsupported("GeoParquet is written, not read; convert it with ogr2ogr"))
        }
    }
}

/// The error of a feature that is larger than allowed.
pub(super) fn too_large(limits: &ReadLimits) -> Error {
    Error::limit(format!("a feature of more than {} bytes", limits.feature_bytes))
}
