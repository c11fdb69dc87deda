//! A time series of several files, read on one grid.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::align::common_grid;
use super::bands::Wanted;
use super::date::Date;
use super::discover::discover;
use super::layer::{Layer, LayerFile, Scratch};
use super::options::SeriesOptions;
use crate::error::{Error, InFile, Result};
use crate::raster::warp::{Mapping, Resampler, Sampling};
use crate::raster::{
    BlockCache, BlockCost, BlockRange, BlockSource, FrameInfo, FrameSource, Grid, Outlook, ReadStats,
    SampleType, SourceId, Task,
};
use crate::tile::Rect;

/// Dates of the same bands on one grid, whatever files they came in.
///
/// Numbers are those of the files with the radiometric offset removed; each pixel is resampled at most
/// once, straight from its file to the series' grid (not at all where grids differ by whole pixels).
pub struct Series {
    grid: Grid,
    frames: Vec<FrameInfo>,
    layers: Vec<Vec<Layer>>,
    bands: Vec<String>,
    samples: Vec<SampleType>,
    block: (usize, usize),
    cache: BlockCache,
    scratch: Mutex<Vec<Scratch>>,
}

impl Series {
    /// Opens products, folders and files as one series: dates sorted by sensing time, on one grid.
    ///
    /// # Errors
    /// `Io`, `Format`, `Unsupported` and `Limit` as files say; `Usage` when a date lacks a wanted band
    /// (listing what it has) or the window lies outside; `Shape` when dates do not fit one grid.
    pub fn open(inputs: &[PathBuf], options: SeriesOptions) -> Result<Self> {
        let wanted = Wanted::parse(&options.bands)?;
        let cache = BlockCache::new(options.cache_bytes);
        let dates: Vec<Date> = discover(inputs)?
            .iter()
            .map(|files| Date::open(files, &wanted, &options, &cache))
            .collect::<Result<_>>()?;
        let bands: Vec<String> = wanted.iter().flat_map(Wanted::channels).collect();
        let samples = common_samples(&dates)?;
        let grid = common_grid(&dates, &options)?;
        let block = native_block(&dates);
        let (mut frames, mut layers) = (Vec::new(), Vec::new());
        for date in dates {
            let (frame, files) = place(date, &grid, options.sampling)?;
            frames.push(frame);
            layers.push(files);
        }
        Ok(Self { grid, frames, layers, bands, samples, block, cache, scratch: Mutex::default() })
    }

    /// Sample type each band is stored in.
    pub fn band_samples(&self) -> &[SampleType] {
        &self.samples
    }

    /// The smallest type of samples that holds every number [`FrameSource::read`] gives: u8, u16 or, where numbers may
    /// not be whole or are larger, f32.
    pub fn whole_numbers(&self) -> SampleType {
        let fits = |most: SampleType| self.samples.iter().all(|s| *s == SampleType::U8 || *s == most);
        match self.layers.iter().flatten().all(Layer::keeps_whole_numbers) {
            true if fits(SampleType::U8) => SampleType::U8,
            true if fits(SampleType::U16) => SampleType::U16,
            _ => SampleType::F32,
        }
    }

    /// Bytes of buffers that one `read` of a `width` by `height` window takes at most, beside the cache.
    pub fn scratch_bytes(&self, width: usize, height: usize) -> usize {
        let whole = Rect::of_size(self.grid.width, self.grid.height);
        let middle = (self.grid.width.saturating_sub(width) / 2, self.grid.height.saturating_sub(height) / 2);
        let rect = Rect::at(middle.0 as i64, middle.1 as i64, width, height).intersect(&whole);
        let all = self.layers.iter().flatten().map(|layer| layer.scratch_bytes(&rect));
        // The mesh of a projection is a thousandth of this; a window elsewhere may need one more row.
        all.max().unwrap_or(0).saturating_mul(5) / 4
    }

