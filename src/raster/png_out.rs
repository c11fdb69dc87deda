//! PNG output for small images: blocks are kept in memory and encoded at the end. Nothing to resume.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cog::CogSpec;
use super::{png, Block, BlockSink, Progress, SampleType, Samples, Summary};
use crate::error::{Error, InFile, Result};
use crate::tile::Rect;

/// Largest image written as PNG, in pixels: it is held in memory.
pub const MAX_PNG_PIXELS: usize = 64 << 20;

/// A PNG being written: grey or RGB, 8 or 16 bits, with alpha where the spec has a mask.
/// Of the spec, georeferencing, metadata, compression and pyramid have no place in it.
#[derive(Debug)]
pub struct PngWriter {
    path: PathBuf,
    spec: CogSpec,
    image: Mutex<Image>,
}

#[derive(Debug)]
struct Image {
    /// The whole image with alpha, interleaved.
    samples: Samples,
    done: Vec<bool>,
}

impl PngWriter {
    /// Begins an image; an existing file is only replaced with `overwrite`.
    ///
    /// # Errors
    /// `Unsupported` for other than 1 or 3 bands of `U8` or `U16`, `Limit` above [`MAX_PNG_PIXELS`],
    /// `Usage` when the file exists, and what [`CogSpec::check`] says.
    pub fn create(path: impl AsRef<Path>, spec: CogSpec, overwrite: bool) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        spec.check().in_file(&path)?;
        check(&spec).in_file(&path)?;
        if path.exists() && !overwrite {
            return Err(Error::usage("exists already; --overwrite replaces it").in_file(path));
        }
        let blocks = spec.width.div_ceil(spec.tile) * spec.height.div_ceil(spec.tile);
        let n = spec.width * spec.height * channels(&spec);
        let samples = match spec.sample {
            SampleType::U8 => Samples::U8(vec![0; n]),
            _ => Samples::U16(vec![0; n]),
        };
        Ok(Self { path, spec, image: Mutex::new(Image { samples, done: vec![false; blocks] }) })
    }

    fn lock(&self) -> MutexGuard<'_, Image> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self, column: usize, row: usize) -> Result<usize> {
        let (columns, rows) = self.blocks();
        match column < columns && row < rows {
            true => Ok(row * columns + column),
            false => Err(Error::shape(format!("output block {column},{row} of {columns}x{rows}"))),
        }
    }

    /// Copies the part of a block that lies in the image. False when its samples do not fit.
    fn copy(&self, block: &Block, image: &mut Samples) -> bool {
        let fill = self.spec.nodata.unwrap_or(0.0);
        match (&block.samples, image) {
            (Samples::U8(s), Samples::U8(t)) => self.copy_samples(block, s, t, fill as u8, u8::MAX),
            (Samples::U16(s), Samples::U16(t)) => self.copy_samples(block, s, t, fill as u16, u16::MAX),
            _ => false,
        }
    }

    fn copy_samples<T: Copy + Default>(
        &self,
        block: &Block,
        source: &[T],
        image: &mut [T],
        fill: T,
        opaque: T,
    ) -> bool {
        let (bands, channels, width) = (self.spec.bands.len(), channels(&self.spec), self.spec.width);
        let (rect, mask) = (block.rect, block.mask.as_deref());
        if source.len() != rect.area() * bands || mask.is_some_and(|m| m.len() != rect.area()) {
            return false;
        }
        let inside = rect.intersect(&Rect::of_size(width, self.spec.height));
        let (x0, y0) = (rect.x0 as usize, rect.y0 as usize);
        for y in 0..inside.height() {
            let at = ((y0 + y) * width + x0) * channels;
            let line = image[at..at + inside.width() * channels].chunks_exact_mut(channels);
            for (x, pixel) in line.enumerate() {
                let i = y * rect.width() + x;
                let seen = mask.is_none_or(|m| m[i] != 0);
                let (colours, alpha) = pixel.split_at_mut(bands);
                match seen {
                    true => colours.copy_from_slice(&source[i * bands..][..bands]),
                    false => colours.fill(fill),
                }
                alpha.fill(if seen { opaque } else { T::default() });
            }
        }
        true
    }
}

impl BlockSink for PngWriter {
    fn blocks(&self) -> (usize, usize) {
        (self.spec.width.div_ceil(self.spec.tile), self.spec.height.div_ceil(self.spec.tile))
    }

    fn block_rect(&self, column: usize, row: usize) -> Rect {
        let edge = self.spec.tile;
        let block = Rect::at((column * edge) as i64, (row * edge) as i64, edge, edge);
        block.intersect(&Rect::of_size(self.spec.width, self.spec.height))
    }

    fn is_done(&self, column: usize, row: usize) -> bool {
        self.index(column, row).is_ok_and(|i| self.lock().done[i])
    }

    fn put(&self, column: usize, row: usize, block: &Block) -> Result<()> {
        let i = self.index(column, row).in_file(&self.path)?;
        let (expected, edge) = (self.block_rect(column, row), self.spec.tile);
        if block.rect != expected && block.rect != Rect::at(expected.x0, expected.y0, edge, edge) {
            let what = format!("a block of {} where {expected} was expected", block.rect);
            return Err(Error::shape(what).in_file(&self.path));
        }
        let mut image = self.lock();
        if !self.copy(block, &mut image.samples) {
            let (n, bands, sample) = (block.rect.area(), self.spec.bands.len(), self.spec.sample);
            let what = format!("block samples: not {n} pixels of {bands} bands of {sample:?}");
            return Err(Error::shape(what).in_file(&self.path));
        }
        image.done[i] = true;
        Ok(())
    }

