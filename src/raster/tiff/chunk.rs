//! One chunk (tile or strip) of a TIFF from file bytes to samples in the machine's byte order.

use std::borrow::Cow;
use std::io::Read;

use super::ifd::ByteOrder;
use super::image::{photometric, Compression, Image, Predictor};
use crate::error::{Error, Result};
use crate::raster::guard::guarded;

/// Unpacks `rows` rows of a chunk: `row_bytes` bytes each, samples in native byte order.
pub(super) fn decode(image: &Image, packed: &[u8], rows: usize) -> Result<Vec<u8>> {
    let expected = image.row_bytes() * rows;
    let mut data = match image.compression {
        Compression::Jpeg => guarded("zune-jpeg", || jpeg(image, packed, rows))?,
        Compression::None => packed.get(..expected).ok_or_else(|| short(packed.len(), expected))?.to_vec(),
        Compression::Lzw => guarded("weezl", || lzw(packed, expected))?,
        Compression::Deflate => guarded("flate2", || deflate(packed, expected))?,
        Compression::PackBits => pack_bits(packed, expected)?,
        Compression::Zstd => guarded("zstd", || zstd(packed, expected))?,
    };
    let size = image.bits / 8;
    if image.predictor == Predictor::FloatingPoint {
        let mut scratch = vec![0; image.row_bytes()];
        data.chunks_mut(image.row_bytes())
            .for_each(|row| undo_floating_point(row, size, image.samples_in_chunk(), &mut scratch));
        return Ok(data);
    }
    if size > 1 && image.order != native() {
        data.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    if image.predictor == Predictor::Horizontal {
        data.chunks_mut(image.row_bytes())
            .for_each(|row| undo_horizontal(row, size, image.samples_in_chunk()));
    }
    Ok(data)
}

fn native() -> ByteOrder {
    if cfg!(target_endian = "big") {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    }
}

fn short(have: usize, want: usize) -> Error {
    Error::format(format!("it unpacks to {have} bytes, {want} are needed: truncated or damaged"))
}

fn lzw(packed: &[u8], expected: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; expected];
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let (mut read, mut written) = (0, 0);
    while written < expected {
        let (from, to) = (packed.get(read..).unwrap_or_default(), out.get_mut(written..).unwrap_or_default());
        let step = decoder.decode_bytes(from, to);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Ok(weezl::LzwStatus::Ok) => {}
            Ok(_) => break,
            Err(e) => return Err(Error::format(format!("damaged LZW data ({e})"))),
        }
    }
    if written < expected {
        return Err(short(written, expected));
    }
    Ok(out)
}

fn deflate(packed: &[u8], expected: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; expected];
    let mut inflate = flate2::Decompress::new(true);
    inflate
        .decompress(packed, &mut out, flate2::FlushDecompress::Finish)
        .map_err(|e| Error::format(format!("damaged deflate data ({e})")))?;
    let written = inflate.total_out() as usize;
    if written < expected {
        return Err(short(written, expected));
    }
    Ok(out)
}

fn zstd(packed: &[u8], expected: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; expected];
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)
        .map_err(|e| Error::io("cannot start the zstd decoder", e))?;
    decoder.read_exact(&mut out).map_err(|e| Error::format(format!("damaged zstd data ({e})")))?;
    Ok(out)
}

/// PackBits (TIFF 6.0, section 9): a count below 128 copies, one above repeats, 128 does nothing.
fn pack_bits(packed: &[u8], expected: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(expected);
    let mut rest = packed;
    while out.len() < expected {
        let Some((&count, after)) = rest.split_first() else { return Err(short(out.len(), expected)) };
        rest = match count {
            0..=127 => {
                let n = usize::from(count) + 1;
                let (run, after) = after.split_at_checked(n).ok_or_else(|| short(out.len(), expected))?;
                out.extend_from_slice(run);
                after
            }
            128 => after,
            _ => {
                let (&value, after) = after.split_first().ok_or_else(|| short(out.len(), expected))?;
                out.resize(out.len() + 257 - usize::from(count), value);
                after
            }
        };
    }
    out.truncate(expected);
    Ok(out)
}

