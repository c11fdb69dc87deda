//! A small picture of a job's scenes with its results drawn on them, in the reference's colours.

use std::path::Path;

use super::frames::InputLayout;
use super::target::Target;
use crate::detect::Bounds;
use crate::error::{Error, InFile, Result};
use crate::models::Colour;
use crate::raster::{open_path, png, FrameSource, OpenOptions, Samples};
use crate::tile::Rect;

/// Longest side of a picture, pixels.
const SIDE: usize = 1600;
/// Rows of the picture read at a time.
const ROWS: usize = 8;

/// A picture of 8-bit red, green and blue.
pub struct Picture {
    width: usize,
    height: usize,
    /// Pixels of the scene that one of the picture covers, along each side.
    factor: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// The scenes as the network sees them: the first three bands, or the first as grey; of each pixel the earliest
    /// date that has data.
    ///
    /// # Errors
    /// What reading says.
    pub fn of(series: &dyn FrameSource, layout: &InputLayout) -> Result<Self> {
        let grid = series.grid();
        let factor = grid.width.max(grid.height).div_ceil(SIDE).max(1);
        let (width, height) = (grid.width.div_ceil(factor), grid.height.div_ceil(factor));
        let mut picture = Self { width, height, factor, pixels: vec![0; width * height * 3] };
        let whole = Rect::of_size(grid.width, grid.height);
        for row in (0..height).step_by(ROWS) {
            let rows = Rect::at(0, (row * factor) as i64, grid.width, ROWS * factor).intersect(&whole);
            picture.read(series, layout, rows)?;
        }
        Ok(picture)
    }

    fn read(&mut self, series: &dyn FrameSource, layout: &InputLayout, rows: Rect) -> Result<()> {
        let (bands, n) = (series.bands().len(), rows.area());
        let colours: [usize; 3] = if bands >= 3 { [0, 1, 2] } else { [0; 3] };
        let (mut planes, mut valid) = (vec![0.0; bands * n], vec![0; n]);
        let mut sums = vec![(0u32, [0f32; 3]); self.width * rows.height().div_ceil(self.factor)];
        let mut seen = vec![false; n];
        for frame in 0..series.frames().len() {
            if seen.iter().all(|seen| *seen) {
                break;
            }
            series.read(frame, rows, &mut planes, &mut valid)?;
            for at in (0..n).filter(|at| valid[*at] != 0) {
                if std::mem::replace(&mut seen[at], true) {
                    continue;
                }
                let (x, y) = (at % rows.width() / self.factor, at / rows.width() / self.factor);
                let (count, sum) = &mut sums[y * self.width + x];
                *count += 1;
                for (sum, band) in sum.iter_mut().zip(colours) {
                    *sum += layout.channels[band].apply(planes[band * n + at]);
                }
            }
        }
        let first = rows.y0 as usize / self.factor * self.width * 3;
        let pixels = self.pixels[first..].chunks_exact_mut(3).zip(sums);
        for (pixel, (count, sum)) in pixels.filter(|(_, (count, _))| *count > 0) {
            pixel.iter_mut().zip(sum).for_each(|(p, s)| *p = (s / count as f32 * 255.0).round() as u8);
        }
        Ok(())
    }

    /// Draws the outline of a box of the scene, two pixels wide.
    pub fn outline(&mut self, bounds: &Bounds, colour: Colour) {
        let place = |v: f64, end: usize| ((v / self.factor as f64) as usize).min(end - 1);
        let (x0, x1) = (place(bounds.x0, self.width), place(bounds.x1, self.width));
        let (y0, y1) = (place(bounds.y0, self.height), place(bounds.y1, self.height));
        for (y, x) in (y0..=y1).flat_map(|y| (x0..=x1).map(move |x| (y, x))) {
            if x < x0 + 2 || x + 2 > x1 || y < y0 + 2 || y + 2 > y1 {
                self.set(x, y, colour);
            }
        }
    }

    /// Paints a finished map of 8-bit numbers over it: `colour` says which one a number gets, if any.
    ///
    /// # Errors
    /// What reading the file says.
    pub fn paint(&mut self, map: &Path, colour: &dyn Fn(f32) -> Option<Colour>) -> Result<()> {
        let source = open_path(map, &OpenOptions { indices: true, ..OpenOptions::default() })?;
        let whole = Rect::of_size(source.info().width, source.info().height);
        let (columns, rows) = source.blocks_touching(0, &whole);
        for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
            let block = source.decode(0, column, row).in_file(map)?;
            let value = |at: usize| match &block.samples {
                Samples::U8(v) => f32::from(v[at]),
                Samples::U16(v) => f32::from(v[at]),
                Samples::F32(v) => v[at],
            };
            let bands = source.info().bands.len();
            let factor = self.factor;
            let first = |from: i64| (from as usize).div_ceil(factor) * factor;
            for y in (first(block.rect.y0)..block.rect.y1 as usize).step_by(factor) {
                for x in (first(block.rect.x0)..block.rect.x1 as usize).step_by(factor) {
                    let at = (y - block.rect.y0 as usize) * block.rect.width() + x - block.rect.x0 as usize;
                    if let Some(colour) = colour(value(at * bands)) {
                        self.set(x / factor, y / factor, colour);
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, x: usize, y: usize, colour: Colour) {
        let at = (y * self.width + x) * 3;
        if let Some(pixel) = self.pixels.get_mut(at..at + 3) {
            pixel.copy_from_slice(&colour);
        }
    }

    /// Writes it as PNG.
    ///
    /// # Errors
    /// `Io` when the file cannot be written.
    pub fn write(self, path: &Path) -> Result<()> {
        png::write(path, self.width, self.height, 3, &Samples::U8(self.pixels)).in_file(path)
    }
}

/// Refuses a preview that would replace a file or one of the results, or is no PNG by its name.
///
/// # Errors
/// `Usage` in either case.
pub fn check(path: &Path, results: &[Target], overwrite: bool) -> Result<()> {
    if results.iter().any(|result| result.path == path) {
        return Err(Error::usage("two results of this name").in_file(path));
    }
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Err(Error::usage("a preview's name should end in .png").in_file(path));
    }
    match path.exists() && !overwrite {
        true => Err(Error::usage("exists already; --overwrite replaces it").in_file(path)),
        false => Ok(()),
    }
}
