//! What a COG is to hold: size, bands, type, compression, georeferencing; its checks and its estimate.

use super::levels::levels;
use crate::error::{Error, Result};
use crate::raster::{Georef, SampleType};

/// How tiles are compressed. All but `None` use a predictor (2 for integers, 3 for floats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// zlib; read by everything.
    Deflate,
    /// Zstandard; faster, read by GDAL 2.3 and later.
    Zstd,
    /// LZW; the oldest.
    Lzw,
    /// Plain samples.
    None,
}

/// How an overview's pixel comes from the four (fewer at odd edges) below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverviewResampling {
    /// Mean of the valid ones.
    Average,
    /// The upper left one: for classes.
    Nearest,
}

/// Whether the file uses 64-bit offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BigTiff {
    /// When the finished file passes 4 GiB.
    Auto,
    /// Always.
    Yes,
    /// Never; a file that passes 4 GiB is an error.
    No,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct CogSpec {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Band names, written as descriptions. 8- and 16-bit files whose first three are `red`, `green`
    /// and `blue` are marked as RGB.
    pub bands: Vec<String>,
    /// `U8`, `U16` or `F32`.
    pub sample: SampleType,
    /// Where it lies.
    pub georef: Option<Georef>,
    /// The value that means "no data"; must be one the sample type can hold.
    pub nodata: Option<f64>,
    /// Whether a 1-bit mask is kept inside the file.
    pub mask: bool,
    /// Codec of the tiles.
    pub compression: Compression,
    /// Effort: 1 to 9 for deflate (default 6), 1 to 22 for zstd (default 9); unused by the others.
    pub level: Option<u32>,
    /// Edge of a tile in pixels: a multiple of 16, 16 to 4096.
    pub tile: usize,
    /// How overviews are made.
    pub resampling: OverviewResampling,
    /// 64-bit offsets or not.
    pub bigtiff: BigTiff,
    /// Colours of the values from 0 on, of one 8-bit band; those behind them are black. Without any, grey.
    pub palette: Vec<[u8; 3]>,
    /// What one step of the samples is worth; 1 where they are the numbers meant.
    pub scale: f64,
    /// Name and value of dataset metadata (provenance). A run is only resumed with the same ones, so
    /// they must not hold the time of writing.
    pub metadata: Vec<(String, String)>,
}

/// Sizes of what a spec leads to. No codec beats every input, so there is a bound and a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Resolutions: 1 and the overviews.
    pub levels: usize,
    /// Tiles of all levels.
    pub tiles: u64,
    /// Samples and mask of all levels, uncompressed.
    pub raw_bytes: u64,
    /// The finished file at most.
    pub file_at_most: u64,
    /// The finished file, judged by Sentinel-2 scenes refined four times with a cubic kernel: deflate,
    /// zstd and LZW took 0.23 to 0.25 of 8-bit, 0.43 to 0.54 of 16-bit samples. Floats count in full.
    pub file_likely: u64,
    /// Free disk needed at most: the spool and the file exist together until the rename.
    pub disk_at_most: u64,
    /// Memory one thread takes at most inside `put` and inside `finish`, beside the block passed in.
    pub thread_bytes: u64,
    /// Memory of the writer itself, whatever the number of threads: index and directories.
    pub fixed_bytes: u64,
}

