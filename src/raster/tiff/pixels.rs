//! A rectangle of a TIFF image, put together from the chunks it touches.

use half::f16;

use super::chunk;
use super::image::Image;
use crate::error::{Error, Result};
use crate::raster::{SampleType, Samples};
use crate::tile::Rect;

/// Reads `rect` of the samples `from..to` of every pixel, interleaved. Chunks that were never written
/// (size 0) are `fill`.
pub(super) fn read(image: &Image, bytes: &[u8], rect: &Rect, bands: &[usize], fill: f64) -> Result<Samples> {
    let count = rect.area() * bands.len();
    let job = Job { image, bytes, rect, bands };
    Ok(match image.sample {
        SampleType::U8 if image.bits < 8 => Samples::U8(job.read_bits(count)?),
        SampleType::U8 => Samples::U8(job.read(count, fill as u8, |[v]: [u8; 1]| v)?),
        SampleType::U16 => Samples::U16(job.read(count, fill as u16, u16::from_ne_bytes)?),
        SampleType::I8 => Samples::F32(job.read(count, fill as f32, |v| f32::from(i8::from_ne_bytes(v)))?),
        SampleType::I16 => Samples::F32(job.read(count, fill as f32, |v| f32::from(i16::from_ne_bytes(v)))?),
        SampleType::U32 => Samples::F32(job.read(count, fill as f32, |v| u32::from_ne_bytes(v) as f32)?),
        SampleType::I32 => Samples::F32(job.read(count, fill as f32, |v| i32::from_ne_bytes(v) as f32)?),
        SampleType::F16 => Samples::F32(job.read(count, fill as f32, |v| f16::from_ne_bytes(v).to_f32())?),
        SampleType::F32 => Samples::F32(job.read(count, fill as f32, f32::from_ne_bytes)?),
        SampleType::F64 => Samples::F32(job.read(count, fill as f32, |v| f64::from_ne_bytes(v) as f32)?),
    })
}

struct Job<'a> {
    image: &'a Image,
    bytes: &'a [u8],
    rect: &'a Rect,
    bands: &'a [usize],
}

impl Job<'_> {
    /// Samples of whole bytes.
    fn read<T: Copy, const N: usize>(
        &self,
        count: usize,
        fill: T,
        convert: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>> {
        let mut out = vec![fill; count];
        let (inside, wanted) = (self.image.samples_in_chunk(), self.bands.len());
        // Whole pixels lie in the chunk as they are wanted.
        let whole = !self.image.planar && self.bands.iter().copied().eq(0..inside);
        self.each_chunk(|plane, area, data| {
            let common = area.intersect(self.rect);
            let width = common.width();
            for y in common.y0..common.y1 {
                let row = (y - area.y0) as usize * self.image.row_bytes();
                let from = row + (common.x0 - area.x0) as usize * inside * N;
                let values = data.get(from..).unwrap_or_default().as_chunks::<N>().0;
                let to = out.get_mut(self.offset(common.x0, y) * wanted..).unwrap_or_default();
                if whole {
                    to.iter_mut().zip(values).take(width * inside).for_each(|(o, v)| *o = convert(*v));
                    continue;
                }
                for (slot, &band) in self.bands.iter().enumerate() {
                    if self.image.planar && band != plane {
                        continue;
                    }
                    let sample = if self.image.planar { 0 } else { band };
                    let values = values.get(sample..).unwrap_or_default().iter().step_by(inside);
                    let slots = to.iter_mut().skip(slot).step_by(wanted);
                    slots.zip(values).take(width).for_each(|(o, v)| *o = convert(*v));
                }
            }
        })?;
        Ok(out)
    }

    /// One band of 1, 2 or 4 bits.
    fn read_bits(&self, count: usize) -> Result<Vec<u8>> {
        let mut out = vec![0; count];
        let bits = self.image.bits;
        self.each_chunk(|_, area, data| {
            let common = area.intersect(self.rect);
            for y in common.y0..common.y1 {
                let row = (y - area.y0) as usize * self.image.row_bytes();
                for x in common.x0..common.x1 {
                    let bit = (x - area.x0) as usize * bits;
                    let byte = data.get(row + bit / 8).copied().unwrap_or(0);
                    if let Some(slot) = out.get_mut(self.offset(x, y)) {
                        *slot = (byte >> (8 - bits - bit % 8)) & ((1u16 << bits) - 1) as u8;
                    }
                }
            }
        })?;
        Ok(out)
    }

    fn offset(&self, x: i64, y: i64) -> usize {
        (y - self.rect.y0) as usize * self.rect.width() + (x - self.rect.x0) as usize
    }

    /// Calls `with` for every chunk touched that has data: its plane, its area, its samples.
    fn each_chunk(&self, mut with: impl FnMut(usize, &Rect, &[u8])) -> Result<()> {
        let image = self.image;
        let (across, down) = image.chunks();
        let planes = if image.planar { 0..image.samples } else { 0..1 };
        let (columns, rows) = chunks_touching(image, self.rect);
        for plane in planes.filter(|p| !image.planar || self.bands.contains(p)) {
            for row in rows.clone() {
                for column in columns.clone() {
                    let index = (plane * down + row) * across + column;
                    let area = chunk_area(image, column, row);
                    let context = |e: Error| e.while_doing(format!("TIFF block {column},{row}"));
                    if let Some(packed) = self.packed(index).map_err(context)? {
                        let data = chunk::decode(image, packed, area.height()).map_err(context)?;
                        with(plane, &area, &data);
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes of a chunk; `None` for one that was never written.
    fn packed(&self, index: usize) -> Result<Option<&[u8]>> {
        let (offset, count) = match (self.image.offsets.get(index), self.image.counts.get(index)) {
            (Some(&offset), Some(&count)) => (offset, count),
            _ => return Err(Error::format("it has no place in the file")),
        };
        if count == 0 {
            return Ok(None);
        }
        let range =
            usize::try_from(offset).ok().zip(offset.checked_add(count).and_then(|e| usize::try_from(e).ok()));
        let packed = range.and_then(|(start, end)| self.bytes.get(start..end));
        packed.map(Some).ok_or_else(|| {
            Error::format(format!(
                "{count} bytes at {offset} of a file of {} bytes: truncated or damaged",
                self.bytes.len()
            ))
        })
    }
}

/// Chunk columns and rows that a rectangle touches.
fn chunks_touching(image: &Image, rect: &Rect) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let common = rect.intersect(&Rect::of_size(image.width, image.height));
    let range = |low: i64, high: i64, size: usize| (low as usize / size)..(high as usize).div_ceil(size);
    (range(common.x0, common.x1, image.chunk.0), range(common.y0, common.y1, image.chunk.1))
}

/// Area of a chunk. Tiles reach beyond the image; the last strip ends with it.
fn chunk_area(image: &Image, column: usize, row: usize) -> Rect {
    let (width, height) = image.chunk;
    let rows = if image.tiled { height } else { height.min(image.height - row * height) };
    Rect::at((column * width) as i64, (row * height) as i64, width, rows)
}
