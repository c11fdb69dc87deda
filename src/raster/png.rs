//! PNG: read whole as one block (palettes expanded, alpha as the mask), and written for small results.

use std::fs;
use std::io::{BufWriter, Cursor, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, DecodeOptions, Decoder, Encoder, Reader, Transformations};

use super::guard::guarded;
use super::{BandInfo, Block, BlockSource, Bytes, OpenOptions, RasterInfo, SampleType, Samples};
use crate::error::{Error, InFile, Result};
use crate::tile::Rect;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// Memory the decoder may use beside the picture.
const DECODER_BYTES: usize = 64 << 20;

/// Whether the bytes start like a PNG.
pub fn sniff(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE)
}

/// A PNG picture of 1 or 3 bands.
pub struct PngSource {
    name: PathBuf,
    bytes: Bytes,
    info: RasterInfo,
    alpha: bool,
}

impl PngSource {
    /// Reads the header.
    ///
    /// # Errors
    /// `Format` for a damaged header; `Limit` when the decoded picture would be over a block's bound.
    pub fn open(bytes: Bytes, name: &Path, options: &OpenOptions) -> Result<Self> {
        let limits = &options.limits;
        let reader = guarded("png", || reader(&bytes))?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        if width.max(height) > limits.side {
            return Err(Error::limit(format!(
                "{width}x{height} pixels, the bound is {} a side",
                limits.side
            )));
        }
        let (colour, depth) = reader.output_color_type();
        let size = reader.output_buffer_size().unwrap_or(usize::MAX);
        if size > limits.block_bytes {
            return Err(Error::limit(format!(
                "a PNG of {width}x{height} pixels, which is decoded whole, takes {size} bytes, the bound is {}; \
                 a tiled TIFF helps",
                limits.block_bytes
            )));
        }
        let alpha = matches!(colour, ColorType::Rgba | ColorType::GrayscaleAlpha);
        let names: &[&str] = match colour {
            ColorType::Rgb | ColorType::Rgba => &["red", "green", "blue"],
            _ => &["1"],
        };
        let info = RasterInfo {
            width,
            height,
            sample: if depth == BitDepth::Sixteen { SampleType::U16 } else { SampleType::U8 },
            bands: names.iter().map(|n| BandInfo { name: (*n).into(), nodata: None }).collect(),
            georef: None,
            block: (width, height),
        };
        Ok(Self { name: name.to_path_buf(), bytes, info, alpha })
    }

    fn decode_whole(&self) -> Result<Block> {
        let data = guarded("png", || {
            let mut reader = reader(&self.bytes)?;
            let mut data = vec![0; reader.output_buffer_size().unwrap_or(0)];
            let frame = reader.next_frame(&mut data).map_err(damaged)?;
            data.truncate(frame.buffer_size());
            Ok(data)
        })?;
        let bands = self.info.bands.len();
        let pixel = bands + usize::from(self.alpha);
        let (samples, mask) = if self.info.sample == SampleType::U16 {
            let words: Vec<u16> =
                data.chunks_exact(2).filter_map(|b| Some(u16::from_be_bytes(b.try_into().ok()?))).collect();
            let (samples, mask) = without_alpha(words, bands, pixel);
            (Samples::U16(samples), mask)
        } else {
            let (samples, mask) = without_alpha(data, bands, pixel);
            (Samples::U8(samples), mask)
        };
        Ok(Block { rect: self.block_rect(0, 0, 0), samples, mask })
    }
}