    fn put_empty(&self, column: usize, row: usize) -> Result<()> {
        let rect = self.block_rect(column, row);
        let n = rect.area() * self.spec.bands.len();
        let samples = match self.spec.sample {
            SampleType::U8 => Samples::U8(vec![0; n]),
            _ => Samples::U16(vec![0; n]),
        };
        self.put(column, row, &Block { rect, samples, mask: Some(vec![0; rect.area()]) })
    }

    fn finish(self: Box<Self>, progress: Progress<'_>) -> Result<Summary> {
        let image = self.lock();
        let (blocks, missing) = (image.done.len(), image.done.iter().filter(|done| !**done).count());
        if missing > 0 {
            let what = format!("{missing} of {blocks} output blocks are not written yet");
            return Err(Error::usage(what).in_file(&self.path));
        }
        progress(0, blocks as u64)?;
        png::write(&self.path, self.spec.width, self.spec.height, channels(&self.spec), &image.samples)?;
        progress(blocks as u64, blocks as u64)?;
        let bytes = fs::metadata(&self.path).map_err(Error::from).in_file(&self.path)?.len();
        Ok(Summary { bytes, levels: 1, was_complete: false })
    }
}

fn check(spec: &CogSpec) -> Result<()> {
    let bands = spec.bands.len();
    if !matches!(bands, 1 | 3) || !matches!(spec.sample, SampleType::U8 | SampleType::U16) {
        let what = format!("a PNG of {bands} bands of {:?}: 1 or 3 of U8 or U16; use .tif", spec.sample);
        return Err(Error::unsupported(what));
    }
    match spec.width.checked_mul(spec.height) {
        Some(pixels) if pixels <= MAX_PNG_PIXELS => Ok(()),
        _ => {
            let size = format!("a PNG of {}x{} pixels", spec.width, spec.height);
            Err(Error::limit(format!("{size}: at most {MAX_PNG_PIXELS} pixels; use .tif")))
        }
    }
}

/// Samples of a pixel: the bands, and alpha where the spec has a mask.
fn channels(spec: &CogSpec) -> usize {
    spec.bands.len() + usize::from(spec.mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn spec(bands: usize, sample: SampleType) -> CogSpec {
        CogSpec { tile: 16, mask: true, ..CogSpec::new(20, 18, vec!["a".into(); bands], sample) }
    }

    fn value(x: i64, y: i64, band: usize) -> u16 {
        (x * 911 + y * 77 + band as i64 * 5) as u16
    }

    fn write(path: &Path, spec: &CogSpec) -> Result<Summary> {
        let writer = PngWriter::create(path, spec.clone(), false)?;
        for (column, row) in [(1, 1), (0, 0), (0, 1)] {
            let rect = writer.block_rect(column, row);
            let pixels = || (rect.y0..rect.y1).flat_map(|y| (rect.x0..rect.x1).map(move |x| (x, y)));
            let values = pixels().flat_map(|(x, y)| (0..spec.bands.len()).map(move |b| value(x, y, b)));
            let samples = match spec.sample {
                SampleType::U8 => Samples::U8(values.map(|v| v as u8).collect()),
                _ => Samples::U16(values.collect()),
            };
            let mask = Some(pixels().map(|(x, _)| u8::from(x != 3)).collect());
            writer.put(column, row, &Block { rect, samples, mask })?;
        }
        writer.put_empty(1, 0)?;
        Box::new(writer).finish(&|_, _| Ok(()))
    }

    #[test]
    fn pixels_and_alpha_come_back() {
        let dir = tempfile::tempdir().unwrap();
        for (bands, sample) in [(1, SampleType::U8), (3, SampleType::U8), (3, SampleType::U16)] {
            let path = dir.path().join(format!("{bands}{sample:?}.png"));
            let spec = spec(bands, sample);
            let summary = write(&path, &spec).unwrap();
            assert_eq!(summary.bytes, fs::metadata(&path).unwrap().len());
            let file = std::io::BufReader::new(fs::File::open(&path).unwrap());
            let mut reader = ::png::Decoder::new(file).read_info().unwrap();
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut bytes).unwrap();
            let wide = sample.size();
            let channel = |x: i64, y: i64, c: usize| {
                let at = ((y * 20 + x) as usize * (bands + 1) + c) * wide;
                bytes[at..at + wide].iter().fold(0u16, |v, b| v << 8 | u16::from(*b))
            };
            let top = if wide == 1 { 255 } else { 65_535 };
            for (x, y) in (0..18).flat_map(|y| (0..20).map(move |x| (x, y))) {
                let seen = x != 3 && !(x >= 16 && y < 16);
                assert_eq!(channel(x, y, bands), if seen { top } else { 0 }, "alpha {x},{y}");
                for band in 0..bands {
                    let expected = if seen { value(x, y, band) & top } else { 0 };
                    assert_eq!(channel(x, y, band), expected, "{x},{y} band {band}");
                }
            }
        }
    }

    #[test]
    fn what_a_png_cannot_hold_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let kind = |spec| PngWriter::create(&path, spec, false).err().map(|e| e.kind());
        assert_eq!(kind(spec(2, SampleType::U8)), Some(Kind::Unsupported));
        assert_eq!(kind(spec(1, SampleType::F32)), Some(Kind::Unsupported));
        assert_eq!(kind(CogSpec { width: 1 << 22, ..spec(1, SampleType::U8) }), Some(Kind::Limit));
        let writer = PngWriter::create(&path, spec(1, SampleType::U8), false).unwrap();
        let unfinished = Box::new(writer).finish(&|_, _| Ok(()));
        assert_eq!(unfinished.err().map(|e| e.kind()), Some(Kind::Usage));
        assert!(!path.exists());
        write(&path, &spec(1, SampleType::U8)).unwrap();
        assert_eq!(kind(spec(1, SampleType::U8)), Some(Kind::Usage));
    }
}