impl CogSpec {
    /// A spec with the usual choices: deflate 6, 512-pixel tiles, averaged overviews, no nodata, no mask.
    pub fn new(width: usize, height: usize, bands: Vec<String>, sample: SampleType) -> Self {
        Self {
            width,
            height,
            bands,
            sample,
            georef: None,
            nodata: None,
            mask: false,
            compression: Compression::Deflate,
            level: None,
            tile: 512,
            resampling: OverviewResampling::Average,
            bigtiff: BigTiff::Auto,
            palette: Vec::new(),
            scale: 1.0,
            metadata: Vec::new(),
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// `Unsupported` for other sample types and for EPSG codes that GeoKeys cannot hold, `Limit` for
    /// sizes out of bounds, `Usage` for a level or nodata value that does not fit.
    pub fn check(&self) -> Result<()> {
        if !matches!(self.sample, SampleType::U8 | SampleType::U16 | SampleType::F32) {
            let what = self.sample;
            return Err(Error::unsupported(format!("cannot write {what:?} samples: U8, U16 or F32")));
        }
        if !self.palette.is_empty() && (self.bands.len() != 1 || self.sample != SampleType::U8) {
            return Err(Error::unsupported("a palette is for one band of U8 samples"));
        }
        self.check_sizes()?;
        self.check_level()?;
        self.check_nodata()?;
        match &self.georef {
            Some(g) if u16::try_from(g.epsg).is_err() || g.epsg == 0 => {
                Err(Error::unsupported(format!("EPSG:{} does not fit a GeoKey (1 to 65535)", g.epsg)))
            }
            Some(g) if !g.transform.0.iter().all(|v| v.is_finite()) => {
                Err(Error::usage("the geotransform holds a value that is not finite"))
            }
            _ => Ok(()),
        }
    }

    fn check_sizes(&self) -> Result<()> {
        const EDGE: usize = i32::MAX as usize;
        if self.width == 0 || self.height == 0 || self.width > EDGE || self.height > EDGE {
            return Err(Error::limit(format!("{}x{} pixels: 1 to {EDGE} each way", self.width, self.height)));
        }
        if !(16..=4096).contains(&self.tile) || !self.tile.is_multiple_of(16) {
            return Err(Error::limit(format!("output tile of {}: a multiple of 16, 16 to 4096", self.tile)));
        }
        if self.bands.is_empty() || self.bands.len() > 65_535 {
            return Err(Error::limit(format!("{} bands: 1 to 65535", self.bands.len())));
        }
        let tile_bytes = self.tile_bytes();
        if tile_bytes > 1 << 30 {
            return Err(Error::limit(format!(
                "a tile of {tile_bytes} bytes: at most 1 GiB; use smaller tiles"
            )));
        }
        let tiles = self.width.div_ceil(self.tile) as u64 * self.height.div_ceil(self.tile) as u64;
        if tiles > 1 << 28 {
            return Err(Error::limit(format!("{tiles} tiles: at most {}; use larger tiles", 1 << 28)));
        }
        Ok(())
    }

    fn check_level(&self) -> Result<()> {
        let most = match self.compression {
            Compression::Deflate => 9,
            Compression::Zstd => 22,
            Compression::Lzw | Compression::None => return Ok(()),
        };
        match self.level {
            Some(level) if !(1..=most).contains(&level) => Err(Error::usage(format!(
                "compression level {level}: 1 to {most} for {:?}",
                self.compression
            ))),
            _ => Ok(()),
        }
    }

    fn check_nodata(&self) -> Result<()> {
        let Some(value) = self.nodata else { return Ok(()) };
        let fits = match self.sample {
            SampleType::U8 => f64::from(value as u8) == value,
            SampleType::U16 => f64::from(value as u16) == value,
            _ => value.is_nan() || f64::from(value as f32) == value,
        };
        match fits {
            true => Ok(()),
            false => Err(Error::usage(format!("nodata {value} is no value of {:?}", self.sample))),
        }
    }

    /// What masked and empty pixels hold.
    pub(super) fn fill(&self) -> f64 {
        self.nodata.unwrap_or(0.0)
    }

    /// Whether the first three bands are colours.
    pub(super) fn is_rgb(&self) -> bool {
        let colours = self.bands.iter().take(3).map(String::as_str).eq(["red", "green", "blue"]);
        colours && self.sample != SampleType::F32
    }

    /// Uncompressed bytes of a tile's samples.
    pub(super) fn tile_bytes(&self) -> u64 {
        (self.tile * self.tile) as u64 * self.bands.len() as u64 * self.sample.size() as u64
    }

    /// Sizes for a dry run and a memory budget.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn estimate(&self) -> Result<Estimate> {
        self.check()?;
        let levels = levels(self.width, self.height, self.tile);
        let tiles: u64 = levels.iter().map(|l| l.tiles() as u64).sum();
        let mask_bits = if self.mask { (self.tile * self.tile / 8) as u64 } else { 0 };
        let raw_bytes = tiles * (self.tile_bytes() + mask_bits);
        // LZW's worst case is 12-bit codes for 8-bit input; deflate and zstd store what will not shrink.
        let spool = match self.compression {
            Compression::Lzw => raw_bytes / 2 * 3,
            _ => raw_bytes + raw_bytes / 1000,
        } + tiles * 256;
        let text: usize = self.metadata.iter().map(|(k, v)| 6 * (k.len() + v.len()) + 64).sum();
        let names: usize = self.bands.iter().map(|b| 6 * b.len() + 96).sum();
        let file_at_most = spool + tiles * 40 + (text + names + 4096 * levels.len()) as u64;
        let likely = match (self.compression, self.sample) {
            (Compression::None, _) => raw_bytes,
            (_, SampleType::U8) => raw_bytes / 4,
            (_, SampleType::U16) => raw_bytes / 2,
            _ => raw_bytes,
        };
        let codec_state: u64 = if self.compression == Compression::Zstd { 16 << 20 } else { 1 << 20 };
        let mask_pixels = if self.mask { 3 * (self.tile * self.tile) as u64 } else { 0 };
        Ok(Estimate {
            levels: levels.len(),
            tiles,
            raw_bytes,
            file_at_most,
            file_likely: likely.min(file_at_most),
            disk_at_most: spool + file_at_most,
            thread_bytes: self.tile_bytes() * 5 + mask_pixels + codec_state,
            fixed_bytes: tiles * 256 + (1 << 20),
        })
    }
}