fn reader(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(png::Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(damaged)
}

fn damaged(error: png::DecodingError) -> Error {
    Error::format(format!("a damaged or truncated PNG ({error})"))
}

/// Takes the last sample of every pixel away as a mask, if there is one more than bands.
fn without_alpha<T: Copy + Default + PartialEq>(
    data: Vec<T>,
    bands: usize,
    pixel: usize,
) -> (Vec<T>, Option<Vec<u8>>) {
    if pixel == bands {
        return (data, None);
    }
    let colours = data.chunks_exact(pixel).flat_map(|p| p.iter().take(bands).copied()).collect();
    let opaque = |p: &[T]| p.last().is_some_and(|a| *a != T::default());
    (colours, Some(data.chunks_exact(pixel).map(|p| u8::from(opaque(p)) * 255).collect()))
}

impl BlockSource for PngSource {
    fn name(&self) -> &Path {
        &self.name
    }

    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn levels(&self) -> u8 {
        1
    }

    fn block_size(&self, _: u8) -> (usize, usize) {
        self.info.block
    }

    fn block_rect(&self, _: u8, column: usize, row: usize) -> Rect {
        match (column, row) {
            (0, 0) => Rect::of_size(self.info.width, self.info.height),
            _ => Rect::of_size(0, 0),
        }
    }

    fn blocks_touching(&self, _: u8, rect: &Rect) -> (Range<usize>, Range<usize>) {
        let touched = !rect.intersect(&self.block_rect(0, 0, 0)).is_empty();
        (0..usize::from(touched), 0..usize::from(touched))
    }

    fn decode(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        if (level, column, row) != (0, 0, 0) {
            return Err(Error::usage(format!("a PNG has no block {column},{row} of level {level}"))
                .in_file(&self.name));
        }
        self.decode_whole().in_file(&self.name)
    }

    fn scratch_bytes(&self, _: u8) -> usize {
        let pixels = self.info.width.saturating_mul(self.info.height);
        let samples = pixels.saturating_mul(self.info.bands.len() + 1);
        // The picture with alpha as the decoder delivers it, rows and the inflate window.
        samples.saturating_mul(self.info.sample.size()).saturating_add(1 << 20)
    }
}

/// Writes a picture of 1 to 4 bands (grey, grey and alpha, RGB, RGB and alpha), 8 or 16 bits, interleaved.
///
/// # Errors
/// `Shape` when samples do not fit size and bands; `Unsupported` for floats and other numbers of bands; `Io`.
pub fn encode(
    width: usize,
    height: usize,
    bands: usize,
    samples: &Samples,
    out: &mut dyn Write,
) -> Result<()> {
    let colour = match bands {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        4 => ColorType::Rgba,
        _ => return Err(Error::unsupported(format!("a PNG of {bands} bands; a .tif takes any number"))),
    };
    let count = match samples {
        Samples::U8(v) => v.len(),
        Samples::U16(v) => v.len(),
        Samples::F32(_) => {
            return Err(Error::unsupported("a PNG of floating-point samples; a .tif takes them"))
        }
    };
    let size = (u32::try_from(width), u32::try_from(height));
    let (Ok(columns), Ok(rows), true) = (size.0, size.1, count == width * height * bands) else {
        return Err(Error::shape(format!(
            "{count} samples for a PNG of {width}x{height} pixels, {bands} bands"
        )));
    };
    let mut encoder = Encoder::new(out, columns, rows);
    encoder.set_color(colour);
    let written = match samples {
        Samples::U16(v) => {
            encoder.set_depth(BitDepth::Sixteen);
            let data: Vec<u8> = v.iter().flat_map(|s| s.to_be_bytes()).collect();
            encoder.write_header().and_then(|mut w| w.write_image_data(&data).and_then(|()| w.finish()))
        }
        Samples::U8(data) => {
            encoder.write_header().and_then(|mut w| w.write_image_data(data).and_then(|()| w.finish()))
        }
        Samples::F32(_) => Ok(()),
    };
    written.map_err(|e| match e {
        png::EncodingError::IoError(e) => Error::io("cannot write", e),
        other => Error::shape(format!("cannot write a PNG ({other})")),
    })
}

/// Writes an 8-bit RGB picture; the file's name appears only when it is complete.
///
/// # Errors
/// As [`encode`], naming the file.
pub fn write_rgb(path: &Path, width: usize, height: usize, pixels: &[u8]) -> Result<()> {
    write(path, width, height, 3, &Samples::U8(pixels.to_vec()))
}

/// Writes a picture as [`encode`] does; the file's name appears only when it is complete.
///
/// # Errors
/// As [`encode`], naming the file.
pub fn write(path: &Path, width: usize, height: usize, bands: usize, samples: &Samples) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let cannot = |e| Error::io("cannot write", e);
    let written = fs::File::create(&part).map_err(cannot).and_then(|file| {
        let mut out = BufWriter::new(file);
        encode(width, height, bands, samples, &mut out)?;
        out.flush().map_err(cannot)?;
        fs::rename(&part, path).map_err(cannot)
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.in_file(path)
}
