//! Register tiles of the matrix product, its epilogue, and the table of them.

use crate::cpu::isa::Isa;
use crate::cpu::scales::Scales;
use crate::cpu::simd::{self, gelu, gelu_for_rounding, Factors, Lanes};
use crate::kernel::matmul::MatmulActivation;
use crate::kernel::precision::Precision;
use crate::{Error, Result};

/// Most rows of a register tile.
pub(super) const ROWS: usize = 6;

/// Adds terms to the sums of some rows: x and its row stride, a panel's weights, sums and their
/// row stride, words of each sum, and whether sums start at zero.
type TileFn = unsafe fn(*const f32, usize, *const f32, *mut f32, usize, usize, bool);

/// Stores the sums of some rows and columns of y through the epilogue.
type FinishFn = unsafe fn(&Finish);

/// Rounds so many numbers to words, bytes by the scales.
type RoundFn = unsafe fn(*const f32, *mut f32, usize, &Scales);

/// An implementation of the contract.
pub(super) struct Tile {
    isa: Isa,
    precision: Precision,
    /// Columns of y.
    pub columns: usize,
    /// Tiles of one to six rows.
    pub functions: [TileFn; ROWS],
    pub finish: FinishFn,
    /// How x becomes words; `None` where its numbers are.
    pub round: Option<RoundFn>,
}

/// The sums of some rows and columns of y, to be stored.
pub(super) struct Finish {
    pub sums: *mut f32,
    pub sum_stride: usize,
    pub y: *mut f32,
    /// Numbers of a row of y and of the residual.
    pub stride: usize,
    /// Whether y is stored as words of the factors, which rows are whole ones of.
    pub as_words: bool,
    pub rows: usize,
    pub columns: usize,
    pub act: MatmulActivation,
    pub bias: Option<*const f32>,
    pub residual: Option<*const f32>,
    /// Offsets and factors of the sums where they are of bytes.
    pub scales: [*const f32; 2],
}

