//! The matrix product of a linear layer, on weights packed at load.
//!
//! Weights lie in panels of as many columns of y as a register tile is wide, and within a panel row
//! by row of the sum. A unit of work is a block of rows of y and a panel; the last chunk of k takes a
//! tile's sums through the epilogue at once. Every element is one chain of multiply-adds in the order
//! of k, however the work is divided.
//!
//! Factors are 32-bit words of one or more neighbours in k (`simd::Factors`). Where a word is not
//! just a number of x, a block of x is rounded once for all of its panels, unless x is handed on as words.

#[cfg(test)]
mod tests;
mod tile;

use super::args::Args;
use super::conv::odd_lines;
use super::isa::Isa;
use super::pool::Pool;
use super::scales::{weigh, Scales};
use super::simd::MOST_PER_WORD;
use crate::kernel::levels::Levels;
use crate::kernel::matmul::{MatmulActivation, MatmulParams};
use crate::kernel::precision::Precision;
use crate::{Error, Result};
pub(super) use tile::accumulate;
use tile::{Finish, Tile, ROWS};

/// Rows of y a unit computes; a multiple of [`ROWS`].
const BLOCK: usize = 96;
/// Words of each sum that are added before the next rows' turn: a panel's part stays in the second-level cache.
const CHUNK: usize = 512;
/// Floats of a cache line.
const LINE: usize = 16;

/// Weights, laid out for one instruction set and precision.
pub(super) struct PackedMatmul {
    tile: &'static Tile,
    n: usize,
    k: usize,
    panels: Vec<f32>,
    scales: Vec<f32>,
}

impl PackedMatmul {
    /// Packs `weights` (n, k); where factors are bytes, `levels` are those of the k columns of x.
    ///
    /// # Errors
    /// `Shape` when they are not as many, `Device` when the instruction set has no kernel, `Weights` when the levels
    /// are not those of k columns.
    pub fn new(
        precision: Precision,
        p: &MatmulParams,
        weights: &[f32],
        levels: Option<&Levels>,
    ) -> Result<Self> {
        let tile = Tile::of(Isa::current()?, precision)?;
        let (n, k) = (p.n as usize, p.k as usize);
        if weights.len() != n * k {
            return Err(Error::shape(format!("matmul: {} weights, {} wanted", weights.len(), n * k)));
        }
        let (mut scales, mut whole) = (Vec::new(), Vec::new());
        if precision == Precision::Int8 {
            whole.extend_from_slice(weights);
            scales = weigh(&mut whole, n, k, levels, |i| i % k)?;
        }
        let weights = if whole.is_empty() { weights } else { &whole };
        let (columns, words) = (tile.columns, tile.words(k));
        let mut panels = vec![0.0; panels_len(p, tile)];
        for (column, row) in weights.chunks_exact(k.max(1)).enumerate() {
            let start = column / columns * words * columns + column % columns;
            for (i, factors) in row.chunks(precision.per_word()).enumerate() {
                let of = |i: usize| factors.get(i).copied().unwrap_or(0.0);
                let word = precision.word(std::array::from_fn::<_, MOST_PER_WORD, _>(of));
                panels[start + i * columns] = f32::from_bits(word);
            }
        }
        Ok(Self { tile, n, k, panels, scales })
    }

    /// Elements of packed weights, padding included.
    ///
    /// # Errors
    /// `Device` when the instruction set has no kernel.
    pub fn len(precision: Precision, p: &MatmulParams) -> Result<usize> {
        let scales = if precision == Precision::Int8 { Scales::len(p.k as usize, p.n as usize) } else { 0 };
        Ok(panels_len(p, Tile::of(Isa::current()?, precision)?) + scales)
    }

    /// Elements of scratch that [`PackedMatmul::run`] needs on so many threads.
    ///
    /// # Errors
    /// `Device` when the instruction set has no kernel.
    pub fn scratch_len(precision: Precision, p: &MatmulParams, threads: usize) -> Result<usize> {
        let cut = Cut::new(p, Tile::of(Isa::current()?, precision)?, threads);
        Ok(LINE + cut.parts * cut.part_len())
    }

    /// Computes y.
    ///
    /// # Errors
    /// `Shape` when `p` does not fit the packed weights or scratch.
    ///
    /// # Safety
    /// As [`Args`] says; scratch overlaps nothing.
    pub unsafe fn run(&self, p: &MatmulParams, args: &Args, scratch: &mut [f32], pool: &Pool) -> Result<()> {
        let act = p.activation()?;
        let cut = Cut::new(p, self.tile, pool.threads());
        let part_len = cut.part_len();
        let start = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
        if (self.n, self.k) != (p.n as usize, p.k as usize) || scratch.len() < start + cut.parts * part_len {
            return Err(Error::shape(format!("matmul: {p:?} on weights of {} x {}", self.n, self.k)));
        }
        let scales = Scales::of(&self.scales, self.k);
        let job = Job { packed: self, p, args, act, scales, cut: &cut };
        pool.run_with(cut.parts, &mut scratch[start..], part_len, |part, own| {
            let (sums, words) = own.split_at_mut(cut.sums_len);
            let mut rounded = None;
            for unit in cut.units * part / cut.parts..cut.units * (part + 1) / cut.parts {
                let (block, panel) = (unit / cut.panels, unit % cut.panels);
                // SAFETY: the caller's promise; units write disjoint parts of y.
                unsafe {
                    if rounded != Some(block) {
                        job.round(block, words);
                        rounded = Some(block);
                    }
                    job.unit(block, panel, words.as_ptr(), sums.as_mut_ptr());
                }
            }
        });
        Ok(())
    }
}