    /// Decoded bytes that must be held, all dates together, for every block to be decoded once while tiles are
    /// read strip by strip in rows `height` pixels high: the blocks of a row, and those that a strip shares with
    /// its neighbours. An upper bound.
    pub fn working_set(&self, strips: &[Rect], height: usize) -> u64 {
        let layers: Vec<&Layer> = self.layers.iter().flatten().collect();
        let bytes = |layer: &Layer| {
            let source = layer.file.source.as_ref();
            let ranges: Vec<BlockRange> = strips.iter().map(|strip| self.blocks(layer, strip)).collect();
            let shared = |i: usize| ranges.get(i + 1).map_or(0, |next| ranges[i].shared_columns(next));
            // Above the row what the next strip shares is kept, below it what the last strip did.
            let of_strip = |i: usize| {
                let kept = shared(i).max(if i == 0 { 0 } else { shared(i - 1) });
                let row = self.rows_of_blocks(layer, &strips[i], height);
                let whole = ranges[i].rows.len();
                ranges[i].columns.len() * row + kept * whole.saturating_sub(row)
            };
            let blocks = (0..strips.len()).map(of_strip).max().unwrap_or(0) as u64;
            blocks * BlockCost::of(source, 0).decoded as u64
        };
        layers.into_iter().map(bytes).sum()
    }

    /// Decoded bytes, all dates together, of the blocks that the next row of tiles adds: worth decoding while one
    /// row is read. An upper bound.
    pub fn row_ahead(&self, strips: &[Rect], height: usize) -> u64 {
        let bytes = |layer: &Layer| {
            let blocks = |strip: &Rect| {
                let rows = 0..self.rows_of_blocks(layer, strip, height);
                let row = BlockRange { rows, ..self.blocks(layer, strip) };
                row.columns.len() * row.rows_after()
            };
            let blocks = strips.iter().map(blocks).max().unwrap_or(0) as u64;
            blocks * BlockCost::of(layer.file.source.as_ref(), 0).decoded as u64
        };
        self.layers.iter().flatten().map(bytes).sum()
    }

    /// Most rows of blocks that a row of tiles touches.
    fn rows_of_blocks(&self, layer: &Layer, strip: &Rect, height: usize) -> usize {
        let last = strip.height().saturating_sub(height) as i64;
        let rows = |y: i64| {
            let row = Rect { y0: strip.y0 + y, y1: strip.y0 + y + height as i64, ..*strip };
            self.blocks(layer, &row).rows.len()
        };
        // Rows of blocks are alike, but for the first and last.
        let tile = height.max(1) as i64;
        [0, last / 2, last]
            .into_iter()
            .chain((0..8).map(|i| (i * tile).min(last)))
            .map(rows)
            .max()
            .unwrap_or(0)
    }

    /// The blocks of a file that an area of the grid needs.
    fn blocks(&self, layer: &Layer, area: &Rect) -> BlockRange {
        let whole = Rect::of_size(self.grid.width, self.grid.height);
        let from = layer.resampler.source_rect(&area.intersect(&whole));
        BlockRange::touching(layer.file.source.as_ref(), 0, &from)
    }

    /// Bytes the cache needs so that `threads` threads can each decode one block at a time.
    pub fn least_cache(&self, threads: usize) -> u64 {
        let costs = self.layers.iter().flatten().map(|l| BlockCost::of(l.file.source.as_ref(), 0).total());
        (costs.max().unwrap_or(0) as u64).saturating_mul(threads as u64)
    }

    /// Empties the cache and gives it another size.
    pub fn set_cache_bytes(&mut self, bytes: usize) {
        self.cache = BlockCache::new(bytes);
    }

    fn read_layers(&self, frame: usize, rect: Rect, out: &mut [f32], valid: &mut [u8]) -> Result<()> {
        let mut scratch = self.take_scratch();
        for layer in self.layers.get(frame).into_iter().flatten() {
            layer.read(&self.cache, rect, &mut scratch, out, valid).in_file(&layer.file.path)?;
        }
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        Ok(())
    }

