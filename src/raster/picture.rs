//! Small pictures read whole: PNG and JPEG.

use std::path::Path;

use super::guard::guarded;
use super::png::PngSource;
use super::{png, BlockSource, Bytes, Limits, OpenOptions, Samples};
use crate::error::{Error, InFile, Result};

/// Decoded bytes of a picture at most.
const MAX_BYTES: usize = 1 << 28;

/// A picture in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples of a pixel.
    pub bands: usize,
    /// `height * width * bands` samples.
    pub samples: Samples,
}

impl Picture {
    /// Reads a PNG or JPEG file by what its first bytes say; transparency is left out.
    ///
    /// # Errors
    /// `Io`; `Format` for damaged files and other formats; `Limit` above 256 MiB of samples.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = Bytes::map(path)?;
        let picture = match (png::sniff(&bytes), bytes.starts_with(&[0xff, 0xd8])) {
            (true, _) => from_png(bytes, path),
            (_, true) => guarded("zune-jpeg", || from_jpeg(&bytes)),
            _ => Err(Error::format("neither PNG nor JPEG by its first bytes")),
        };
        picture.in_file(path)
    }
}

fn from_png(bytes: Bytes, path: &Path) -> Result<Picture> {
    let limits = Limits { block_bytes: MAX_BYTES, ..Limits::default() };
    let source = PngSource::open(bytes, path, &OpenOptions { limits, ..OpenOptions::default() })?;
    let info = source.info();
    let (width, height, bands) = (info.width, info.height, info.bands.len());
    Ok(Picture { width, height, bands, samples: source.decode(0, 0, 0)?.samples })
}

fn from_jpeg(bytes: &[u8]) -> Result<Picture> {
    use zune_jpeg::zune_core::bytestream::ZCursor;
    use zune_jpeg::zune_core::colorspace::ColorSpace;
    use zune_jpeg::zune_core::options::DecoderOptions;

    let damaged = |e: zune_jpeg::errors::DecodeErrors| Error::format(format!("a damaged JPEG ({e})"));
    let grey_or = |grey: bool| if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let mut headers = zune_jpeg::JpegDecoder::new(ZCursor::new(bytes));
    headers.decode_headers().map_err(damaged)?;
    let (width, height) = headers.dimensions().ok_or_else(|| Error::format("a JPEG without a size"))?;
    let grey = headers.input_colorspace() == Some(ColorSpace::Luma);
    let bands = if grey { 1 } else { 3 };
    if width.saturating_mul(height).saturating_mul(bands) > MAX_BYTES {
        return Err(Error::limit(format!("a JPEG of {width}x{height} pixels; at most {MAX_BYTES} bytes")));
    }
    let options = DecoderOptions::default()
        .set_max_width(width)
        .set_max_height(height)
        .jpeg_set_out_colorspace(grey_or(grey));
    let samples = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode();
    let samples = samples.map_err(damaged)?;
    match samples.len() == width * height * bands {
        true => Ok(Picture { width, height, bands, samples: Samples::U8(samples) }),
        false => Err(Error::format(format!("{} bytes for {width}x{height} pixels", samples.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn pictures_come_back_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        png::write_rgb(&file, 2, 1, &[1, 2, 3, 4, 5, 6]).unwrap();
        let picture = Picture::read(&file).unwrap();
        assert_eq!((picture.width, picture.height, picture.bands), (2, 1, 3));
        assert_eq!(picture.samples, Samples::U8(vec![1, 2, 3, 4, 5, 6]));
        let bytes = std::fs::read(&file).unwrap();
        for (name, content) in [
            ("cut.png", &bytes[..bytes.len() / 2]),
            ("b.jpg", b"\xff\xd8\xff\xe0"),
            ("c", b"GIF"),
            ("d", b""),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, content).unwrap();
            let error = Picture::read(&file).unwrap_err();
            assert_eq!(error.kind(), Kind::Format, "{error}");
            assert!(error.to_string().contains(name));
        }
    }
}
