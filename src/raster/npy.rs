//! Stacks of NumPy's `.npy`: the dates of one place as bytes or 16-bit numbers, `[date][band][y][x]`, or one date without
//! the first axis; a date at a time. Nothing is copied but the block asked for.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{BandInfo, Block, BlockSource, Bytes, OpenOptions, RasterInfo, SampleType, Samples};
use crate::error::{Error, InFile, Result};
use crate::tile::Rect;
use crate::util::npy::{header, Element};

/// Rows of a block.
const ROWS: usize = 256;

/// One date of a stack.
pub struct NpySource {
    name: PathBuf,
    bytes: Bytes,
    info: RasterInfo,
    /// Where the date's first sample lies.
    start: usize,
}

/// Whether the bytes start like a `.npy` file.
pub fn sniff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x93NUMPY")
}

/// Dates in a stack.
///
/// # Errors
/// As [`NpySource::open`].
pub fn dates(bytes: &[u8]) -> Result<usize> {
    Ok(extents(bytes)?.1[0])
}

/// Element type, dates, bands, rows and columns, and where the samples begin.
fn extents(bytes: &[u8]) -> Result<(SampleType, [usize; 4], usize)> {
    let (element, shape, start) = header(bytes)?;
    let sample = match element {
        Element::U8 => SampleType::U8,
        Element::U16 => SampleType::U16,
        _ => {
            return Err(Error::unsupported(
                "a stack of other numbers than uint8 and uint16 (x.astype('uint8') helps)",
            ))
        }
    };
    let dims = match *shape {
        [n, c, h, w] => [n, c, h, w],
        [c, h, w] => [1, c, h, w],
        _ => {
            return Err(Error::shape(format!("an array of {shape}; a stack is dates, bands, rows, columns")))
        }
    };
    if dims.contains(&0) {
        return Err(Error::shape(format!("an empty array of {shape}")));
    }
    let size = shape.numel().saturating_mul(sample.size());
    match bytes.len().checked_sub(start) {
        Some(there) if there >= size => Ok((sample, dims, start)),
        there => Err(Error::format(format!(
            "truncated: {shape} samples take {size} bytes, the file has {}",
            there.unwrap_or(0)
        ))),
    }
}

impl NpySource {
    /// One date of a stack.
    ///
    /// # Errors
    /// `Format` for a damaged or truncated file, `Unsupported` for other numbers than bytes and 16 bits, `Shape` for
    /// arrays that are no stack and dates that are not in it, `Limit` for sizes over the bounds.
    pub fn open(bytes: Bytes, name: &Path, date: usize, options: &OpenOptions) -> Result<Self> {
        let limits = &options.limits;
        let (sample, [dates, bands, height, width], start) = extents(&bytes)?;
        if date >= dates {
            return Err(Error::shape(format!("date {date} of {dates}")));
        }
        if width.max(height) > limits.side || bands > limits.bands {
            return Err(Error::limit(format!(
                "{bands} bands of {width}x{height} pixels, the bounds are {} and {} a side",
                limits.bands, limits.side
            )));
        }
        let band = |i: usize| BandInfo { name: (i + 1).to_string(), nodata: None };
        let info = RasterInfo {
            width,
            height,
            sample,
            bands: (0..bands).map(band).collect(),
            georef: None,
            block: (width, ROWS.min(height)),
        };
        let start = start + date * bands * height * width * sample.size();
        Ok(Self { name: name.to_path_buf(), bytes, info, start })
    }

    /// The samples of some rows, bands interleaved, each made of its bytes.
    fn rows<T: Clone + Default, const N: usize>(&self, rect: &Rect, make: fn([u8; N]) -> T) -> Vec<T> {
        let (bands, width) = (self.info.bands.len(), self.info.width);
        let plane = self.info.height * width * N;
        let mut out = vec![T::default(); rect.area() * bands];
        for band in 0..bands {
            let at = self.start + band * plane + rect.y0 as usize * width * N;
            let samples = self.bytes.get(at..at + rect.area() * N).unwrap_or_default();
            let to = out.iter_mut().skip(band).step_by(bands);
            to.zip(samples.as_chunks::<N>().0).for_each(|(to, bytes)| *to = make(*bytes));
        }
        out
    }
}

