//! Vector files as other programs read them, and polygons of masks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod formats;
mod gdal;
#[cfg(feature = "parquet")]
mod parquet;
mod polygons;
