//! TIFF and BigTIFF, read a block at a time: tiles as they are, thin strips several at once. Overviews
//! that halve the image are its levels; masks come from inside the file or from a `.msk` file beside it.

mod chunk;
pub(in crate::raster) mod ifd;
mod image;
mod metadata;
mod pixels;

use std::ops::Range;
use std::path::{Path, PathBuf};

use self::ifd::Directory;
use self::image::{photometric, tag, Image};
use super::{geokeys, Block, BlockSource, Bytes, Limits, OpenOptions, RasterInfo, Samples};
use crate::error::{Error, InFile, Result};
use crate::tile::Rect;

pub use ifd::sniff;

/// Strips are read together up to about so many bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// Bits of NewSubfileType.
const REDUCED: u64 = 1;
const MASK: u64 = 4;

/// One resolution: the image, its mask, and what is read at a time.
struct Level {
    image: Image,
    mask: Option<Image>,
    /// Columns and rows of a block.
    block: (usize, usize),
}

/// The `.msk` file beside an image.
struct MaskFile {
    bytes: Bytes,
    name: PathBuf,
    images: Vec<Image>,
}

/// A TIFF image.
pub struct TiffSource {
    name: PathBuf,
    bytes: Bytes,
    info: RasterInfo,
    levels: Vec<Level>,
    /// Samples of a pixel that are bands.
    bands: Vec<usize>,
    mask_file: Option<MaskFile>,
}

impl TiffSource {
    /// Reads the directories.
    ///
    /// # Errors
    /// `Format` for damaged directories, `Unsupported` for codecs and layouts that are not read, `Limit`.
    pub fn open(bytes: Bytes, name: &Path, options: &OpenOptions) -> Result<Self> {
        let limits = &options.limits;
        let directories = ifd::directories(&bytes)?;
        let first = directories.first().ok_or_else(|| Error::format("a TIFF without an image"))?;
        let image = Image::parse(&bytes, first, limits)?;
        if image.photometric == photometric::PALETTE && !options.indices {
            return Err(Error::unsupported(
                "a TIFF with a colour palette (gdal_translate -expand rgb helps)",
            ));
        }
        let bands: Vec<usize> = (0..image.samples).filter(|b| Some(*b) != image.alpha).collect();
        let mut images = vec![image];
        let mut masks = Vec::new();
        for directory in directories.iter().skip(1) {
            collect(directory, &bytes, limits, &mut images, &mut masks);
        }
        let levels: Vec<Level> = halving(images).into_iter().map(|image| Level::new(image, &masks)).collect();
        let Some(full) = levels.first() else { return Err(Error::format("a TIFF without an image")) };
        let info = RasterInfo {
            width: full.image.width,
            height: full.image.height,
            sample: full.image.sample,
            bands: metadata::bands(first, &bytes, &full.image, &bands, limits),
            georef: geokeys::georef(first, &bytes),
            block: full.block,
        };
        Ok(Self { name: name.to_path_buf(), bytes, info, levels, bands, mask_file: None })
    }

    /// The same image with the mask of a `.msk` file: 0 masks a pixel out.
    ///
    /// # Errors
    /// As [`Self::open`], and `Shape` when the mask has another size.
    pub fn with_mask_file(mut self, bytes: Bytes, name: &Path, options: &OpenOptions) -> Result<Self> {
        let limits = &options.limits;
        let images: Vec<Image> = ifd::directories(&bytes)?
            .iter()
            .map(|d| Image::parse(&bytes, d, limits))
            .collect::<Result<_>>()?;
        let size = images.first().map(|i| (i.width, i.height));
        if size != Some((self.info.width, self.info.height)) {
            return Err(Error::shape(format!(
                "the mask file's size differs from the image's {}x{}",
                self.info.width, self.info.height
            )));
        }
        self.mask_file = Some(MaskFile { bytes, name: name.to_path_buf(), images });
        Ok(self)
    }

    fn level(&self, level: u8) -> Result<&Level> {
        self.levels
            .get(usize::from(level))
            .ok_or_else(|| Error::usage(format!("level {level} of a TIFF with {}", self.levels.len())))
    }

    fn decode_block(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        let rect = self.block_rect(level, column, row);
        let Level { image, mask, .. } = self.level(level)?;
        if rect.is_empty() {
            return Err(Error::usage(format!("there is no block {column},{row}")));
        }
        let fill = self.info.bands.first().and_then(|b| b.nodata).unwrap_or(0.0);
        let samples = pixels::read(image, &self.bytes, &rect, &self.bands, fill)?;
        let mut masks = Vec::new();
        if let Some(alpha) = image.alpha {
            masks.push(validity(&pixels::read(image, &self.bytes, &rect, &[alpha], 0.0)?));
        }
        if let Some(mask) = mask {
            masks.push(validity(&pixels::read(mask, &self.bytes, &rect, &[0], 0.0)?));
        }
        if let Some(file) = &self.mask_file {
            let same = |m: &&Image| (m.width, m.height) == (image.width, image.height);
            if let Some(mask) = file.images.iter().find(same) {
                let read = pixels::read(mask, &file.bytes, &rect, &[0], 0.0).in_file(&file.name)?;
                masks.push(validity(&read));
            }
        }
        let mask = masks.into_iter().reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a & b).collect());
        Ok(Block { rect, samples, mask })
    }
}

