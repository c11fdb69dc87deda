//! Output blocks under construction: every tile adds its weighted pixels, a block leaves when the last tile that
//! touches it has been added.
//!
//! Blocks that wait for the next strip of tiles are parked in a scratch file, so that the memory held depends on
//! the strip's width and not on the image's size.

use std::collections::HashMap;
use std::path::PathBuf;

use super::scratch::Scratch;
use super::seam::Borders;
use crate::error::Result;
use crate::tile::{Rect, Tile, TileGrid};
use crate::util::spread;

/// Rows of a block that one thread adds to at a time, and output pixels from which another thread is worth waking.
const ROWS: usize = 64;
const PIXELS_OF_THREAD: usize = 1 << 16;

/// Position of an output block: column, row.
pub type BlockId = (usize, usize);

/// Sums of one block: `[band][y][x]` weighted values, then `[y][x]` weights of valid contributions.
#[derive(Debug)]
pub struct BlockSums {
    /// Which block.
    pub id: BlockId,
    /// Output pixels it covers, clipped to the image.
    pub rect: Rect,
    /// What tiles show by themselves at the borders inside, while seams are measured.
    pub(super) expected: Vec<f64>,
    data: Vec<f32>,
    bands: usize,
}

impl BlockSums {
    /// Weighted values of a band, `[y][x]`.
    pub fn band(&self, band: usize) -> &[f32] {
        let n = self.rect.area();
        &self.data[band * n..(band + 1) * n]
    }

    /// Weights of valid contributions, `[y][x]`; 0 without data.
    pub fn weights(&self) -> &[f32] {
        self.band(self.bands)
    }

    /// Number of bands.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// The blended value of a pixel (`y * width + x`), or `None` without data.
    pub fn value(&self, band: usize, pixel: usize) -> Option<f32> {
        let w = self.weights()[pixel];
        (w > 0.0).then(|| self.band(band)[pixel] / w)
    }
}

/// A network's output for one tile.
pub struct TileOutput<'a> {
    /// Which tile.
    pub tile: Tile,
    /// The network's result; where it is an image, `[band][y][x]` over the tile's input rectangle at output
    /// resolution. Empty for a tile without data.
    pub values: &'a [f32],
    /// `[y][x]` over the tile's input rectangle at input resolution: 0 where no date has data.
    pub valid: &'a [u8],
    /// The dates it was made from.
    pub dates: &'a [usize],
}

struct Pending {
    sums: Option<BlockSums>,
    /// Of a block that is parked.
    expected: Vec<f64>,
    remaining: u32,
    last_in_strip: HashMap<usize, usize>,
}

/// All blocks that are not finished.
pub struct Accumulator<'a> {
    grid: &'a TileGrid,
    out: Rect,
    block: usize,
    bands: usize,
    pending: HashMap<BlockId, Pending>,
    scratch: Scratch<BlockId>,
    pool: Vec<Vec<f32>>,
    live: usize,
    peak: usize,
    borders: Option<&'a Borders>,
    threads: usize,
}

impl<'a> Accumulator<'a> {
    /// `tiles`: what will be added, in order, each with its strip. A wanted block is finished when the last tile
    /// listed here that touches it has been added, so all tiles that touch wanted blocks must be listed.
    pub fn new(
        grid: &'a TileGrid,
        bands: usize,
        block: usize,
        tiles: &[(usize, Tile)],
        wanted: &dyn Fn(BlockId) -> bool,
        scratch: PathBuf,
    ) -> Self {
        let scale = grid.spec().scale;
        let mut pending: HashMap<BlockId, Pending> = HashMap::new();
        for (sequence, (strip, tile)) in tiles.iter().enumerate() {
            for id in blocks_of(&tile.active.scale_up(scale as i64), block).filter(|id| wanted(*id)) {
                let new = || Pending {
                    sums: None,
                    expected: Vec::new(),
                    remaining: 0,
                    last_in_strip: HashMap::new(),
                };
                let entry = pending.entry(id).or_insert_with(new);
                entry.remaining += 1;
                entry.last_in_strip.insert(*strip, sequence);
            }
        }
        Self {
            grid,
            out: Rect::of_size(grid.x.length * scale, grid.y.length * scale),
            block,
            bands,
            pending,
            scratch: Scratch::new(scratch, Self::block_bytes(block, bands)),
            pool: Vec::new(),
            live: 0,
            peak: 0,
            borders: None,
            threads: 1,
        }
    }

    /// Also gathers what a seam report needs.
    #[must_use]
    pub fn with_borders(self, borders: Option<&'a Borders>) -> Self {
        Self { borders, ..self }
    }

    /// Adds on up to so many threads; sums are the same bits on any number.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Bytes of one block under construction.
    pub fn block_bytes(block: usize, bands: usize) -> usize {
        block * block * (bands + 1) * size_of::<f32>()
    }

    /// Largest number of blocks held in memory so far.
    pub fn peak_blocks(&self) -> usize {
        self.peak
    }

