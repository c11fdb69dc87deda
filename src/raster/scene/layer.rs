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
    out: Vec<f32>,
    valid: Vec<u8>,
}

impl Layer {
    /// A file with its way to the grid.
    pub fn new(file: LayerFile, resampler: Resampler) -> Self {
        let indices = file.bands.iter().map(|b| b.band).collect();
        Self { file, resampler, indices }
    }

    /// Bytes of buffers that reading a window takes, beside the cache.
    pub fn scratch_bytes(&self, rect: &Rect) -> usize {
        let per_pixel = self.indices.len() * size_of::<f32>() + 1;
        (self.resampler.source_rect(rect).area() + rect.area()) * per_pixel
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
        let (area, count) = (rect.area(), self.indices.len());
        let Scratch { source, source_valid, out: resampled, valid: resampled_valid } = scratch;
        source.resize(count * from.area(), 0.0);
        source_valid.resize(from.area(), 0);
        if !from.is_empty() {
            let file = self.file.source.as_ref();
            cache.read(self.file.id, file, 0, from, &self.indices, source, Some(source_valid))?;
            self.decide_validity(source, source_valid);
        }
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

    /// Applies nodata values and offsets to a window of stored numbers. Where there is no data, all is 0.
    fn decide_validity(&self, planes: &mut [f32], valid: &mut [u8]) {
        let area = valid.len().max(1);
        let bands = &self.file.bands;
        for (i, flag) in valid.iter_mut().enumerate() {
            let mut lacking = 0;
            for (plane, band) in planes.chunks_exact(area).zip(bands) {
                let value = plane.get(i).copied().unwrap_or(f32::NAN);
                let nodata = band.radiometry.nodata.is_some_and(|n| value == n as f32);
                lacking += usize::from(nodata || !value.is_finite());
            }
            let enough = if self.file.joint { bands.len() } else { 1 };
            if lacking >= enough {
                *flag = 0;
            }
        }
        for (plane, band) in planes.chunks_exact_mut(area).zip(bands) {
            let offset = band.radiometry.offset as f32;
            for (value, flag) in plane.iter_mut().zip(valid.iter()) {
                if *flag == 0 || !value.is_finite() {
                    *value = 0.0;
                } else if offset != 0.0 {
                    *value = (*value + offset).max(0.0);
                }
            }
        }
    }
}
