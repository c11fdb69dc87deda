//! The matrix product of a linear layer, on weights packed at load.
//!
//! Weights lie in panels of as many columns of y as a register tile is wide, and within a panel row
//! by row of the sum. A unit of work is a block of rows of y and a panel: sums over a chunk of k stay
//! in the cache for all rows, chunk after chunk, and the epilogue stores them. Every element is one
//! chain of multiply-adds in the order of k, however the work is divided.

use super::args::Args;
use super::isa::Isa;
use super::pool::Pool;
use super::simd::{self, gelu, Lanes};
use crate::kernel::matmul::{MatmulActivation, MatmulParams};
use crate::{Error, Result};

/// Most rows of a register tile.
const ROWS: usize = 6;
/// Rows of y a unit computes; a multiple of [`ROWS`].
const BLOCK: usize = 96;
/// Terms of each sum that are added before the next rows' turn: a panel's part stays in the first-level cache.
const CHUNK: usize = 96;
/// Floats of a cache line.
const LINE: usize = 16;

/// Adds `k` terms to the sums of some rows: x and its row stride, a panel's weights, sums and their
/// row stride, k, and whether sums start at zero.
type TileFn = unsafe fn(*const f32, usize, *const f32, *mut f32, usize, usize, bool);

/// Stores the sums of some rows and columns of y through the epilogue.
type FinishFn = unsafe fn(&Finish);

/// An implementation of the contract.
struct Tile {
    isa: Isa,
    /// Columns of y.
    columns: usize,
    /// Tiles of one to six rows.
    functions: [TileFn; ROWS],
    finish: FinishFn,
}

/// The sums of some rows and columns of y, to be stored.
struct Finish {
    sums: *const f32,
    sum_stride: usize,
    y: *mut f32,
    stride: usize,
    rows: usize,
    columns: usize,
    act: MatmulActivation,
    bias: Option<*const f32>,
    residual: Option<*const f32>,
}

fn packed_len(p: &MatmulParams, tile: &Tile) -> usize {
    (p.n as usize).next_multiple_of(tile.columns) * p.k as usize
}

/// Weights, laid out for one instruction set.
pub(super) struct PackedMatmul {
    tile: &'static Tile,
    n: usize,
    k: usize,
    panels: Vec<f32>,
}

impl PackedMatmul {
    /// Packs `weights` (n, k).
    ///
    /// # Errors
    /// `Shape` when they are not as many, `Device` when the instruction set has no kernel.
    pub fn new(p: &MatmulParams, weights: &[f32]) -> Result<Self> {
        let tile = Tile::of(Isa::current()?)?;
        let (n, k) = (p.n as usize, p.k as usize);
        if weights.len() != n * k {
            return Err(Error::shape(format!("matmul: {} weights, {} wanted", weights.len(), n * k)));
        }
        let mut panels = vec![0.0; packed_len(p, tile)];
        for (column, row) in weights.chunks_exact(k.max(1)).enumerate() {
            let start = column / tile.columns * k * tile.columns + column % tile.columns;
            for (i, &w) in row.iter().enumerate() {
                panels[start + i * tile.columns] = w;
            }
        }
        Ok(Self { tile, n, k, panels })
    }

    /// Elements of packed weights, padding included.
    ///
    /// # Errors
    /// `Device` when the instruction set has no kernel.
    pub fn len(p: &MatmulParams) -> Result<usize> {
        Ok(packed_len(p, Tile::of(Isa::current()?)?))
    }

    /// Elements of scratch that [`PackedMatmul::run`] needs on so many threads.
    ///
    /// # Errors
    /// `Device` when the instruction set has no kernel.
    pub fn scratch_len(p: &MatmulParams, threads: usize) -> Result<usize> {
        let tile = Tile::of(Isa::current()?)?;
        Ok(LINE + Cut::new(p, tile, threads).parts * BLOCK * tile.columns)
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
        let sums_len = BLOCK * self.tile.columns;
        let start = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
        if (self.n, self.k) != (p.n as usize, p.k as usize) || scratch.len() < start + cut.parts * sums_len {
            return Err(Error::shape(format!("matmul: {p:?} on weights of {} x {}", self.n, self.k)));
        }
        pool.run_with(cut.parts, &mut scratch[start..], sums_len, |part, sums| {
            for unit in cut.units * part / cut.parts..cut.units * (part + 1) / cut.parts {
                let (block, panel) = (unit / cut.panels, unit % cut.panels);
                // SAFETY: the caller's promise; units write disjoint parts of y.
                unsafe { self.unit(p, args, act, block, panel, sums.as_mut_ptr()) };
            }
        });
        Ok(())
    }

    /// # Safety
    /// As [`PackedMatmul::run`]; a block and a panel's sums fit into `sums`.
    unsafe fn unit(
        &self,
        p: &MatmulParams,
        args: &Args,
        act: MatmulActivation,
        block: usize,
        panel: usize,
        sums: *mut f32,
    ) {
        let (tile, n, k) = (self.tile, self.n, self.k);
        let (first, column) = (block * BLOCK, panel * tile.columns);
        let rows = BLOCK.min(p.m as usize - first);
        let weights = self.panels[panel * k * tile.columns..].as_ptr();
        // SAFETY: the caller's promise; places are within x, the panel, y and its like.
        unsafe {
            let mut done = 0;
            while done < k {
                let terms = CHUNK.min(k - done);
                for row in (0..rows).step_by(ROWS) {
                    let function = tile.functions[ROWS.min(rows - row) - 1];
                    let x = args.x[0].add((first + row) * k + done);
                    let w = weights.add(done * tile.columns);
                    function(x, k, w, sums.add(row * tile.columns), tile.columns, terms, done == 0);
                }
                done += terms;
            }
            let at = first * n + column;
            (tile.finish)(&Finish {
                sums,
                sum_stride: tile.columns,
                y: args.y.add(at),
                stride: n,
                rows,
                columns: tile.columns.min(n - column),
                act,
                bias: (p.has_bias == 1).then(|| args.x[2].add(column)),
                residual: (p.residual == 1).then(|| args.x[2 + p.has_bias as usize].add(at)),
            });
        }
    }
}

