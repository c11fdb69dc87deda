//! What files are, without decoding a pixel: the report behind `swath info SCENE`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::discover::{discover, Candidate, DateFiles};
use crate::error::Result;
use crate::raster::crs::{Bounds, WGS84};
use crate::raster::safe::{Baseline, Product};
use crate::raster::{jp2, BlockCost, Georef, OpenOptions, SampleType};

/// All that a path holds.
#[derive(Debug, Clone, Serialize)]
pub struct SceneReport {
    /// What was asked about.
    pub path: PathBuf,
    /// Dates, in time order.
    pub dates: Vec<DateReport>,
}

/// One date.
#[derive(Debug, Clone, Serialize)]
pub struct DateReport {
    /// Date-time, or a name where no time is known.
    pub label: String,
    /// The Sentinel-2 product it is.
    pub product: Option<ProductReport>,
    /// Its image files.
    pub files: Vec<FileReport>,
}

/// A Sentinel-2 product's metadata.
#[derive(Debug, Clone, Serialize)]
pub struct ProductReport {
    /// Name without `.SAFE`.
    pub name: String,
    /// `1C` or `2A`.
    pub level: Option<String>,
    /// Processing baseline, `04.00`.
    pub baseline: Option<String>,
    /// Sensing time.
    pub sensing_time: Option<String>,
    /// EPSG code of the tile.
    pub epsg: Option<u32>,
    /// Digital numbers per unit of reflectance.
    pub quantification: Option<f64>,
    /// Offset that the XML asks to add to each band's digital numbers.
    pub offsets: BTreeMap<String, f64>,
    /// What will be done about it.
    pub offset_decision: String,
}

/// One image file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Where it is.
    pub path: PathBuf,
    /// Band, by its name.
    pub band: Option<String>,
    /// Why it cannot be read; everything below is empty then.
    pub error: Option<String>,
    /// `JPEG 2000`, `TIFF`, `PNG`.
    pub format: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Sample type.
    pub sample: String,
    /// Bands.
    pub bands: Vec<BandReport>,
    /// EPSG code.
    pub epsg: Option<u32>,
    /// Pixel corners to coordinates, in GDAL's order.
    pub transform: Option<[f64; 6]>,
    /// West, south, east, north in degrees.
    pub bounds: Option<[f64; 4]>,
    /// Columns and rows that are decoded at a time.
    pub block: (usize, usize),
    /// Resolutions in the file.
    pub levels: u8,
    /// Bytes that decoding one block takes.
    pub block_bytes: usize,
}

/// One band of a file.
#[derive(Debug, Clone, Serialize)]
pub struct BandReport {
    /// Its name in the file.
    pub name: String,
    /// The value that means "no data".
    pub nodata: Option<f64>,
}

/// Looks at a product, folder or file.
///
/// # Errors
/// As [`super::Series::open`] says of what is not there or no image; a damaged image among others is part
/// of the report, a single one is an error.
pub fn describe(path: &Path, options: &OpenOptions) -> Result<SceneReport> {
    let dates = discover(&[path.to_path_buf()])?;
    if let [DateFiles { files, .. }] = dates.as_slice() {
        if let ([only], true) = (files.as_slice(), path.is_file()) {
            dates.first().map(|date| date.open(only, options)).transpose()?;
        }
    }
    let dates = dates.iter().map(|date| describe_date(date, options)).collect();
    Ok(SceneReport { path: path.to_path_buf(), dates })
}

fn describe_date(date: &DateFiles, options: &OpenOptions) -> DateReport {
    DateReport {
        label: date.label(),
        product: date.product.as_deref().map(describe_product),
        files: date.files.iter().map(|file| describe_file(date, file, options)).collect(),
    }
}

fn describe_product(product: &Product) -> ProductReport {
    let meta = &product.meta;
    ProductReport {
        name: product.name.clone(),
        level: product.level().map(str::to_owned),
        baseline: product.baseline().map(|b| b.to_string()),
        sensing_time: product.sensing_time(),
        epsg: product.granule.as_ref().map(|g| g.epsg),
        quantification: meta.quantification,
        offsets: meta.offsets.iter().map(|(band, offset)| ((*band).to_owned(), *offset)).collect(),
        offset_decision: offset_decision(product),
    }
}

fn offset_decision(product: &Product) -> String {
    let late = product.baseline().is_some_and(|b| b >= Baseline::WITH_OFFSET);
    match (product.meta.offsets.is_empty(), late) {
        (false, _) => "the XML's offsets are added to digital numbers; true colour has none".into(),
        (true, true) => "-1000 is added to digital numbers, by the baseline; true colour has none".into(),
        (true, false) => "digital numbers are taken as they are".into(),
    }
}

