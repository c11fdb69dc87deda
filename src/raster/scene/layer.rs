//! One file of one date, read on the series' grid: window, offset, validity, resampling.

use std::path::PathBuf;

use super::radiometry::Radiometry;
use crate::error::Result;
use crate::raster::warp::{Resampler, SourceWindow};
use crate::raster::{BlockCache, BlockSource, Georef, SourceId};
use crate::tile::Rect;

/// A band of the file and the channel it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerBand {
    /// Band of the file, from 0.
    pub band: usize,
    /// Place among the series' channels.
    pub channel: usize,
    /// How its numbers are read.
    pub radiometry: Radiometry,
}

/// A file of a date before the grid is known.
pub struct LayerFile {
    /// For messages.
    pub path: PathBuf,
    /// The file.
    pub source: Box<dyn BlockSource>,
    /// Its number in the cache.
    pub id: SourceId,
    /// Its place: its own, the product's or the user's.
    pub georef: Option<Georef>,
    /// Bands read.
    pub bands: Vec<LayerBand>,
    /// True colour: a pixel lacks data only when all its bands do.
    pub joint: bool,
}

impl LayerFile {
    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        (self.source.info().width, self.source.info().height)
    }
}

/// A file of a date, ready to be read on the series' grid.
pub struct Layer {
    /// The file.
    pub file: LayerFile,
    /// How its pixels come to the grid.
    pub resampler: Resampler,
    indices: Vec<usize>,
}

/// Buffers of one read, reused.
#[derive(Default)]
pub struct Scratch {
    source: Vec<f32>,
    source_valid: Vec<u8>,
    lacking: Vec<u8>,
    out: Vec<f32>,
    valid: Vec<u8>,
}

impl Layer {
    /// A file with its way to the grid.
    pub fn new(file: LayerFile, resampler: Resampler) -> Self {
        let indices = file.bands.iter().map(|b| b.band).collect();
        Self { file, resampler, indices }
    }

    /// Whether all numbers read are whole and none is above those stored, where those are whole.
    pub fn keeps_whole_numbers(&self) -> bool {
        let whole = |offset: f64| offset <= 0.0 && offset.fract() == 0.0;
        self.resampler.keeps_numbers() && self.file.bands.iter().all(|b| whole(b.radiometry.offset))
    }

    /// Bytes of buffers that reading a window takes, beside the cache.
    pub fn scratch_bytes(&self, rect: &Rect) -> usize {
        let planes = self.indices.len() * size_of::<f32>();
        let from = self.resampler.source_rect(rect);
        if self.in_place(rect, &from).is_some() {
            return 2 * from.area();
        }
        from.area() * (planes + 2) + rect.area() * (planes + 1)
    }

    /// Reads a window of the grid into the channels this file fills, and clears `valid` where it has no
    /// data. `out` is `[channel][y][x]` of `rect`.
    pub fn read(
        &self,
        cache: &BlockCache,
        rect: Rect,
        scratch: &mut Scratch,
        out: &mut [f32],
        valid: &mut [u8],
    ) -> Result<()> {
        let from = self.resampler.source_rect(&rect);
        if let Some(planes) = self.in_place(&rect, &from).and_then(|range| out.get_mut(range)) {
            self.read_source(cache, from, planes, &mut scratch.source_valid, &mut scratch.lacking)?;
            valid.iter_mut().zip(&scratch.source_valid).for_each(|(v, s)| *v &= *s);
            return Ok(());
        }
        let (area, count) = (rect.area(), self.indices.len());
        let Scratch { source, source_valid, lacking, out: resampled, valid: resampled_valid } = scratch;
        source.resize(count * from.area(), 0.0);
        self.read_source(cache, from, source, source_valid, lacking)?;
        resampled.resize(count * area, 0.0);
        resampled_valid.resize(area, 0);
        let window = SourceWindow { rect: from, planes: source, valid: source_valid };
        self.resampler.resample(&rect, &window, resampled, resampled_valid);
        for (plane, band) in resampled.chunks_exact(area.max(1)).zip(&self.file.bands) {
            if let Some(out) = out.chunks_exact_mut(area.max(1)).nth(band.channel) {
                out.copy_from_slice(plane);
            }
        }
        valid.iter_mut().zip(resampled_valid.iter()).for_each(|(v, r)| *v &= *r);
        Ok(())
    }

    /// Where in the output the file's pixels can be read straight to: when they need no resampling, cover
    /// the window, and fill channels that follow each other.
    fn in_place(&self, rect: &Rect, from: &Rect) -> Option<std::ops::Range<usize>> {
        let bands = &self.file.bands;
        let first = bands.first()?.channel;
        let in_order = bands.iter().enumerate().all(|(i, b)| b.channel == first + i);
        let area = rect.area();
        let exact = self.resampler.mapping().is_exact() && from.area() == area;
        (exact && in_order).then(|| first * area..(first + bands.len()) * area)
    }

    fn read_source(
        &self,
        cache: &BlockCache,
        from: Rect,
        planes: &mut [f32],
        valid: &mut Vec<u8>,
        lacking: &mut Vec<u8>,
    ) -> Result<()> {
        valid.resize(from.area(), 0);
        lacking.resize(from.area(), 0);
        if from.is_empty() {
            return Ok(());
        }
        cache.read(self.file.id, self.file.source.as_ref(), 0, from, &self.indices, planes, Some(valid))?;
        self.decide_validity(planes, valid, lacking);
        Ok(())
    }

    /// Applies nodata values and offsets to a window of stored numbers. Where there is no data, all is 0.
    fn decide_validity(&self, planes: &mut [f32], valid: &mut [u8], lacking: &mut [u8]) {
        let area = valid.len().max(1);
        let bands = &self.file.bands;
        lacking.fill(u8::from(self.file.joint));
        for (plane, band) in planes.chunks_exact(area).zip(bands) {
            // Nothing equals NaN.
            let nodata = band.radiometry.nodata.map_or(f32::NAN, |n| n as f32);
            let lacks = |value: f32| u8::from(value == nodata || !value.is_finite());
            let both = lacking.iter_mut().zip(plane);
            match self.file.joint {
                true => both.for_each(|(l, v)| *l &= lacks(*v)),
                false => both.for_each(|(l, v)| *l |= lacks(*v)),
            }
        }
        valid.iter_mut().zip(lacking.iter()).for_each(|(v, l)| *v &= 1 - *l);
        // Joint bands may have data beside one that is not a number.
        let numbers = !self.file.joint || !self.file.source.info().sample.is_float();
        let whole = numbers && !valid.contains(&0);
        for (plane, band) in planes.chunks_exact_mut(area).zip(bands) {
            let offset = band.radiometry.offset as f32;
            if whole && offset == 0.0 {
                continue;
            }
            for (value, flag) in plane.iter_mut().zip(valid.iter()) {
                let read = if offset == 0.0 { *value } else { (*value + offset).max(0.0) };
                *value = if *flag == 0 || !read.is_finite() { 0.0 } else { read };
            }
        }
    }
}
