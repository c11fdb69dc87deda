//! One date, opened: its files, their places, how their numbers are read, and what was decided.

use std::path::PathBuf;

use super::bands::{pick, Opened, Pick, Wanted};
use super::discover::DateFiles;
use super::layer::{LayerBand, LayerFile};
use super::options::SeriesOptions;
use super::radiometry::{self, Radiometry};
use crate::error::Result;
use crate::raster::safe::Product;
use crate::raster::{BlockCache, GeoTransform, Georef, Grid, RasterInfo, SampleType};

/// A date with its files open.
pub struct Date {
    /// Date-time or name.
    pub label: String,
    /// The files that hold the wanted bands.
    pub files: Vec<LayerFile>,
    /// What was decided, one line each.
    pub notes: Vec<String>,
    /// Sample type of each channel.
    pub samples: Vec<SampleType>,
    /// The grid of its finest file.
    pub grid: Grid,
}

impl Date {
    /// Opens the files of a date that hold the wanted bands.
    ///
    /// # Errors
    /// As [`pick`]; `Format` where the product's XML and its files contradict each other.
    pub fn open(
        date: &DateFiles,
        wanted: &[Wanted],
        options: &SeriesOptions,
        cache: &BlockCache,
    ) -> Result<Self> {
        let (opened, picks) = pick(date, wanted, &options.open)?;
        let mut notes = Vec::new();
        if let Some(product) = &date.product {
            let level = product.level().unwrap_or("of unknown level");
            notes.push(format!("Sentinel-2 {level} product {}", product.name));
        }
        let (mut offsets, mut samples) = (Vec::new(), Vec::new());
        let largest = opened.iter().map(|o| size(o.source.info())).max().unwrap_or((1, 1));
        let mut files = Vec::new();
        for (index, file) in opened.into_iter().enumerate() {
            let info = file.source.info();
            let of_file: Vec<&Pick> = picks.iter().filter(|p| p.file == index).collect();
            let georef = place(date, &file, options, largest, &mut notes);
            let read = |p: &&Pick| {
                let offset = radiometry::offset(date, p, info, options.offset);
                let nodata = radiometry::nodata(date, p, info, options.nodata);
                LayerBand { band: p.band, channel: p.channel, radiometry: Radiometry { offset, nodata } }
            };
            let bands: Vec<LayerBand> = of_file.iter().map(read).collect();
            for (p, band) in of_file.iter().zip(&bands) {
                samples.push((p.channel, info.sample));
                if let Some(name) = p.name.filter(|n| n.starts_with('B') && info.sample != SampleType::U8) {
                    offsets.push((name.to_owned(), band.radiometry.offset));
                }
            }
            if bands.is_empty() {
                continue;
            }
            let joint = of_file.iter().all(|p| p.name == Some("TCI"));
            let id = cache.source_id();
            let Opened { candidate, source } = file;
            files.push(LayerFile { path: candidate.path, source, id, georef, bands, joint });
        }
        notes.extend(radiometry::notes(date, &offsets, options.offset));
        samples.sort_by_key(|(channel, _)| *channel);
        let samples = samples.into_iter().map(|(_, sample)| sample).collect();
        let grid = finest(&files);
        notes.extend(coarser(&files, &grid, options.sampling.name()));
        if grid.georef.is_none() {
            notes.push("no georeferencing: pixels only".into());
        }
        Ok(Self { label: date.label(), files, notes, samples, grid })
    }

    /// Paths of its files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|f| f.path.clone()).collect()
    }
}

fn size(info: &RasterInfo) -> (usize, usize) {
    (info.width, info.height)
}

/// Larger side of a pixel.
fn pixel(t: &GeoTransform) -> f64 {
    t.0[1].hypot(t.0[4]).max(t.0[2].hypot(t.0[5]))
}