fn describe_file(date: &DateFiles, file: &Candidate, options: &OpenOptions) -> FileReport {
    let mut report = FileReport {
        path: file.path.clone(),
        band: file.band.map(str::to_owned),
        error: None,
        format: String::new(),
        width: 0,
        height: 0,
        sample: String::new(),
        bands: Vec::new(),
        epsg: None,
        transform: None,
        bounds: None,
        block: (0, 0),
        levels: 0,
        block_bytes: 0,
    };
    match date.open(file, options) {
        Err(e) => report.error = Some(e.to_string()),
        Ok(source) => {
            let info = source.info();
            report.format = date.bytes(file).map_or("", |bytes| format_of(&bytes)).to_owned();
            (report.width, report.height) = (info.width, info.height);
            report.sample = sample_name(info.sample).to_owned();
            let band = |b: &crate::raster::BandInfo| BandReport { name: b.name.clone(), nodata: b.nodata };
            report.bands = info.bands.iter().map(band).collect();
            report.epsg = info.georef.as_ref().map(|g| g.epsg);
            report.transform = info.georef.as_ref().map(|g| g.transform.0);
            report.bounds = info.georef.as_ref().and_then(|g| degrees(g, info.width, info.height));
            (report.block, report.levels) = (info.block, source.levels());
            report.block_bytes = BlockCost::of(source.as_ref(), 0).total();
        }
    }
    report
}

fn degrees(georef: &Georef, width: usize, height: usize) -> Option<[f64; 4]> {
    let b = Bounds::of_grid(georef, width, height, WGS84).ok()?;
    Some([b.west, b.south, b.east, b.north])
}

fn format_of(bytes: &[u8]) -> &'static str {
    match bytes {
        b if jp2::sniff(b) => "JPEG 2000",
        [b'I', b'I', 43, ..] | [b'M', b'M', 0, 43, ..] => "BigTIFF",
        [b'I', b'I', ..] | [b'M', b'M', ..] => "TIFF",
        [0x89, b'P', b'N', b'G', ..] => "PNG",
        _ => "unknown",
    }
}

fn sample_name(sample: SampleType) -> &'static str {
    match sample {
        SampleType::U8 => "uint8",
        SampleType::I8 => "int8",
        SampleType::U16 => "uint16",
        SampleType::I16 => "int16",
        SampleType::U32 => "uint32",
        SampleType::I32 => "int32",
        SampleType::F16 => "float16",
        SampleType::F32 => "float32",
        SampleType::F64 => "float64",
    }
}

impl fmt::Display for SceneReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.dates.len() {
            1 => writeln!(f)?,
            n => writeln!(f, "  {n} dates")?,
        }
        self.dates.iter().try_for_each(|date| write!(f, "{date}"))
    }
}

impl fmt::Display for DateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "date {}", self.label)?;
        if let Some(product) = &self.product {
            write!(f, "{product}")?;
        }
        self.files.iter().try_for_each(|file| write!(f, "{file}"))
    }
}

impl fmt::Display for ProductReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = "unknown";
        let level = self.level.as_deref().unwrap_or(unknown);
        let baseline = self.baseline.as_deref().unwrap_or(unknown);
        writeln!(f, "  product    {}", self.name)?;
        writeln!(f, "  level      {level}, baseline {baseline}")?;
        if let Some(epsg) = self.epsg {
            writeln!(f, "  tile       EPSG:{epsg}")?;
        }
        if let Some(value) = self.quantification {
            writeln!(f, "  scale      {value} digital numbers to a reflectance of 1")?;
        }
        writeln!(f, "  offset     {}", self.offset_decision)
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.path.display())?;
        if let Some(error) = &self.error {
            return writeln!(f, "    unreadable {error}");
        }
        let mib = self.block_bytes as f64 / f64::from(1 << 20);
        let names: Vec<&str> = self.bands.iter().map(|b| b.name.as_str()).collect();
        writeln!(f, "    format     {}, {}×{} {}", self.format, self.width, self.height, self.sample)?;
        writeln!(f, "    bands      {}{}", names.join(" "), nodata_line(&self.bands))?;
        let (columns, rows) = self.block;
        writeln!(f, "    blocks     {columns}×{rows}, {} levels, {mib:.1} MiB to decode one", self.levels)?;
        match (self.epsg, self.transform) {
            (Some(epsg), Some(t)) => {
                writeln!(f, "    place      EPSG:{epsg}, origin {},{}, pixel {}×{}", t[0], t[3], t[1], t[5])?;
            }
            _ => writeln!(f, "    place      no georeferencing")?,
        }
        match self.bounds {
            Some([west, south, east, north]) => {
                writeln!(f, "    degrees    {west:.5},{south:.5},{east:.5},{north:.5}")
            }
            None => Ok(()),
        }
    }
}

fn nodata_line(bands: &[BandReport]) -> String {
    let mut values: Vec<String> = bands.iter().filter_map(|b| b.nodata).map(|v| v.to_string()).collect();
    values.dedup();
    if values.is_empty() {
        return String::new();
    }
    format!(" (nodata {})", values.join(" "))
}
