//! A window of an image, cut along the blocks that fill it, so that they can be filled in at the same time.

use std::ops::Range;

use super::{Block, BlockSource, Samples};
use crate::error::{Error, Result};
use crate::tile::Rect;

/// Refuses windows outside the image, bands that are not there and buffers of another size.
pub(super) fn check_window(
    source: &dyn BlockSource,
    level: u8,
    rect: &Rect,
    bands: &[usize],
    out: usize,
    valid: Option<usize>,
) -> Result<()> {
    if level >= source.levels() {
        return Err(Error::usage(format!("level {level} of a file with {} levels", source.levels())));
    }
    let info = source.info();
    let image = Rect::of_size(halved(info.width, level), halved(info.height, level));
    if !image.contains(rect) {
        return Err(Error::usage(format!("a window ({rect}) outside the image ({image})")));
    }
    if let Some(band) = bands.iter().find(|b| **b >= info.bands.len()) {
        return Err(Error::usage(format!("band {} of a file with {}", band + 1, info.bands.len())));
    }
    let area = rect.area();
    if out != area * bands.len() || valid.is_some_and(|n| n != area) {
        return Err(Error::usage(format!("a buffer of {out} samples for {} bands of {rect}", bands.len())));
    }
    Ok(())
}

fn halved(n: usize, level: u8) -> usize {
    n.div_ceil(1 << level)
}

/// The part of a window that one block fills.
pub(super) struct Job<'o> {
    pub column: usize,
    pub row: usize,
    /// Pixels of the block that are wanted.
    rect: Rect,
    /// The rows of `rect` in the output, band after band.
    out: Vec<&'o mut [f32]>,
    /// The rows of `rect` in the validity mask, if it is wanted.
    valid: Vec<&'o mut [u8]>,
}

impl Job<'_> {
    /// Fills in the part from the block; `stride` is the number of the block's bands.
    pub fn copy(&mut self, block: &Block, bands: &[usize], stride: usize) {
        let height = self.rect.height();
        let offset = |y: usize| {
            let row = (self.rect.y0 - block.rect.y0) as usize + y;
            row * block.rect.width() + (self.rect.x0 - block.rect.x0) as usize
        };
        let all = bands.iter().copied().eq(0..stride);
        let rows = (0..height).map(|y| offset(y) * stride);
        match &block.samples {
            Samples::U8(v) => copy_bands(&mut self.out, v, rows, bands, stride, all, f32::from),
            Samples::U16(v) => copy_bands(&mut self.out, v, rows, bands, stride, all, f32::from),
            Samples::F32(v) => copy_bands(&mut self.out, v, rows, bands, stride, all, |s| s),
        }
        for (y, out) in self.valid.iter_mut().enumerate() {
            match &block.mask {
                None => out.fill(1),
                Some(mask) => {
                    let from = mask.get(offset(y)..).unwrap_or_default();
                    out.iter_mut().zip(from).for_each(|(o, m)| *o = u8::from(*m != 0));
                }
            }
        }
    }
}

/// Takes interleaved rows that start at `rows` of `from` apart into `out`, band after band.
fn copy_bands<S: Copy>(
    out: &mut [&mut [f32]],
    from: &[S],
    rows: impl ExactSizeIterator<Item = usize>,
    bands: &[usize],
    stride: usize,
    all: bool,
    convert: impl Fn(S) -> f32 + Copy,
) {
    let height = rows.len();
    for (y, at) in rows.enumerate() {
        let from = from.get(at..).unwrap_or_default();
        let mut lines = out.iter_mut().skip(y).step_by(height);
        match (stride, all) {
            (1, true) => copy_pixels::<S, 1>(&mut lines, from, convert),
            (2, true) => copy_pixels::<S, 2>(&mut lines, from, convert),
            (3, true) => copy_pixels::<S, 3>(&mut lines, from, convert),
            (4, true) => copy_pixels::<S, 4>(&mut lines, from, convert),
            _ => {
                for (line, &band) in lines.zip(bands) {
                    let values = from.get(band..).unwrap_or_default().iter().step_by(stride);
                    line.iter_mut().zip(values).for_each(|(o, s)| *o = convert(*s));
                }
            }
        }
    }
}

/// One row of `N` bands at once: each sample is read once, in order.
fn copy_pixels<'l, 'o: 'l, S: Copy, const N: usize>(
    lines: &mut impl Iterator<Item = &'l mut &'o mut [f32]>,
    from: &[S],
    convert: impl Fn(S) -> f32,
) {
    let mut lines: [&mut [f32]; N] = std::array::from_fn(|_| match lines.next() {
        Some(line) => &mut **line,
        None => &mut [],
    });
    let width = lines.iter().map(|line| line.len()).min().unwrap_or(0);
    lines.iter_mut().for_each(|line| *line = &mut std::mem::take(line)[..width]);
    for (i, pixel) in from.chunks_exact(N).take(width).enumerate() {
        for (line, sample) in lines.iter_mut().zip(pixel) {
            line[i] = convert(*sample);
        }
    }
}

/// Cuts a window's buffers along the blocks.
pub(super) fn split<'o>(
    source: &dyn BlockSource,
    level: u8,
    rect: Rect,
    out: &'o mut [f32],
    valid: Option<&'o mut [u8]>,
) -> Vec<Job<'o>> {
    let (columns, rows) = source.blocks_touching(level, &rect);
    let part = |column: usize, row: usize| source.block_rect(level, column, row).intersect(&rect);
    let mut jobs: Vec<Job<'o>> = rows
        .clone()
        .flat_map(|row| columns.clone().map(move |column| (column, row)))
        .map(|(column, row)| Job { column, row, rect: part(column, row), out: Vec::new(), valid: Vec::new() })
        .collect();
    let widths: Vec<usize> = columns.clone().map(|c| part(c, rows.start).width()).collect();
    let row_of = row_of_lines(&rows, |row| part(columns.start, row).height());
    let across = widths.len();
    for (line, pixels) in out.chunks_mut(rect.width()).enumerate() {
        let row = row_of.get(line % rect.height()).copied().unwrap_or(0);
        deal(pixels, &widths, jobs.iter_mut().skip(row * across), |job| &mut job.out);
    }
    for (line, pixels) in valid.into_iter().flat_map(|v| v.chunks_mut(rect.width())).enumerate() {
        let row = row_of.get(line).copied().unwrap_or(0);
        deal(pixels, &widths, jobs.iter_mut().skip(row * across), |job| &mut job.valid);
    }
    jobs
}

/// For every line of the window, the row of blocks (from the first touched) it falls in.
fn row_of_lines(rows: &Range<usize>, height: impl Fn(usize) -> usize) -> Vec<usize> {
    rows.clone().enumerate().flat_map(|(i, row)| std::iter::repeat_n(i, height(row))).collect()
}

/// Hands the pieces of one line to the jobs of a row of blocks.
fn deal<'o, 'j, T>(
    line: &'o mut [T],
    widths: &[usize],
    jobs: impl Iterator<Item = &'j mut Job<'o>>,
    rows: impl for<'a> Fn(&'a mut Job<'o>) -> &'a mut Vec<&'o mut [T]>,
) where
    'o: 'j,
{
    let mut rest = line;
    for (job, &width) in jobs.zip(widths) {
        let (piece, tail) = rest.split_at_mut(width.min(rest.len()));
        rows(job).push(piece);
        rest = tail;
    }
}