/// Adds terms to a tile of `R` rows and `V` vectors.
///
/// # Safety
/// As [`TileFn`]'s arguments say; the instruction set is there.
#[inline(always)]
pub(in crate::cpu) unsafe fn accumulate<F: Factors, const R: usize, const V: usize>(
    x: *const f32,
    x_stride: usize,
    w: *const f32,
    sums: *mut f32,
    sum_stride: usize,
    words: usize,
    first: bool,
) {
    let lanes = F::Sums::N;
    // SAFETY: the caller's promise.
    unsafe {
        let mut tile = [[F::Sums::splat(0.0); V]; R];
        if !first {
            for r in 0..R {
                for v in 0..V {
                    tile[r][v] = F::Sums::load(sums.add(r * sum_stride + v * lanes));
                }
            }
        }
        for i in 0..words {
            let weights: [F; V] = std::array::from_fn(|v| F::words(w.add((i * V + v) * lanes)));
            for r in 0..R {
                let x = F::word(x.add(r * x_stride + i));
                for v in 0..V {
                    tile[r][v] = x.add_products(weights[v], tile[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                tile[r][v].store(sums.add(r * sum_stride + v * lanes));
            }
        }
    }
}

/// Stores sums through the epilogue.
///
/// # Safety
/// All that `job` addresses is there; the instruction set is.
#[inline(always)]
unsafe fn finish<F: Factors>(job: &Finish) {
    let lanes = F::Sums::N;
    let whole = job.columns - job.columns % lanes;
    for row in 0..job.rows {
        // SAFETY: the caller's promise; an element of the residual is read before y is written there.
        unsafe {
            let sums = job.sums.add(row * job.sum_stride);
            let to = if job.as_words { sums } else { job.y.add(row * job.stride) };
            for i in (0..whole).step_by(lanes) {
                finish_at::<F::Sums>(job, row, i, F::PRECISION).store(to.add(i));
            }
            for i in whole..job.columns {
                finish_at::<f32>(job, row, i, F::PRECISION).store(to.add(i));
            }
            if job.as_words {
                let y = job.y.add(row * job.stride / F::PRECISION.per_word());
                F::round(sums, y, job.columns, &Scales::NONE);
            }
        }
    }
}

/// Elements `i..i + L::N` of a row of y.
///
/// # Safety
/// As [`finish`].
#[inline(always)]
unsafe fn finish_at<L: Lanes>(job: &Finish, row: usize, i: usize, precision: Precision) -> L {
    // SAFETY: the caller's promise.
    unsafe {
        let mut v = L::load(job.sums.add(row * job.sum_stride + i));
        if precision == Precision::Int8 {
            let [offset, factor] = job.scales.map(|scales| L::load(scales.add(i)));
            v = v.dequantise(offset, factor);
        }
        if let Some(bias) = job.bias {
            v = v.add(L::load(bias.add(i)));
        }
        v = match job.act {
            MatmulActivation::None => v,
            MatmulActivation::Relu => v.if_below(L::splat(0.0), L::splat(0.0), v),
            MatmulActivation::Gelu if precision == Precision::F32 => gelu(v),
            MatmulActivation::Gelu => gelu_for_rounding(v),
        };
        if let Some(residual) = job.residual {
            v = v.add(L::load(residual.add(row * job.stride + i)));
        }
        v
    }
}

/// The tile of an instruction set: its factors, the vectors of a row of a tile, target features.
macro_rules! tile {
    ($name:ident, $isa:expr, $factors:ty, $vectors:literal $(, $feature:literal)?) => {
        const $name: Tile = {
            $(#[target_feature(enable = $feature)])?
            unsafe fn rows<const R: usize>(
                x: *const f32, x_stride: usize, w: *const f32, sums: *mut f32, sum_stride: usize, words: usize, first: bool,
            ) {
                // SAFETY: the caller's promise.
                unsafe { accumulate::<$factors, R, $vectors>(x, x_stride, w, sums, sum_stride, words, first) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn store(job: &Finish) {
                // SAFETY: the caller's promise.
                unsafe { finish::<$factors>(job) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn round(from: *const f32, to: *mut f32, n: usize, scales: &Scales) {
                // SAFETY: the caller's promise.
                unsafe { <$factors as Factors>::round(from, to, n, scales) }
            }
            Tile {
                isa: $isa,
                precision: <$factors as Factors>::PRECISION,
                columns: $vectors * <<$factors as Factors>::Sums as Lanes>::N,
                functions: [rows::<1>, rows::<2>, rows::<3>, rows::<4>, rows::<5>, rows::<6>],
                finish: store,
                round: match <$factors as Factors>::PRECISION {
                    Precision::F32 => None,
                    _ => Some(round),
                },
            }
        };
    };
}

#[cfg(target_arch = "x86_64")]
tile!(AVX512_BYTES, Isa::Avx512, simd::Bytes, 4, "avx512f,avx512bw,avx512vnni");
#[cfg(target_arch = "x86_64")]
tile!(AVX512_BF16, Isa::Avx512, simd::Bf16Pairs, 4, "avx512f,avx512bw,avx512bf16");
#[cfg(target_arch = "x86_64")]
tile!(AVX512, Isa::Avx512, simd::Avx512, 4, "avx512f");
#[cfg(target_arch = "x86_64")]
tile!(AVX2, Isa::Avx2, simd::Avx2, 2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
tile!(NEON, Isa::Neon, simd::Neon, 4);
tile!(PORTABLE, Isa::Portable, simd::Portable, 2);
tile!(PORTABLE_BYTES, Isa::Portable, simd::PortableBytes, 2);

#[cfg(target_arch = "x86_64")]
const TILES: &[Tile] = &[AVX512_BYTES, AVX512_BF16, AVX512, AVX2, PORTABLE, PORTABLE_BYTES];
#[cfg(target_arch = "aarch64")]
const TILES: &[Tile] = &[NEON, PORTABLE, PORTABLE_BYTES];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const TILES: &[Tile] = &[PORTABLE, PORTABLE_BYTES];

impl Tile {
    /// The tile of an instruction set and a precision.
    ///
    /// # Errors
    /// `Device` when there is none on this machine.
    pub fn of(isa: Isa, precision: Precision) -> Result<&'static Self> {
        let fits = |t: &&Tile| t.isa == isa && t.precision == precision && isa.multiplies(precision);
        TILES.iter().find(fits).ok_or_else(|| {
            Error::device(format!("no matrix product in {precision} for {} on this machine", isa.name()))
        })
    }

    /// Words that `k` factors are.
    pub fn words(&self, k: usize) -> usize {
        k.div_ceil(self.precision.per_word())
    }
}