    /// Adds a tile (`sequence`: its place in the list given to `new`, `strip`: its strip) and returns the
    /// blocks it finished; give each back with [`Self::recycle`].
    ///
    /// # Errors
    /// `Io` when the scratch file fails.
    pub fn add(&mut self, sequence: usize, strip: usize, output: &TileOutput) -> Result<Vec<BlockSums>> {
        let spec = *self.grid.spec();
        let wx = self.grid.x.weights(output.tile.column, spec.scale, spec.blend);
        let wy = self.grid.y.weights(output.tile.row, spec.scale, spec.blend);
        let active = output.tile.active.scale_up(spec.scale as i64);
        let mut touched = Vec::new();
        for id in blocks_of(&active, self.block) {
            touched.extend(self.take(id)?);
        }
        if !output.values.is_empty() {
            let adding = Adding { active, output, scale: spec.scale, weights: [&wx, &wy] };
            let pieces = touched.iter_mut().flat_map(|sums| sums.pieces(&active)).collect();
            spread(self.threads.min(active.area() / PIXELS_OF_THREAD), pieces, |piece| adding.to(piece));
            if let Some(borders) = self.borders {
                touched.iter_mut().for_each(|sums| borders.expect(sums, output, &active, [&wx, &wy]));
            }
        }
        let mut finished = Vec::new();
        for sums in touched {
            finished.extend(self.put_back(sums, sequence, strip)?);
        }
        Ok(finished)
    }

    /// Takes a finished block's memory back for the next ones.
    pub fn recycle(&mut self, sums: BlockSums) {
        self.live -= 1;
        self.pool.push(sums.data);
    }

    fn take(&mut self, id: BlockId) -> Result<Option<BlockSums>> {
        let Some(pending) = self.pending.get_mut(&id) else { return Ok(None) };
        if let Some(sums) = pending.sums.take() {
            return Ok(Some(sums));
        }
        let expected = std::mem::take(&mut pending.expected);
        self.live += 1;
        self.peak = self.peak.max(self.live);
        let side = self.block;
        let rect = Rect::at((id.0 * side) as i64, (id.1 * side) as i64, side, side).intersect(&self.out);
        let mut data = self.pool.pop().unwrap_or_default();
        data.clear();
        data.resize(rect.area() * (self.bands + 1), 0.0);
        self.scratch.load(id, &mut data)?;
        Ok(Some(BlockSums { id, rect, expected, data, bands: self.bands }))
    }

    fn put_back(&mut self, mut sums: BlockSums, sequence: usize, strip: usize) -> Result<Option<BlockSums>> {
        let Some(pending) = self.pending.get_mut(&sums.id) else { return Ok(None) };
        pending.remaining -= 1;
        if pending.remaining == 0 {
            self.pending.remove(&sums.id);
            return Ok(Some(sums));
        }
        if pending.last_in_strip.get(&strip) == Some(&sequence) {
            pending.expected = std::mem::take(&mut sums.expected);
            self.scratch.store(sums.id, &sums.data)?;
            self.recycle(sums);
        } else {
            pending.sums = Some(sums);
        }
        Ok(None)
    }
}

/// The blocks a rectangle of output pixels touches.
pub fn blocks_of(rect: &Rect, block: usize) -> impl Iterator<Item = BlockId> {
    let covered = rect.scale_down_cover(block as i64);
    (covered.y0..covered.y1)
        .flat_map(move |y| (covered.x0..covered.x1).map(move |x| (x as usize, y as usize)))
}

/// Some rows of a block that a tile covers.
struct Piece<'a> {
    /// Output pixels the tile covers of them.
    part: Rect,
    /// Output pixels they are.
    rows: Rect,
    /// Bands and weights, `[y][x]` over `rows`.
    planes: Vec<&'a mut [f32]>,
}

impl BlockSums {
    /// What `active` covers of the block, a number of rows at a time.
    fn pieces(&mut self, active: &Rect) -> Vec<Piece<'_>> {
        let (rect, width) = (self.rect, self.rect.width());
        let rows_at = |k: usize| {
            let y0 = rect.y0 + (k * ROWS) as i64;
            Rect { y0, y1: rect.y1.min(y0 + ROWS as i64), ..rect }
        };
        let piece = |k| Piece { part: rows_at(k).intersect(active), rows: rows_at(k), planes: Vec::new() };
        let mut pieces: Vec<Piece> = (0..rect.height().div_ceil(ROWS)).map(piece).collect();
        for plane in self.data.chunks_exact_mut(rect.area()) {
            let parts = plane.chunks_mut(ROWS * width);
            pieces.iter_mut().zip(parts).for_each(|(piece, part)| piece.planes.push(part));
        }
        pieces.retain(|piece| piece.part.area() > 0);
        pieces
    }
}

/// A tile's output and its weights, by columns and by rows of its active part.
struct Adding<'a> {
    active: Rect,
    output: &'a TileOutput<'a>,
    scale: usize,
    weights: [&'a [f32]; 2],
}

