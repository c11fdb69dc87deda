//! What one TIFF directory describes: sizes, samples, and where its tiles or strips lie.

use super::ifd::{ByteOrder, Directory};
use crate::error::{Error, Result};
use crate::raster::{Limits, SampleType};

/// Tags of baseline TIFF 6.0 and its supplements.
pub(super) mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const IMAGE_WIDTH: u16 = 256;
    pub const IMAGE_LENGTH: u16 = 257;
    pub const BITS_PER_SAMPLE: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const SAMPLES_PER_PIXEL: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTE_COUNTS: u16 = 279;
    pub const PLANAR_CONFIGURATION: u16 = 284;
    pub const PREDICTOR: u16 = 317;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_LENGTH: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTE_COUNTS: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
}

/// Photometric interpretations that matter.
pub(super) mod photometric {
    pub const RGB: u64 = 2;
    pub const PALETTE: u64 = 3;
    pub const MASK: u64 = 4;
    pub const YCBCR: u64 = 6;
}

/// How a chunk (tile or strip) is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
}

/// What is subtracted from samples before they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    FloatingPoint,
}

/// One image of a file.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub width: usize,
    pub height: usize,
    /// Samples of a pixel, alpha included.
    pub samples: usize,
    pub bits: usize,
    pub sample: SampleType,
    pub photometric: u64,
    /// Sample that is alpha.
    pub alpha: Option<usize>,
    pub order: ByteOrder,
    pub compression: Compression,
    pub predictor: Predictor,
    /// Whether every sample has chunks of its own.
    pub planar: bool,
    /// Columns and rows of a chunk.
    pub chunk: (usize, usize),
    pub tiled: bool,
    pub offsets: Vec<u64>,
    pub counts: Vec<u64>,
    pub jpeg_tables: Option<Vec<u8>>,
}

impl Image {
    /// Reads and checks a directory.
    pub fn parse(bytes: &[u8], directory: &Directory, limits: &Limits) -> Result<Self> {
        let number = |t| directory.number(bytes, t);
        let side = |t, name: &str| {
            let n = number(t).ok_or_else(|| Error::format(format!("a TIFF without {name}")))?;
            usize::try_from(n)
                .ok()
                .filter(|n| (1..=limits.side).contains(n))
                .ok_or_else(|| Error::limit(format!("a TIFF with {name} {n}, the bound is {}", limits.side)))
        };
        let (width, height) =
            (side(tag::IMAGE_WIDTH, "ImageWidth")?, side(tag::IMAGE_LENGTH, "ImageLength")?);
        let samples = number(tag::SAMPLES_PER_PIXEL).unwrap_or(1) as usize;
        if samples == 0 || samples > limits.bands {
            return Err(Error::limit(format!("a TIFF with {samples} bands, the bound is {}", limits.bands)));
        }
        let bits = uniform(directory.numbers(bytes, tag::BITS_PER_SAMPLE), 1, "bits per sample")? as usize;
        let format = uniform(directory.numbers(bytes, tag::SAMPLE_FORMAT), 1, "sample format")?;
        let photometric = number(tag::PHOTOMETRIC).unwrap_or(1);
        if bits < 8 && (samples > 1 || number(tag::FILL_ORDER).unwrap_or(1) != 1) {
            return Err(Error::unsupported(format!("a TIFF with {samples} bands of {bits} bits")));
        }
        let tiled = directory.has(tag::TILE_OFFSETS);
        let chunk = if tiled {
            (side(tag::TILE_WIDTH, "TileWidth")?, side(tag::TILE_LENGTH, "TileLength")?)
        } else {
            let rows = number(tag::ROWS_PER_STRIP).unwrap_or(u64::MAX).clamp(1, height as u64);
            (width, rows as usize)
        };
        let (offsets, counts) = match tiled {
            true => (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS),
            false => (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS),
        };
        let image = Self {
            width,
            height,
            samples,
            bits,
            sample: sample_type(bits, format)?,
            photometric,
            alpha: alpha_of(&directory.numbers(bytes, tag::EXTRA_SAMPLES).unwrap_or_default(), samples),
            order: directory.order(),
            compression: compression_of(number(tag::COMPRESSION).unwrap_or(1))?,
            predictor: predictor_of(number(tag::PREDICTOR).unwrap_or(1))?,
            planar: number(tag::PLANAR_CONFIGURATION) == Some(2) && samples > 1,
            chunk,
            tiled,
            offsets: directory.numbers(bytes, offsets).unwrap_or_default(),
            counts: directory.numbers(bytes, counts).unwrap_or_default(),
            jpeg_tables: directory.bytes(bytes, tag::JPEG_TABLES).map(<[u8]>::to_vec),
        };
        image.check(limits)?;
        Ok(image)
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        let (columns, rows) = self.chunks();
        let planes = if self.planar { self.samples } else { 1 };
        let expected = columns.saturating_mul(rows).saturating_mul(planes);
        if expected > limits.blocks {
            return Err(Error::limit(format!("{expected} TIFF blocks, the bound is {}", limits.blocks)));
        }
        if self.offsets.len() < expected || self.counts.len() < expected {
            return Err(Error::format(format!(
                "a TIFF with {} offsets and {} sizes for {expected} blocks",
                self.offsets.len(),
                self.counts.len()
            )));
        }
        let bytes =
            self.chunk.0.saturating_mul(self.chunk.1).saturating_mul(self.samples * self.sample.size());
        if bytes > limits.block_bytes {
            return Err(Error::limit(format!(
                "TIFF blocks of {}x{} pixels take {bytes} bytes, the bound is {}; a tiled copy helps",
                self.chunk.0, self.chunk.1, limits.block_bytes
            )));
        }
        let float = matches!(self.sample, SampleType::F16 | SampleType::F32 | SampleType::F64);
        if self.bits < 8 && self.predictor != Predictor::None
            || self.predictor == Predictor::FloatingPoint && !float
        {
            return Err(Error::unsupported(format!(
                "{:?} prediction of {:?} samples",
                self.predictor, self.sample
            )));
        }
        if self.compression == Compression::Jpeg && self.sample != SampleType::U8 {
            return Err(Error::unsupported("JPEG in TIFF with other than 8 bits"));
        }
        if self.photometric == photometric::YCBCR && self.compression != Compression::Jpeg {
            return Err(Error::unsupported("a TIFF in YCbCr colours without JPEG compression"));
        }
        Ok(())
    }