/// Sorts a further directory into overviews and masks. One that cannot be read is left out: an image does
/// not need its overviews.
fn collect(
    directory: &Directory,
    bytes: &[u8],
    limits: &Limits,
    images: &mut Vec<Image>,
    masks: &mut Vec<Image>,
) {
    let Ok(image) = Image::parse(bytes, directory, limits) else { return };
    let kind = directory.number(bytes, tag::NEW_SUBFILE_TYPE).unwrap_or(0);
    if kind & MASK != 0 || image.photometric == photometric::MASK {
        masks.push(image);
    } else if kind & REDUCED != 0 {
        images.push(image);
    }
}

/// The image and the overviews that halve it step by step, rounded up.
fn halving(images: Vec<Image>) -> Vec<Image> {
    let mut out: Vec<Image> = Vec::new();
    for image in images {
        let fits = match out.first() {
            None => true,
            Some(full) => {
                let factor = 1usize << out.len().min(63);
                (image.width, image.height) == (full.width.div_ceil(factor), full.height.div_ceil(factor))
                    && (image.samples, image.sample) == (full.samples, full.sample)
            }
        };
        if fits {
            out.push(image);
        }
    }
    out
}

impl Level {
    fn new(image: Image, masks: &[Image]) -> Self {
        let mask = masks.iter().find(|m| (m.width, m.height) == (image.width, image.height)).cloned();
        let (width, height) = image.chunk;
        let strip_bytes = (width * height * image.samples * image.sample.size()).max(1);
        let rows = height * (BLOCK_BYTES / strip_bytes).max(1);
        let block = if image.tiled {
            (width.min(image.width), height.min(image.height))
        } else {
            (width, rows.min(image.height))
        };
        Self { image, mask, block }
    }

    /// Columns and rows of a block, before it is cut off at the image's edge.
    fn step(&self) -> (usize, usize) {
        if self.image.tiled {
            self.image.chunk
        } else {
            self.block
        }
    }
}

/// 255 where a mask or alpha is not 0.
fn validity(samples: &Samples) -> Vec<u8> {
    match samples {
        Samples::U8(v) => v.iter().map(|&a| u8::from(a > 0) * 255).collect(),
        Samples::U16(v) => v.iter().map(|&a| u8::from(a > 0) * 255).collect(),
        Samples::F32(v) => v.iter().map(|&a| u8::from(a > 0.0) * 255).collect(),
    }
}

impl BlockSource for TiffSource {
    fn name(&self) -> &Path {
        &self.name
    }

    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn levels(&self) -> u8 {
        self.levels.len() as u8
    }

    fn block_size(&self, level: u8) -> (usize, usize) {
        self.level(level).map_or((0, 0), |l| l.block)
    }

    fn block_rect(&self, level: u8, column: usize, row: usize) -> Rect {
        let Ok(level) = self.level(level) else { return Rect::of_size(0, 0) };
        let (width, height) = level.step();
        let start = |index: usize, size: usize| index.saturating_mul(size).min(1 << 40) as i64;
        Rect::at(start(column, width), start(row, height), width, height)
            .intersect(&Rect::of_size(level.image.width, level.image.height))
    }

    fn blocks_touching(&self, level: u8, rect: &Rect) -> (Range<usize>, Range<usize>) {
        let Ok(level) = self.level(level) else { return (0..0, 0..0) };
        let common = rect.intersect(&Rect::of_size(level.image.width, level.image.height));
        if common.is_empty() {
            return (0..0, 0..0);
        }
        let (width, height) = level.step();
        let range = |low: i64, high: i64, size: usize| low as usize / size..(high as usize).div_ceil(size);
        (range(common.x0, common.x1, width), range(common.y0, common.y1, height))
    }

    fn decode(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        self.decode_block(level, column, row).in_file(&self.name)
    }

    fn scratch_bytes(&self, level: u8) -> usize {
        let Ok(level) = self.level(level) else { return 0 };
        let chunk = |image: &Image| image.row_bytes().saturating_mul(image.chunk.1);
        let masks = level.mask.as_ref().map_or(0, chunk)
            + self.mask_file.as_ref().and_then(|f| f.images.first()).map_or(0, chunk);
        let area = level.block.0.saturating_mul(level.block.1);
        // The unpacked chunk, as much again in the codec, and masks while they are joined.
        chunk(&level.image).saturating_mul(2).saturating_add(masks).saturating_add(area * 3) + CODEC_BYTES
    }
}

/// What inflate, zstd and LZW decoders keep.
const CODEC_BYTES: usize = 1 << 20;
