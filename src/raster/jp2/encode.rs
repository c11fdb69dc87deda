//! Writes JP2 files as Sentinel-2 products have them: tiled, lossless 5/3 wavelet, LRCP, 64x64 code-blocks,
//! georeferenced by a GMLJP2 box. Tile by tile, so memory does not grow with the image.

use std::io::Write;

use super::gml;
use crate::error::{Error, Result};
use crate::raster::{Georef, Samples};
use crate::tile::Rect;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeSpec {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 (grey) or 3 (red, green, blue).
    pub components: u16,
    /// Bits of a sample: up to 8 for `Samples::U8`, up to 16 for `Samples::U16`.
    pub precision: u8,
    /// Side of the square tiles.
    pub tile: u32,
    /// Resolutions, full one included (Sentinel-2 has 6); fewer where the tile is too small to be halved.
    pub resolutions: u8,
    /// Place on the earth, written as GMLJP2.
    pub georef: Option<Georef>,
    /// Threads that code code-blocks.
    pub threads: usize,
}

impl EncodeSpec {
    /// Tiles of 1024 pixels with 6 resolutions.
    pub fn new(width: u32, height: u32, components: u16, precision: u8) -> Self {
        let (tile, resolutions) = (1024, 6);
        Self { width, height, components, precision, tile, resolutions, georef: None, threads: 1 }
    }

    fn check(&self) -> Result<()> {
        let sizes = self.width > 0 && self.height > 0 && self.width.max(self.height) <= i32::MAX as u32;
        let tiles = u64::from(self.columns()) * u64::from(self.rows());
        if !sizes || self.tile == 0 || self.tile > 1 << 15 || tiles > 65_535 {
            return Err(Error::limit(format!(
                "{}x{} pixels in JPEG 2000 tiles of {}",
                self.width, self.height, self.tile
            )));
        }
        if !matches!(self.components, 1 | 3)
            || !(1..=16).contains(&self.precision)
            || !(1..=33).contains(&self.resolutions)
        {
            return Err(Error::unsupported(format!(
                "writing JPEG 2000 of {} components of {} bits at {} resolutions",
                self.components, self.precision, self.resolutions
            )));
        }
        Ok(())
    }

    fn columns(&self) -> u32 {
        self.width.div_ceil(self.tile.max(1))
    }

    fn rows(&self) -> u32 {
        self.height.div_ceil(self.tile.max(1))
    }

    fn tile_rect(&self, number: u32) -> Rect {
        let (column, row) = (number % self.columns(), number / self.columns());
        let side = self.tile as usize;
        let rect = Rect::at(i64::from(column * self.tile), i64::from(row * self.tile), side, side);
        rect.intersect(&Rect::of_size(self.width as usize, self.height as usize))
    }
}

/// Writes a JP2 file. `read` is asked for one tile after another, row by row, and delivers its pixels
/// interleaved (`[y][x][component]`).
///
/// # Errors
/// What `read` says; `Shape` when it delivers another number or type of samples; `Io`; `Unsupported` when
/// built without the feature `openjpeg`.
pub fn encode(
    spec: &EncodeSpec,
    read: &mut dyn FnMut(Rect) -> Result<Samples>,
    out: &mut dyn Write,
) -> Result<()> {
    spec.check()?;
    out.write_all(&header(spec)).map_err(|e| Error::io("cannot write", e))?;
    let mut tile = |number| {
        let rect = spec.tile_rect(number);
        planes(spec, &rect, &read(rect)?)
    };
    codestream(spec, spec.columns() * spec.rows(), &mut tile, out)
}

#[cfg(feature = "openjpeg")]
use super::openjpeg::encode as codestream;

#[cfg(not(feature = "openjpeg"))]
fn codestream(
    _: &EncodeSpec,
    _: u32,
    _: &mut dyn FnMut(u32) -> Result<Vec<u8>>,
    _: &mut dyn Write,
) -> Result<()> {
    Err(Error::unsupported("this build cannot write JPEG 2000 (feature openjpeg)"))
}

/// Interleaved samples as planes, native byte order.
fn planes(spec: &EncodeSpec, rect: &Rect, samples: &Samples) -> Result<Vec<u8>> {
    let components = usize::from(spec.components);
    let wrong = |what: &str| Error::shape(format!("{what} for the JPEG 2000 tile at {rect}"));
    let spread = |count: usize| (0..components).flat_map(move |c| (c..count).step_by(components));
    let expected = rect.area() * components;
    match samples {
        Samples::U8(v) if spec.precision <= 8 && v.len() == expected => {
            Ok(spread(expected).filter_map(|i| v.get(i).copied()).collect())
        }
        Samples::U16(v) if spec.precision > 8 && v.len() == expected => {
            Ok(spread(expected).filter_map(|i| v.get(i)).flat_map(|s| s.to_ne_bytes()).collect())
        }
        Samples::U8(v) => Err(wrong(&format!("{} 8-bit samples", v.len()))),
        Samples::U16(v) => Err(wrong(&format!("{} 16-bit samples", v.len()))),
        Samples::F32(_) => Err(wrong("floating-point samples")),
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = ((body.len() + 8) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    out
}

/// Everything before the codestream. The last box's length is 0: it goes on to the end of the file.
fn header(spec: &EncodeSpec) -> Vec<u8> {
    let mut ihdr = Vec::new();
    ihdr.extend(spec.height.to_be_bytes());
    ihdr.extend(spec.width.to_be_bytes());
    ihdr.extend(spec.components.to_be_bytes());
    ihdr.extend([spec.precision - 1, 7, 0, 0]);
    let space = if spec.components == 3 { 16 } else { 17 };
    let mut jp2h = boxed(b"ihdr", &ihdr);
    jp2h.extend(boxed(b"colr", &[1, 0, 0, 0, 0, 0, space]));
    let mut out = super::boxes::SIGNATURE.to_vec();
    out.extend(boxed(b"ftyp", b"jp2 \0\0\0\0jp2 jpx "));
    out.extend(boxed(b"jp2h", &jp2h));
    if let Some(georef) = &spec.georef {
        let xml = gml::document(georef, spec.width as usize, spec.height as usize);
        let mut instance = boxed(b"lbl ", b"gml.root-instance");
        instance.extend(boxed(b"xml ", xml.as_bytes()));
        let mut data = boxed(b"lbl ", b"gml.data");
        data.extend(boxed(b"asoc", &instance));
        out.extend(boxed(b"asoc", &data));
    }
    out.extend(b"\0\0\0\0jp2c");
    out
}
