//! What a series is asked for.

use std::str::FromStr;

use super::{MercatorGrid, Window};
use crate::error::{Error, Result};
use crate::raster::warp::Sampling;
use crate::raster::{Georef, OpenOptions};

/// How a series is opened.
#[derive(Debug, Clone)]
pub struct SeriesOptions {
    /// Bands wanted, in order: `tci` (three channels: red, green, blue), `b08`, `vv`, the name a stacked
    /// file gives a band, or a band's number in a stacked file, from 1.
    pub bands: Vec<String>,
    /// Georeferencing of files that have none (`--crs`, `--transform`): that of the finest file of a date;
    /// coarser ones are taken to cover the same area.
    pub georef: Option<Georef>,
    /// The grid frames are read on.
    pub target: Target,
    /// Which area is covered when dates cover different ones.
    pub extent: Extent,
    /// Only this part of it.
    pub window: Option<Window>,
    /// How pixels of other grids are resampled.
    pub sampling: Sampling,
    /// Radiometric offset of digital numbers.
    pub offset: OffsetChoice,
    /// Which values mean "no data".
    pub nodata: NodataChoice,
    /// Bytes the cache of decoded blocks may hold.
    pub cache_bytes: usize,
    /// Limits and the JPEG 2000 decoder.
    pub open: OpenOptions,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        Self {
            bands: vec!["tci".into()],
            georef: None,
            target: Target::Reference,
            extent: Extent::Reference,
            window: None,
            sampling: Sampling::Bilinear,
            offset: OffsetChoice::Auto,
            nodata: NodataChoice::Auto,
            cache_bytes: 256 << 20,
            open: OpenOptions::default(),
        }
    }
}

/// The grid frames are read on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Target {
    /// The grid most dates share; the earliest date's where none is shared.
    #[default]
    Reference,
    /// Web Mercator.
    Mercator(MercatorGrid),
}

/// Which area is covered when dates cover different ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// That of the reference date.
    #[default]
    Reference,
    /// What any date covers.
    Union,
    /// What all dates cover.
    Intersection,
}

/// Radiometric offset of 16-bit digital numbers (true-colour images have none).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum OffsetChoice {
    /// As the product's XML and processing baseline say; files without either are taken as they are.
    #[default]
    Auto,
    /// Added to every digital number whatever the product says: -1000 for loose files of baseline 04.00
    /// and later, 0 for products whose offset is already removed.
    Add(f64),
}

/// Which values mean "no data".
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum NodataChoice {
    /// What the file or product declares; else 0 for Sentinel-2 bands, and black (all bands 0) for
    /// georeferenced true-colour images.
    #[default]
    Auto,
    /// None: every pixel not masked has data.
    Ignore,
    /// This value.
    Value(f64),
}

fn number(text: &str) -> Result<f64> {
    let number = text.parse().ok().filter(|v: &f64| v.is_finite());
    number.ok_or_else(|| Error::usage(format!("{text:?} is no number")))
}

/// `auto` or a number.
impl FromStr for OffsetChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => number(text).map(Self::Add),
        }
    }
}

/// `auto`, `none` or a number.
impl FromStr for NodataChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Ignore),
            _ => number(text).map(Self::Value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_words_or_numbers() {
        assert_eq!("auto".parse::<OffsetChoice>().unwrap(), OffsetChoice::Auto);
        assert_eq!("-1000".parse::<OffsetChoice>().unwrap(), OffsetChoice::Add(-1000.0));
        assert_eq!("none".parse::<NodataChoice>().unwrap(), NodataChoice::Ignore);
        assert_eq!("65535".parse::<NodataChoice>().unwrap(), NodataChoice::Value(65_535.0));
        assert!("nan".parse::<OffsetChoice>().is_err() && "".parse::<NodataChoice>().is_err());
    }
}