impl BlockSource for NpySource {
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
        let whole = Rect::of_size(self.info.width, self.info.height);
        let (width, height) = self.info.block;
        let y = row.saturating_mul(height).min(self.info.height);
        Rect::at(0, y as i64, if column == 0 { width } else { 0 }, height).intersect(&whole)
    }

    fn blocks_touching(&self, _: u8, rect: &Rect) -> (Range<usize>, Range<usize>) {
        let touched = rect.intersect(&Rect::of_size(self.info.width, self.info.height));
        if touched.is_empty() {
            return (0..0, 0..0);
        }
        let rows = self.info.block.1;
        (0..1, touched.y0 as usize / rows..(touched.y1 as usize).div_ceil(rows))
    }

    fn decode(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        let rect = self.block_rect(level, column, row);
        if level != 0 || rect.is_empty() {
            let what = format!("a stack has no block {column},{row} of level {level}");
            return Err(Error::usage(what)).in_file(&self.name);
        }
        let samples = match self.info.sample {
            SampleType::U16 => Samples::U16(self.rows(&rect, u16::from_le_bytes)),
            _ => Samples::U8(self.rows(&rect, |[byte]| byte)),
        };
        Ok(Block { rect, samples, mask: None })
    }

    fn scratch_bytes(&self, _: u8) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn file(descr: &str, shape: &str, data: &[u8]) -> Bytes {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        Bytes::from([&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), data].concat())
    }

    fn open(bytes: Bytes, date: usize) -> Result<NpySource> {
        NpySource::open(bytes, Path::new("stack.npy"), date, &OpenOptions::default())
    }

    #[test]
    fn a_date_is_read_band_by_band_in_blocks_of_rows() {
        let (bands, height, width) = (2, ROWS + 1, 3);
        let value = |i: usize| (i % 60_000) as u16;
        let data: Vec<u8> = (0..2 * bands * height * width).flat_map(|i| value(i).to_le_bytes()).collect();
        let bytes = file("<u2", &format!("(2, {bands}, {height}, {width})"), &data);
        assert_eq!(dates(&bytes).unwrap(), 2);
        let source = open(bytes, 1).unwrap();
        let block = source.decode(0, 0, 1).unwrap();
        assert_eq!(block.rect, Rect::at(0, ROWS as i64, width, 1));
        let at = |band: usize, x: usize| value(((bands + band) * height + ROWS) * width + x);
        let wanted: Vec<u16> = (0..width).flat_map(|x| [at(0, x), at(1, x)]).collect();
        assert_eq!(block.samples, Samples::U16(wanted));
        assert_eq!(source.blocks_touching(0, &Rect::at(1, 0, 1, height)), (0..1, 0..2));
        assert!(source.decode(0, 0, 2).is_err() && source.decode(0, 1, 0).is_err());
    }

    #[test]
    fn what_is_no_stack_is_refused() {
        let kind = |descr: &str, shape: &str, bytes: usize, date: usize| {
            open(file(descr, shape, &vec![0; bytes]), date).err().map(|e| e.kind())
        };
        assert_eq!(kind("|u1", "(2, 3, 4)", 24, 0), None);
        assert_eq!(kind("|u1", "(2, 3, 4)", 23, 0), Some(Kind::Format));
        assert_eq!(kind("|u1", "(2, 3, 4)", 24, 1), Some(Kind::Shape));
        assert_eq!(kind("<f4", "(2, 3, 4)", 96, 0), Some(Kind::Unsupported));
        assert_eq!(kind("|u1", "(6, 4)", 24, 0), Some(Kind::Shape));
        assert_eq!(kind("|u1", "(0, 3, 4, 4)", 24, 0), Some(Kind::Shape));
        assert_eq!(kind("|u1", "(1, 1, 1, 9999999999)", 24, 0), Some(Kind::Format));
    }
}