/// Grid of the file with the smallest pixels; of the one with most of them where there is no place.
fn finest(files: &[LayerFile]) -> Grid {
    let key = |f: &&LayerFile| {
        let pixel = f.georef.as_ref().map_or(f64::INFINITY, |g| pixel(&g.transform));
        (pixel, std::cmp::Reverse(f.size()))
    };
    let by = |a: &&LayerFile, b: &&LayerFile| {
        let ((a, b), (an, bn)) = ((key(a).0, key(b).0), (key(a).1, key(b).1));
        a.total_cmp(&b).then(an.cmp(&bn))
    };
    match files.iter().min_by(by) {
        Some(file) => {
            let (width, height) = file.size();
            Grid { width, height, georef: file.georef.clone() }
        }
        None => Grid { width: 0, height: 0, georef: None },
    }
}

/// Notes on files coarser than the date's grid.
fn coarser(files: &[LayerFile], grid: &Grid, sampling: &str) -> Vec<String> {
    let Some(georef) = &grid.georef else { return Vec::new() };
    let fine = pixel(&georef.transform);
    let line = |file: &LayerFile| {
        let coarse = pixel(&file.georef.as_ref()?.transform);
        let name = file.path.file_name()?.to_string_lossy().into_owned();
        (coarse > fine * 1.001).then(|| format!("{name}: {sampling} from pixels of {coarse:.6} to {fine:.6}"))
    };
    files.iter().filter_map(line).collect()
}

/// Where a file lies: the product's XML before the file, the file before what the user supplies.
fn place(
    date: &DateFiles,
    file: &Opened,
    options: &SeriesOptions,
    largest: (usize, usize),
    notes: &mut Vec<String>,
) -> Option<Georef> {
    let info = file.source.info();
    let name = file.candidate.path.file_name().unwrap_or_default().to_string_lossy();
    let by_xml = date.product.as_deref().and_then(|p| place_in_product(p, file, info));
    match (by_xml, &info.georef) {
        (Some(xml), Some(own)) => {
            if !agree(&xml, own, size(info)) {
                notes.push(format!(
                    "{name}: its own georeferencing differs from the product's, which is used"
                ));
            }
            Some(xml)
        }
        (Some(xml), None) => {
            notes.push(format!("{name}: place from the granule's XML"));
            Some(xml)
        }
        (None, Some(own)) => Some(own.clone()),
        (None, None) => options.georef.as_ref().map(|given| {
            notes.push(format!("{name}: place as given by --crs and --transform"));
            stretched(given, largest, size(info))
        }),
    }
}

/// The grid of the granule's XML that has the file's size, or its area cut into the file's pixels.
fn place_in_product(product: &Product, file: &Opened, info: &RasterInfo) -> Option<Georef> {
    let granule = product.granule.as_ref()?;
    let exact = granule.grids.iter().find(|g| (g.width, g.height) == size(info));
    let transform = match exact {
        Some(grid) => grid.transform,
        None if info.georef.is_some() => return None,
        None => {
            let grid = granule
                .grids
                .iter()
                .find(|g| Some(g.resolution) == file.candidate.resolution)
                .or(granule.grids.first())?;
            let georef = Georef { epsg: granule.epsg, transform: grid.transform };
            return Some(stretched(&georef, (grid.width, grid.height), size(info)));
        }
    };
    Some(Georef { epsg: granule.epsg, transform })
}

/// The same area cut into another number of pixels.
fn stretched(georef: &Georef, from: (usize, usize), to: (usize, usize)) -> Georef {
    let (x, y) = (from.0 as f64 / to.0 as f64, from.1 as f64 / to.1 as f64);
    let t = &georef.transform.0;
    let transform = GeoTransform([t[0], t[1] * x, t[2] * y, t[3], t[4] * x, t[5] * y]);
    Georef { epsg: georef.epsg, transform }
}

/// Whether two places agree to a hundredth of a pixel at all corners.
fn agree(a: &Georef, b: &Georef, size: (usize, usize)) -> bool {
    let (w, h) = (size.0 as f64, size.1 as f64);
    let near = |(col, row): (f64, f64)| {
        let ((ax, ay), (bx, by)) = (a.transform.apply(col, row), b.transform.apply(col, row));
        (ax - bx).hypot(ay - by) < 0.01 * pixel(&a.transform)
    };
    a.epsg == b.epsg && [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].into_iter().all(near)
}
