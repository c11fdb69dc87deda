//! Rasters that say where there was imagery, by month: 0 or no data where there was none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::input::of_name;
use super::Period;
use crate::error::{Error, Result};
use crate::raster::crs::{PointTransform, WGS84};
use crate::raster::{open_path, BlockSource, OpenOptions, Samples};

/// Coverage rasters of some months.
#[derive(Debug, Default)]
pub struct Coverage {
    files: BTreeMap<Period, Vec<PathBuf>>,
}

impl Coverage {
    /// Takes files with a month in their name. They are opened when their month is asked for.
    ///
    /// # Errors
    /// `Usage` for a file without a month.
    pub fn of_files(files: &[PathBuf]) -> Result<Self> {
        let mut all = Self::default();
        for file in files {
            let period = of_name(file).ok_or_else(|| {
                Error::usage("a coverage raster's name has its month, as in 2021-03.tif").in_file(file)
            })?;
            all.files.entry(period).or_default().push(file.clone());
        }
        Ok(all)
    }

    /// Whether there was imagery of places, in longitude and latitude. Everywhere in a month without rasters.
    ///
    /// # Errors
    /// As [`open_path`] and decoding; `Unsupported` for a raster without georeferencing.
    pub fn seen(&self, period: Period, places: &[[f64; 2]]) -> Result<Vec<bool>> {
        let Some(files) = self.files.get(&period) else { return Ok(vec![true; places.len()]) };
        let mut seen = vec![false; places.len()];
        for file in files {
            let source = open_path(file, &OpenOptions::default())?;
            look(source.as_ref(), places, &mut seen)?;
        }
        Ok(seen)
    }
}

/// A place's number and its pixel.
struct Asked {
    k: usize,
    x: i64,
    y: i64,
}

/// Marks the places where a raster's first band is valid and not 0; each block is decoded once.
fn look(source: &dyn BlockSource, places: &[[f64; 2]], seen: &mut [bool]) -> Result<()> {
    let info = source.info();
    let georef = info.georef.as_ref().ok_or_else(|| {
        Error::unsupported("a coverage raster without georeferencing").in_file(source.name())
    })?;
    let from_lonlat = PointTransform::new(WGS84, georef.epsg)?;
    let nodata = info.bands.first().and_then(|band| band.nodata);
    let (columns, rows) = source.block_size(0);
    let mut asked: BTreeMap<(usize, usize), Vec<Asked>> = BTreeMap::new();
    for (k, [lon, lat]) in places.iter().enumerate() {
        let Some((x, y)) = from_lonlat.point(*lon, *lat) else { continue };
        let Some((column, row)) = georef.transform.invert(x, y) else { continue };
        let inside = |v: f64, n: usize| v >= 0.0 && v < n as f64;
        if inside(column, info.width) && inside(row, info.height) {
            let (column, row) = (column as usize, row as usize);
            let block = (column / columns.max(1), row / rows.max(1));
            asked.entry(block).or_default().push(Asked { k, x: column as i64, y: row as i64 });
        }
    }
    for ((column, row), places) in asked {
        let block = source.decode(0, column, row)?;
        let bands = info.bands.len().max(1);
        for Asked { k, x, y } in places {
            let (Ok(x), Ok(y)) = (usize::try_from(x - block.rect.x0), usize::try_from(y - block.rect.y0))
            else {
                continue;
            };
            let at = y * block.rect.width() + x;
            let value = match &block.samples {
                Samples::U8(v) => v.get(at * bands).map(|v| f64::from(*v)),
                Samples::U16(v) => v.get(at * bands).map(|v| f64::from(*v)),
                Samples::F32(v) => v.get(at * bands).map(|v| f64::from(*v)),
            };
            let valid = block.mask.as_ref().is_none_or(|mask| mask.get(at).is_some_and(|m| *m != 0));
            seen[k] |= valid && value.is_some_and(|v| v != 0.0 && !v.is_nan() && Some(v) != nodata);
        }
    }
    Ok(())
}