fn panels_len(p: &MatmulParams, tile: &Tile) -> usize {
    (p.n as usize).next_multiple_of(tile.columns) * tile.words(p.k as usize)
}

/// One run, as all of its parts see it.
struct Job<'a> {
    packed: &'a PackedMatmul,
    p: &'a MatmulParams,
    args: &'a Args,
    act: MatmulActivation,
    scales: Scales<'a>,
    cut: &'a Cut,
}

impl Job<'_> {
    /// First row of a block and how many it has.
    fn rows(&self, block: usize) -> (usize, usize) {
        let first = block * BLOCK;
        (first, BLOCK.min(self.p.m as usize - first))
    }

    /// Rounds the rows of a block to words, where the tile reads such.
    ///
    /// # Safety
    /// As [`PackedMatmul::run`].
    unsafe fn round(&self, block: usize, words: &mut [f32]) {
        let Some(round) = self.packed.tile.round.filter(|_| !self.args.as_words.x) else { return };
        let (k, (first, rows)) = (self.packed.k, self.rows(block));
        for (row, words) in words.chunks_exact_mut(self.cut.x_stride).take(rows).enumerate() {
            // SAFETY: the caller's promise; a row's words fit into the stride.
            unsafe { round(self.args.x[0].add((first + row) * k), words.as_mut_ptr(), k, &self.scales) };
        }
    }

    /// Computes a block of rows in a panel of columns.
    ///
    /// # Safety
    /// As [`PackedMatmul::run`]; `words` hold the block's rows if the tile reads such, and `sums` has
    /// room for those of a unit.
    unsafe fn unit(&self, block: usize, panel: usize, words: *const f32, sums: *mut f32) {
        let (p, args, tile) = (self.p, self.args, self.packed.tile);
        let (n, k) = (self.packed.n, tile.words(self.packed.k));
        let (first, rows) = self.rows(block);
        let column = panel * tile.columns;
        let weights = self.packed.panels[panel * k * tile.columns..].as_ptr();
        // SAFETY: the caller's promise; places are within x or its words, the panel, y and its like.
        unsafe {
            let (x, x_stride) = match tile.round {
                Some(_) if !args.as_words.x => (words, self.cut.x_stride),
                _ => (args.x[0].add(first * k), k),
            };
            let mut done = 0;
            while done < k {
                let terms = CHUNK.min(k - done);
                for row in (0..rows).step_by(ROWS) {
                    let tile_rows = ROWS.min(rows - row);
                    let x = x.add(row * x_stride + done);
                    let w = weights.add(done * tile.columns);
                    // A tile that is finished at once shares its place with the others.
                    let sums = if terms == k { sums } else { sums.add(row * tile.columns) };
                    let function = tile.functions[tile_rows - 1];
                    function(x, x_stride, w, sums, tile.columns, terms, done == 0);
                    if done + terms < k {
                        continue;
                    }
                    let at = (first + row) * n + column;
                    (tile.finish)(&Finish {
                        sums,
                        sum_stride: tile.columns,
                        y: if args.as_words.y { args.y.add(tile.words(at)) } else { args.y.add(at) },
                        stride: n,
                        as_words: args.as_words.y,
                        rows: tile_rows,
                        columns: tile.columns.min(n - column),
                        act: self.act,
                        bias: (p.has_bias == 1).then(|| args.x[2].add(column)),
                        residual: (p.residual == 1).then(|| args.x[2 + p.has_bias as usize].add(at)),
                        scales: [self.scales.offset, self.scales.factor]
                            .map(|of| of.as_ptr().wrapping_add(column)),
                    });
                }
                done += terms;
            }
        }
    }
}

/// Units of work, their partition, and the sizes of a part's buffers.
struct Cut {
    panels: usize,
    units: usize,
    parts: usize,
    /// Elements of a unit's sums.
    sums_len: usize,
    /// Distance of the rows of a block's words.
    x_stride: usize,
    /// Elements of a block's words.
    words_len: usize,
}

impl Cut {
    fn new(p: &MatmulParams, tile: &Tile, threads: usize) -> Self {
        let panels = (p.n as usize).div_ceil(tile.columns);
        let units = (p.m as usize).div_ceil(BLOCK) * panels;
        let k = p.k as usize;
        let x_stride = if tile.round.is_some() { odd_lines(tile.words(k)) } else { 0 };
        Self {
            panels,
            units,
            parts: threads.max(1).min(units),
            sums_len: BLOCK * tile.columns,
            x_stride,
            words_len: BLOCK * x_stride,
        }
    }

    fn part_len(&self) -> usize {
        self.sums_len + self.words_len
    }
}