impl Adding<'_> {
    fn to(&self, Piece { part, rows, mut planes }: Piece) {
        let Self { active, output, scale, weights: [wx, wy] } = *self;
        let Some((sums, bands)) = planes.split_last_mut() else { return };
        let origin = output.tile.input.scale_up(scale as i64);
        let columns = part.width();
        let from_x = (part.x0 - origin.x0) as usize;
        let to_x = (part.x0 - rows.x0) as usize;
        let wx = &wx[(part.x0 - active.x0) as usize..][..columns];
        let inputs = from_x / scale..(from_x + columns).div_ceil(scale);
        let mut weights = vec![0f32; columns];
        for y in part.y0..part.y1 {
            let from_y = (y - origin.y0) as usize;
            let to = (y - rows.y0) as usize * rows.width() + to_x;
            let row_weight = wy[(y - active.y0) as usize];
            weights.iter_mut().zip(wx).for_each(|(w, wx)| *w = wx * row_weight);
            let valid = &output.valid[from_y / scale * output.tile.input.width()..][inputs.clone()];
            if valid.contains(&0) {
                let lacking =
                    (from_x..).zip(&mut weights).filter(|(x, _)| valid[x / scale - inputs.start] == 0);
                lacking.for_each(|(_, w)| *w = 0.0);
            }
            for (band, target) in bands.iter_mut().enumerate() {
                let values = &output.values[band * origin.area() + from_y * origin.width() + from_x..];
                for ((t, v), w) in target[to..][..columns].iter_mut().zip(values).zip(&weights) {
                    *t += v * w;
                }
            }
            sums[to..][..columns].iter_mut().zip(&weights).for_each(|(t, w)| *t += w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{Blend, TileSpec};

    /// Tiles that output a plane which depends on the position only must blend to that plane.
    #[test]
    fn a_smooth_plane_survives_tiling_parking_and_blending() {
        let spec = TileSpec { tile: 40, overlap: 16, align: 1, blend: Blend::Cosine, scale: 2, strip: 50 };
        let grid = TileGrid::new(130, 90, spec).unwrap();
        let order: Vec<_> = grid.order().collect();
        let dir = tempfile::tempdir().unwrap();
        let mut sums = Accumulator::new(&grid, 1, 64, &order, &|_| true, dir.path().join("scratch"));
        let truth = |x: i64, y: i64| x as f32 + 1000.0 * y as f32;
        let mut seen = 0;
        for (sequence, (strip, tile)) in order.iter().enumerate() {
            let r = tile.input.scale_up(2);
            let values: Vec<f32> =
                (r.y0..r.y1).flat_map(|y| (r.x0..r.x1).map(move |x| truth(x, y))).collect();
            let valid = vec![1; tile.input.area()];
            let output = TileOutput { tile: *tile, values: &values, valid: &valid, dates: &[] };
            for block in sums.add(sequence, *strip, &output).unwrap() {
                for (i, (y, x)) in (block.rect.y0..block.rect.y1)
                    .flat_map(|y| (block.rect.x0..block.rect.x1).map(move |x| (y, x)))
                    .enumerate()
                {
                    let v = block.value(0, i).unwrap();
                    assert!((v - truth(x, y)).abs() <= truth(x, y) * 1e-6, "{x},{y}: {v}");
                    seen += 1;
                }
                sums.recycle(block);
            }
        }
        assert_eq!(seen, 260 * 180);
        assert!(sums.peak_blocks() < 12, "{} of 15 blocks were held at once", sums.peak_blocks());
    }

    #[test]
    fn sums_are_the_same_bits_on_any_number_of_threads() {
        let spec = TileSpec { tile: 300, overlap: 60, align: 1, blend: Blend::Cosine, scale: 2, strip: 600 };
        let grid = TileGrid::new(700, 500, spec).unwrap();
        let order: Vec<_> = grid.order().collect();
        let dir = tempfile::tempdir().unwrap();
        let blocks = |threads: usize| {
            let scratch = dir.path().join(threads.to_string());
            let mut sums = Accumulator::new(&grid, 3, 128, &order, &|_| true, scratch).on_threads(threads);
            let mut blocks = Vec::new();
            for (sequence, (strip, tile)) in order.iter().enumerate() {
                let n = 3 * tile.input.scale_up(2).area();
                let values: Vec<f32> = (0..n).map(|k| ((k + sequence) * 37 % 1009) as f32 / 7.0).collect();
                let valid: Vec<u8> = (0..tile.input.area()).map(|k| u8::from(k % 11 != 3)).collect();
                let output = TileOutput { tile: *tile, values: &values, valid: &valid, dates: &[] };
                for block in sums.add(sequence, *strip, &output).unwrap() {
                    blocks.push((block.id, block.data.clone()));
                    sums.recycle(block);
                }
            }
            blocks
        };
        let one = blocks(1);
        assert_eq!(one.len(), 11 * 8);
        assert!(one == blocks(3));
    }
}
