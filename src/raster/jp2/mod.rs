//! JPEG 2000 (JP2 files and raw codestreams), read a block of tiles at a time.
//!
//! The file is indexed once; a block is a codestream of its tiles alone, decoded by itself, so only the
//! tiles a window touches are decoded, on any thread. Small tiles are grouped into blocks of 256
//! pixels a side or more; a file of one huge tile is one block.

mod axis;
mod boxes;
mod codestream;
pub mod encode;
mod gml;
mod hayro;
#[cfg(feature = "openjpeg")]
mod openjpeg;

use std::ops::Range;
use std::path::{Path, PathBuf};

use self::axis::Axis;
use self::boxes::Boxes;
use self::codestream::{Codestream, Component, Tiles};
use super::{
    geokeys, BandInfo, Block, BlockSource, Bytes, Georef, Jp2Decoder, OpenOptions, RasterInfo, SampleType,
};
use crate::error::{Error, InFile, Result};
use crate::tile::Rect;

/// Pixels a side below which tiles are decoded several at a time.
const MIN_BLOCK: u32 = 256;

/// What a decoder keeps for a component of a tile, whatever its size.
const TILE_BYTES: usize = 512;

/// Enumerated colour space 18 of a colour box.
const SYCC: u32 = 18;

/// Whether the bytes start like a JP2 file or a JPEG 2000 codestream.
pub fn sniff(bytes: &[u8]) -> bool {
    bytes.starts_with(boxes::SIGNATURE) || bytes.starts_with(&[0xff, 0x4f, 0xff, 0x51])
}

/// What a decoder delivers for a block.
struct Layout {
    /// Columns and rows at full resolution.
    full: (usize, usize),
    /// Columns and rows at the level decoded.
    size: (usize, usize),
    components: Vec<Component>,
    /// The component that becomes the mask.
    alpha: Option<usize>,
}

/// A JPEG 2000 image.
pub struct Jp2Source {
    name: PathBuf,
    bytes: Bytes,
    codestream: Codestream,
    x: Axis,
    y: Axis,
    info: RasterInfo,
    levels: u8,
    alpha: Option<usize>,
    largest_codestream: usize,
    /// Most tiles of a block.
    block_tiles: usize,
    decoder: Jp2Decoder,
}

impl Jp2Source {
    /// Reads headers and the tile index.
    ///
    /// # Errors
    /// `Format` for damaged or truncated files, `Unsupported` (palettes, sYCC, subsampling, over 16 bits,
    /// packed packet headers), `Limit` where a block would be over a bound.
    pub fn open(bytes: Bytes, name: &Path, options: &OpenOptions) -> Result<Self> {
        let limits = &options.limits;
        let (boxes, range) = if bytes.starts_with(boxes::SIGNATURE) {
            let boxes = boxes::parse(&bytes, limits)?;
            let range = boxes.codestream.clone();
            (boxes, range.ok_or_else(|| Error::format("a JP2 file without a codestream"))?)
        } else {
            (Boxes::default(), 0..bytes.len())
        };
        if boxes.palette || boxes.colour == Some(SYCC) {
            return Err(Error::unsupported("a JPEG 2000 file with a palette or in sYCC colours"));
        }
        let georef = georef(&bytes, &boxes);
        let bytes = bytes.slice(range)?;
        let codestream = Codestream::parse(&bytes, limits)?;
        let siz = &codestream.siz;
        let halvings = codestream.decompositions;
        let x = Axis::new(siz.x0..siz.x1, siz.tile_x0, siz.tile_width, MIN_BLOCK, halvings);
        let y = Axis::new(siz.y0..siz.y1, siz.tile_y0, siz.tile_height, MIN_BLOCK, halvings);
        let alpha = boxes.alpha.filter(|&a| a > 0 && a < siz.components.len());
        let info = RasterInfo { block: (x.largest(), y.largest()), ..info_of(&codestream, alpha, georef) };
        let levels = halvings.min(x.halvings()).min(y.halvings()) + 1;
        let (name, decoder) = (name.to_path_buf(), options.jp2_decoder);
        let mut source = Self {
            name,
            bytes,
            codestream,
            x,
            y,
            info,
            levels,
            alpha,
            largest_codestream: 0,
            block_tiles: 0,
            decoder,
        };
        source.check_block(limits.block_bytes)?;
        source.measure_blocks();
        Ok(source)
    }

    fn check_block(&self, bound: usize) -> Result<()> {
        let (width, height) = self.info.block;
        let samples = width.saturating_mul(height).saturating_mul(self.codestream.siz.components.len());
        let tables = self.codestream.table_bytes(width, height);
        let bytes = samples.saturating_mul(self.info.sample.size()).max(tables);
        if bytes > bound {
            return Err(Error::limit(format!(
                "a JPEG 2000 tile of {width}x{height} pixels takes {bytes} bytes to decode, the bound is \
                 {bound}; rewrite the file with smaller tiles"
            )));
        }
        Ok(())
    }