/// JPEG tiles share tables kept beside them. YCbCr becomes RGB; anything else stays as it is coded.
fn jpeg(image: &Image, packed: &[u8], rows: usize) -> Result<Vec<u8>> {
    use zune_jpeg::zune_core::bytestream::ZCursor;
    use zune_jpeg::zune_core::colorspace::ColorSpace;
    use zune_jpeg::zune_core::options::DecoderOptions;

    let failed = |e: &dyn std::fmt::Display| Error::format(format!("damaged JPEG data ({e})"));
    let stream = with_tables(image.jpeg_tables.as_deref(), packed);
    let options = DecoderOptions::default().set_max_width(image.chunk.0).set_max_height(image.chunk.1);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(stream), options);
    decoder.decode_headers().map_err(|e| failed(&e))?;
    let coded = decoder.input_colorspace().ok_or_else(|| failed(&"no colour space"))?;
    let to_rgb = image.photometric == photometric::YCBCR && image.samples_in_chunk() == 3;
    let wanted = if to_rgb { ColorSpace::RGB } else { coded };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let mut data = decoder.decode().map_err(|e| failed(&e))?;
    let expected = image.row_bytes() * rows;
    let (width, _) = decoder.dimensions().unwrap_or((0, 0));
    if width != image.chunk.0 || data.len() < expected {
        return Err(short(data.len(), expected));
    }
    data.truncate(expected);
    Ok(data)
}

/// A whole JPEG: the tables without their end marker, then the data without its start marker.
fn with_tables<'p>(tables: Option<&[u8]>, packed: &'p [u8]) -> Cow<'p, [u8]> {
    match (tables.and_then(|t| t.strip_suffix(&[0xff, 0xd9])), packed.strip_prefix(&[0xff, 0xd8])) {
        (Some(tables), Some(data)) => Cow::Owned([tables, data].concat()),
        _ => Cow::Borrowed(packed),
    }
}

/// Adds the sample to the left, modulo the type.
fn undo_horizontal(row: &mut [u8], size: usize, samples: usize) {
    macro_rules! add {
        ($type:ty, $bytes:literal) => {{
            let at = |row: &[u8], i: usize| row.get(i..i + $bytes).and_then(|b| b.try_into().ok());
            for i in (samples * $bytes..row.len()).step_by($bytes) {
                let pair = (at(row, i - samples * $bytes), at(row, i));
                let (Some(left), Some(here)) = pair else { continue };
                let sum = <$type>::from_ne_bytes(left).wrapping_add(<$type>::from_ne_bytes(here));
                if let Some(slot) = row.get_mut(i..i + $bytes) {
                    slot.copy_from_slice(&sum.to_ne_bytes());
                }
            }
        }};
    }
    match size {
        1 => add!(u8, 1),
        2 => add!(u16, 2),
        4 => add!(u32, 4),
        _ => add!(u64, 8),
    }
}

/// Adobe's floating-point predictor (TIFF technical note 3): differences of bytes, the most significant
/// bytes of a whole row first.
fn undo_floating_point(row: &mut [u8], size: usize, samples: usize, scratch: &mut [u8]) {
    for i in samples..row.len() {
        let left = row.get(i - samples).copied().unwrap_or(0);
        if let Some(here) = row.get_mut(i) {
            *here = here.wrapping_add(left);
        }
    }
    let scratch = scratch.get_mut(..row.len()).unwrap_or_default();
    scratch.copy_from_slice(row);
    let count = row.len() / size.max(1);
    for (i, value) in row.chunks_exact_mut(size).enumerate() {
        for (plane, slot) in value.iter_mut().enumerate() {
            let byte = scratch.get(plane * count + i).copied().unwrap_or(0);
            *slot = byte;
        }
        if native() == ByteOrder::Little {
            value.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_bits_copies_repeats_and_ends() {
        // The example of TIFF 6.0's section 9.
        let packed =
            [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let expected = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(pack_bits(&packed, 24).unwrap(), expected);
        assert!(pack_bits(&packed, 25).is_err());
        assert!(pack_bits(&packed[..13], 24).is_err());
    }

    #[test]
    fn predictors_are_undone() {
        let mut row = [1, 10, 2, 20, 255, 250];
        undo_horizontal(&mut row, 1, 2);
        assert_eq!(row, [1, 10, 3, 30, 2, 24]);

        let values = [1.5f32, -2.25, 1e-3];
        let mut planes = Vec::new();
        for plane in 0..4 {
            planes.extend(values.iter().map(|v| v.to_be_bytes()[plane]));
        }
        let mut row: Vec<u8> = planes.clone();
        for i in (1..row.len()).rev() {
            row[i] = planes[i].wrapping_sub(planes[i - 1]);
        }
        undo_floating_point(&mut row, 4, 1, &mut [0; 12]);
        let back: Vec<f32> = row.chunks(4).map(|b| f32::from_ne_bytes(b.try_into().unwrap())).collect();
        assert_eq!(back, values);
    }

    #[test]
    fn tables_are_joined_without_inner_markers() {
        let joined = with_tables(Some(&[0xff, 0xd8, 1, 2, 0xff, 0xd9]), &[0xff, 0xd8, 3, 0xff, 0xd9]);
        assert_eq!(&*joined, &[0xff, 0xd8, 1, 2, 3, 0xff, 0xd9]);
    }
}