    fn take_scratch(&self) -> Scratch {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

impl FrameSource for Series {
    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }

    fn bands(&self) -> &[String] {
        &self.bands
    }

    fn sample(&self) -> SampleType {
        let widest = |a: &&SampleType, b: &&SampleType| a.size().cmp(&b.size());
        self.samples.iter().max_by(widest).copied().unwrap_or(SampleType::U8)
    }

    fn read(&self, frame: usize, rect: Rect, out: &mut [f32], valid: &mut [u8]) -> Result<()> {
        let whole = Rect::of_size(self.grid.width, self.grid.height);
        let label = self.frames.get(frame).map(|f| f.label.as_str());
        let Some(label) = label.filter(|_| whole.contains(&rect)) else {
            return Err(Error::usage(format!(
                "frame {frame}, window {rect} of a series of {} frames of {}×{} pixels",
                self.frames.len(),
                self.grid.width,
                self.grid.height
            )));
        };
        let (area, bands) = (rect.area(), self.bands.len());
        if out.len() != area * bands || valid.len() != area {
            return Err(Error::usage(format!(
                "buffers of {} samples and {} flags for {bands} bands of {area} pixels",
                out.len(),
                valid.len()
            )));
        }
        if area == 0 {
            return Ok(());
        }
        valid.fill(1);
        self.read_layers(frame, rect, out, valid)
            .map_err(|e| e.while_doing(format!("date {label}, window {rect}")))?;
        if valid.contains(&0) {
            for plane in out.chunks_exact_mut(area) {
                plane
                    .iter_mut()
                    .zip(valid.iter())
                    .filter(|(_, flag)| **flag == 0)
                    .for_each(|(v, _)| *v = 0.0);
            }
        }
        Ok(())
    }

    fn enter_strip(&self, strip: Rect, next: Rect) {
        let outlook = |layer: &Layer| {
            let outlook = Outlook { strip: self.blocks(layer, &strip), next: self.blocks(layer, &next) };
            (layer.file.id, outlook)
        };
        self.cache.expect(self.layers.iter().flatten().map(outlook).collect());
    }

    fn enter_row(&self, row: Rect) -> Vec<Task<'_>> {
        let layers = self.layers.iter().flatten();
        let now: Vec<(SourceId, &dyn BlockSource, BlockRange)> = layers
            .map(|layer| (layer.file.id, layer.file.source.as_ref(), self.blocks(layer, &row)))
            .filter(|(.., range)| !range.rows.is_empty())
            .collect();
        now.iter().for_each(|(id, _, range)| self.cache.pass(*id, range.rows.start));
        self.cache.fetch(0, &now)
    }

    fn block(&self) -> (usize, usize) {
        self.block
    }

    fn stats(&self) -> ReadStats {
        self.cache.stats()
    }
}

/// Sample types of the channels; all dates must agree, or their numbers would not mean the same.
fn common_samples(dates: &[Date]) -> Result<Vec<SampleType>> {
    let Some(first) = dates.first() else { return Ok(Vec::new()) };
    for date in dates {
        if date.samples != first.samples {
            let error = Error::shape(format!(
                "date {} has samples {:?} and date {} has {:?}; give dates of one kind",
                first.label, first.samples, date.label, date.samples
            ));
            return Err(match date.files.first() {
                Some(file) => error.in_file(&file.path),
                None => error,
            });
        }
    }
    Ok(first.samples.clone())
}

/// Block of the finest file of the first date.
fn native_block(dates: &[Date]) -> (usize, usize) {
    let files = dates.first().map(|d| d.files.as_slice()).unwrap_or_default();
    let finest = files.iter().max_by_key(|f| f.size());
    finest.map_or((1024, 1024), |f| f.source.info().block)
}

/// A date's files with their ways to the grid, and what the ways are.
fn place(date: Date, grid: &Grid, sampling: Sampling) -> Result<(FrameInfo, Vec<Layer>)> {
    let files = date.paths();
    let Date { label, files: opened, mut notes, grid: own, .. } = date;
    let size = (grid.width, grid.height);
    let way = Mapping::between(grid.georef.as_ref(), size, own.georef.as_ref())
        .map_err(|e| e.while_doing(format!("date {label}")))?;
    notes.extend(note(&way, grid, &own, sampling.name()));
    let layer = |file: LayerFile| {
        let mapping =
            Mapping::between(grid.georef.as_ref(), size, file.georef.as_ref()).in_file(&file.path)?;
        let resampler = Resampler::new(mapping, sampling, size, file.size());
        Ok(Layer::new(file, resampler))
    };
    let layers = opened.into_iter().map(layer).collect::<Result<_>>()?;
    Ok((FrameInfo { label, files, notes }, layers))
}

fn note(way: &Mapping, grid: &Grid, own: &Grid, sampling: &str) -> Option<String> {
    let code = |g: &Grid| g.georef.as_ref().map_or(0, |georef| georef.epsg);
    match way {
        Mapping::Shift { dx: 0, dy: 0 } => None,
        Mapping::Shift { dx, dy } => Some(format!("moved by whole pixels: {dx} columns, {dy} rows")),
        Mapping::Affine(_) => {
            let (x, y) = way.scale(0.0, 0.0);
            Some(format!(
                "resampled ({sampling}) to the series' grid, {x:.4}×{y:.4} of its pixels to a pixel"
            ))
        }
        Mapping::Projected(_) => {
            Some(format!("reprojected ({sampling}) from EPSG:{} to EPSG:{}", code(own), code(grid)))
        }
    }
}