    /// Chunks across and down.
    pub fn chunks(&self) -> (usize, usize) {
        (self.width.div_ceil(self.chunk.0), self.height.div_ceil(self.chunk.1))
    }

    /// Samples of a pixel within one chunk.
    pub fn samples_in_chunk(&self) -> usize {
        if self.planar {
            1
        } else {
            self.samples
        }
    }

    /// Bytes of an unpacked chunk row.
    pub fn row_bytes(&self) -> usize {
        (self.chunk.0 * self.samples_in_chunk() * self.bits).div_ceil(8)
    }
}

/// One value for all samples of a pixel.
fn uniform(values: Option<Vec<u64>>, default: u64, what: &str) -> Result<u64> {
    let values = values.unwrap_or_default();
    match values.split_first() {
        None => Ok(default),
        Some((first, rest)) if rest.iter().all(|v| v == first) => Ok(*first),
        Some(_) => Err(Error::unsupported(format!("a TIFF whose bands differ in {what} ({values:?})"))),
    }
}

fn sample_type(bits: usize, format: u64) -> Result<SampleType> {
    Ok(match (format, bits) {
        // 4 is "undefined", which readers take for unsigned.
        (1 | 4, 1 | 2 | 4 | 8) => SampleType::U8,
        (1 | 4, 16) => SampleType::U16,
        (1 | 4, 32) => SampleType::U32,
        (2, 8) => SampleType::I8,
        (2, 16) => SampleType::I16,
        (2, 32) => SampleType::I32,
        (3, 16) => SampleType::F16,
        (3, 32) => SampleType::F32,
        (3, 64) => SampleType::F64,
        _ => return Err(Error::unsupported(format!("TIFF samples of {bits} bits and format {format}"))),
    })
}

/// Extra samples come last; 1 and 2 are alpha.
fn alpha_of(extra: &[u64], samples: usize) -> Option<usize> {
    let first = samples.checked_sub(extra.len())?;
    extra.iter().position(|e| matches!(e, 1 | 2)).map(|i| first + i).filter(|i| *i > 0)
}

fn compression_of(code: u64) -> Result<Compression> {
    Ok(match code {
        1 => Compression::None,
        5 => Compression::Lzw,
        7 => Compression::Jpeg,
        8 | 32946 => Compression::Deflate,
        32773 => Compression::PackBits,
        50000 => Compression::Zstd,
        _ => {
            let name = match code {
                34887 => "LERC",
                34925 => "LZMA",
                50001 => "WebP",
                _ => "this",
            };
            return Err(Error::unsupported(format!(
                "{name} compression of a TIFF ({code}); gdal_translate -co COMPRESS=DEFLATE helps"
            )));
        }
    })
}

fn predictor_of(code: u64) -> Result<Predictor> {
    match code {
        1 => Ok(Predictor::None),
        2 => Ok(Predictor::Horizontal),
        3 => Ok(Predictor::FloatingPoint),
        _ => Err(Error::format(format!("TIFF predictor {code}"))),
    }
}