    fn measure_blocks(&mut self) {
        for row in 0..self.y.blocks() {
            for column in 0..self.x.blocks() {
                let tiles = self.tiles(column, row);
                let bytes = self.codestream.compressed(&tiles);
                self.largest_codestream = self.largest_codestream.max(bytes);
                self.block_tiles = self.block_tiles.max(tiles.columns.len() * tiles.rows.len());
            }
        }
    }

    fn tiles(&self, column: usize, row: usize) -> Tiles {
        let (columns, rows) = (self.x.tiles_of(column), self.y.tiles_of(row));
        let (x, y) = (self.x.points(&columns), self.y.points(&rows));
        Tiles { columns, rows, x, y }
    }

    fn decode_block(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        if level >= self.levels || column >= self.x.blocks() || row >= self.y.blocks() {
            return Err(Error::usage("there is no such block"));
        }
        let rect = self.block_rect(level, column, row);
        let tiles = self.tiles(column, row);
        let layout = Layout {
            full: (tiles.x.len(), tiles.y.len()),
            size: (rect.width(), rect.height()),
            components: self.codestream.siz.components.clone(),
            alpha: self.alpha,
        };
        let part = self.codestream.cut(&self.bytes, &tiles)?;
        let (samples, mask) = match self.decoder {
            Jp2Decoder::Hayro => hayro::decode(&part, level, &layout)?,
            #[cfg(feature = "openjpeg")]
            Jp2Decoder::OpenJpeg => openjpeg::decode(&part, level, &layout)?,
            #[cfg(not(feature = "openjpeg"))]
            Jp2Decoder::OpenJpeg => {
                return Err(Error::unsupported(
                    "this build decodes JPEG 2000 without OpenJPEG (feature openjpeg)",
                ))
            }
        };
        Ok(Block { rect, samples, mask })
    }
}

/// Georeferencing of the first XML box that has one, else of the GeoJP2 box.
fn georef(file: &[u8], boxes: &Boxes) -> Option<Georef> {
    let xml = |range: &Range<usize>| std::str::from_utf8(file.get(range.clone())?).ok();
    let geotiff = || geokeys::georef_of_geojp2(file.get(boxes.geotiff.clone()?)?);
    boxes.xml.iter().filter_map(xml).find_map(gml::georef).or_else(geotiff)
}

fn info_of(codestream: &Codestream, alpha: Option<usize>, georef: Option<Georef>) -> RasterInfo {
    let siz = &codestream.siz;
    let signed = siz.components.iter().any(|c| c.signed);
    let sample = match (siz.components.iter().all(|c| c.precision <= 8), signed) {
        (true, false) => SampleType::U8,
        (true, true) => SampleType::I8,
        (false, false) => SampleType::U16,
        (false, true) => SampleType::I16,
    };
    let colours = siz.components.len() - usize::from(alpha.is_some());
    RasterInfo {
        width: siz.width(),
        height: siz.height(),
        sample,
        bands: band_names(colours, sample).map(|name| BandInfo { name, nodata: None }).collect(),
        georef,
        block: (siz.width(), siz.height()),
    }
}

/// Three 8-bit components are red, green and blue; anything else is numbered.
fn band_names(count: usize, sample: SampleType) -> impl Iterator<Item = String> {
    let colour = count == 3 && sample == SampleType::U8;
    (0..count).map(move |i| match (colour, i) {
        (true, 0) => "red".into(),
        (true, 1) => "green".into(),
        (true, 2) => "blue".into(),
        _ => (i + 1).to_string(),
    })
}

impl BlockSource for Jp2Source {
    fn name(&self) -> &Path {
        &self.name
    }

    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn levels(&self) -> u8 {
        self.levels
    }

    fn block_size(&self, level: u8) -> (usize, usize) {
        (self.info.block.0.div_ceil(1 << level), self.info.block.1.div_ceil(1 << level))
    }

    fn block_rect(&self, level: u8, column: usize, row: usize) -> Rect {
        let (x, y) = (self.x.pixels(column, level), self.y.pixels(row, level));
        Rect { x0: x.start, y0: y.start, x1: x.end, y1: y.end }
    }

    fn blocks_touching(&self, level: u8, rect: &Rect) -> (Range<usize>, Range<usize>) {
        (self.x.touching(rect.x0, rect.x1, level), self.y.touching(rect.y0, rect.y1, level))
    }

    fn decode(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        self.decode_block(level, column, row)
            .map_err(|e| e.while_doing(format!("JPEG 2000 block {column},{row} of level {level}")))
            .in_file(&self.name)
    }

    fn scratch_bytes(&self, level: u8) -> usize {
        let (width, height) = self.block_size(level);
        let pixels = width.saturating_mul(height);
        // Planes of all components; coefficients and two wavelet buffers of one; all 4 bytes a sample.
        let components = self.codestream.siz.components.len();
        let planes = pixels.saturating_mul(4).saturating_mul(components + 3);
        planes
            .saturating_add(self.block_tiles.saturating_mul(components).saturating_mul(TILE_BYTES))
            .saturating_add(self.codestream.table_bytes(self.info.block.0, self.info.block.1))
            .saturating_add(self.largest_codestream)
    }
}