/// Units of work and their partition.
struct Cut {
    panels: usize,
    units: usize,
    parts: usize,
}

impl Cut {
    fn new(p: &MatmulParams, tile: &Tile, threads: usize) -> Self {
        let panels = (p.n as usize).div_ceil(tile.columns);
        let units = (p.m as usize).div_ceil(BLOCK) * panels;
        Self { panels, units, parts: threads.max(1).min(units) }
    }
}

/// Adds terms to a tile of `R` rows and `V` vectors.
///
/// # Safety
/// As [`TileFn`]'s arguments say; the instruction set is there.
#[inline(always)]
pub(super) unsafe fn accumulate<L: Lanes, const R: usize, const V: usize>(
    x: *const f32,
    x_stride: usize,
    w: *const f32,
    sums: *mut f32,
    sum_stride: usize,
    terms: usize,
    first: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut tile = [[L::splat(0.0); V]; R];
        if !first {
            for r in 0..R {
                for v in 0..V {
                    tile[r][v] = L::load(sums.add(r * sum_stride + v * L::N));
                }
            }
        }
        for i in 0..terms {
            let mut weights = [L::splat(0.0); V];
            for v in 0..V {
                weights[v] = L::load(w.add((i * V + v) * L::N));
            }
            for r in 0..R {
                let x = L::splat(*x.add(r * x_stride + i));
                for v in 0..V {
                    tile[r][v] = x.fma(weights[v], tile[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                tile[r][v].store(sums.add(r * sum_stride + v * L::N));
            }
        }
    }
}

/// Stores sums through the epilogue.
///
/// # Safety
/// All that `job` addresses is there; the instruction set is.
#[inline(always)]
unsafe fn finish<L: Lanes>(job: &Finish) {
    let whole = job.columns - job.columns % L::N;
    for row in 0..job.rows {
        // SAFETY: the caller's promise; an element of the residual is read before y is written there.
        unsafe {
            for i in (0..whole).step_by(L::N) {
                finish_at::<L>(job, row, i);
            }
            for i in whole..job.columns {
                finish_at::<f32>(job, row, i);
            }
        }
    }
}

/// # Safety
/// As [`finish`].
#[inline(always)]
unsafe fn finish_at<L: Lanes>(job: &Finish, row: usize, i: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut v = L::load(job.sums.add(row * job.sum_stride + i));
        if let Some(bias) = job.bias {
            v = v.add(L::load(bias.add(i)));
        }
        v = match job.act {
            MatmulActivation::None => v,
            MatmulActivation::Relu => v.if_below(L::splat(0.0), L::splat(0.0), v),
            MatmulActivation::Gelu => gelu(v),
        };
        if let Some(residual) = job.residual {
            v = v.add(L::load(residual.add(row * job.stride + i)));
        }
        v.store(job.y.add(row * job.stride + i));
    }
}

/// The tile of an instruction set: its vectors, the vectors of a row of a tile, target features.
macro_rules! tile {
    ($name:ident, $isa:expr, $lanes:ty, $vectors:literal $(, $feature:literal)?) => {
        const $name: Tile = {
            $(#[target_feature(enable = $feature)])?
            unsafe fn rows<const R: usize>(
                x: *const f32, x_stride: usize, w: *const f32, sums: *mut f32, sum_stride: usize, terms: usize, first: bool,
            ) {
                // SAFETY: the caller's promise.
                unsafe { accumulate::<$lanes, R, $vectors>(x, x_stride, w, sums, sum_stride, terms, first) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn store(job: &Finish) {
                // SAFETY: the caller's promise.
                unsafe { finish::<$lanes>(job) }
            }
            Tile {
                isa: $isa,
                columns: $vectors * <$lanes as Lanes>::N,
                functions: [rows::<1>, rows::<2>, rows::<3>, rows::<4>, rows::<5>, rows::<6>],
                finish: store,
            }
        };
    };
}

#[cfg(target_arch = "x86_64")]
tile!(AVX512, Isa::Avx512, simd::Avx512, 4, "avx512f");
#[cfg(target_arch = "x86_64")]
tile!(AVX2, Isa::Avx2, simd::Avx2, 2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
tile!(NEON, Isa::Neon, simd::Neon, 4);
tile!(PORTABLE, Isa::Portable, simd::Portable, 2);

#[cfg(target_arch = "x86_64")]
const TILES: &[Tile] = &[AVX512, AVX2, PORTABLE];
#[cfg(target_arch = "aarch64")]
const TILES: &[Tile] = &[NEON, PORTABLE];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const TILES: &[Tile] = &[PORTABLE];

impl Tile {
    fn of(isa: Isa) -> Result<&'static Self> {
        let found = TILES.iter().find(|t| t.isa == isa && isa.is_available());
        found.ok_or_else(|| Error::device(format!("no matrix product for {} on this machine", isa.name())))
    }
}
