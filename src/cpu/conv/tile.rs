//! Register tiles: the innermost loop of a convolution, and the table of them per instruction set.

use super::{gather::gather_words, gather::Window, store, store::Finished, winograd, Job};
use crate::cpu::isa::Isa;
use crate::cpu::scales::Scales;
use crate::cpu::simd::{self, Factors, Lanes};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::precision::Precision;
use crate::{Error, Result};
use std::ops::Range;

/// Most vectors of pixels a tile holds.
pub(super) const MAX_VECTORS: usize = 3;

/// One accumulation: `rows` output channels times some vectors of pixels over some input channels.
pub(super) struct TileJob<'a> {
    /// The gathered input, first channel of the chunk.
    pub x: *const f32,
    /// Distance of its channels.
    pub x_stride: usize,
    /// Input channels of the chunk, counted in words.
    pub channels: usize,
    /// Distance of each kernel tap from a pixel's base.
    pub taps: &'a [u32],
    /// Weights: input channel, tap, output channel of the block.
    pub w: *const f32,
    /// From there to what the next accumulation reads, asked for channel by channel; 0 where it is not known.
    pub w_ahead: usize,
    /// Sums of the first output channel and vector; further vectors follow.
    pub sums: *mut f32,
    /// Distance of the sums of the next output channel.
    pub sum_stride: usize,
    /// Whether sums start at zero instead of what is stored.
    pub first: bool,
    /// A cache line of the first channel of what is read next, asked for channel by channel.
    pub ahead: *const f32,
    /// Distance of that line in the next channel; 0 where nothing is read next, for a line that is there already.
    pub ahead_step: usize,
}

/// Functions of one instruction set for tiles of `rows` output channels.
pub(super) struct Tile {
    /// Name of the kernel that multiplies tap by tap.
    pub direct: &'static str,
    /// Name of the kernel that multiplies transformed blocks.
    pub winograd: &'static str,
    /// Instruction set they need.
    pub isa: Isa,
    /// What they round factors to.
    pub precision: Precision,
    /// Pixels of a vector.
    pub lanes: usize,
    /// Output channels of a tile.
    pub rows: usize,
    /// Most vectors of a tile: with its sums, one output channel's weight and a tap's pixels they fit the registers.
    pub vectors: usize,
    /// Accumulates a tile of one, two or three vectors; `bases` says where in a channel of x they
    /// start.
    pub accumulate: [unsafe fn(&TileJob, bases: &[usize; MAX_VECTORS]); MAX_VECTORS],
    /// [`gather_words`].
    pub gather: unsafe fn(&Conv2dParams, &Window, Range<usize>, *const f32, &Scales, &mut [f32]),
    /// [`store::expect`].
    pub expect: unsafe fn(&Job, &Finished),
    /// [`store::store`].
    pub store: unsafe fn(&Job, &Finished),
    /// [`winograd::transform_filters`].
    pub transform_filters: unsafe fn(&[winograd::Taps; simd::MOST_PER_WORD], &mut winograd::Numbers),
    /// [`winograd::transform_input`].
    pub transform_input:
        unsafe fn(&winograd::Unit, Range<usize>, winograd::Transformed, &mut winograd::Buffers),
    /// Copies whole vectors past the caches, to the alignment of a vector.
    pub stream: unsafe fn(*const f32, *mut f32, usize),
    /// [`winograd::transform_output`].
    pub transform_output: unsafe fn(&winograd::Unit, &mut winograd::Buffers),
}

/// All tiles of this build; of one instruction set, those with more rows first.
const TILES: &[&[Tile]] = &[
    #[cfg(target_arch = "x86_64")]
    bytes_avx512::TILES,
    #[cfg(target_arch = "x86_64")]
    bf16_avx512::TILES,
    #[cfg(target_arch = "x86_64")]
    avx512::TILES,
    #[cfg(target_arch = "x86_64")]
    avx2::TILES,
    #[cfg(target_arch = "aarch64")]
    neon::TILES,
    portable::TILES,
    bytes_portable::TILES,
];

impl Tile {
    /// The tile that computes `c_out` output channels in the least time: a tap costs as many
    /// multiply-adds as the tile has rows, and about two more for loading pixels.
    ///
    /// # Errors
    /// `Device` when this machine lacks the instruction set.
    pub fn choose(isa: Isa, precision: Precision, c_out: usize) -> Result<&'static Self> {
        let fits = |t: &&Tile| t.isa == isa && t.precision == precision && isa.multiplies(precision);
        let of_isa = TILES.iter().copied().flatten().filter(fits);
        of_isa.min_by_key(|t| c_out.div_ceil(t.rows) * (t.rows + 2)).ok_or_else(|| {
            Error::device(format!("no convolution in {precision} for {} on this machine", isa.name()))
        })
    }

    /// Words that so many input channels are.
    pub fn words(&self, channels: usize) -> usize {
        channels.div_ceil(self.precision.per_word())
    }

    /// How many of the `left` vectors the next tile takes.
    pub fn group(&self, left: usize) -> usize {
        if left == self.vectors + 1 {
            return left.div_ceil(2);
        }
        left.min(self.vectors)
    }

    /// Tiles that so many vectors take.
    pub fn groups(&self, vectors: usize) -> usize {
        vectors.div_ceil(self.vectors)
    }
}

/// Accumulates one tile.
///
/// # Safety
/// The instruction set is available, and all that `job` and `bases` address lies in its buffers.
#[inline(always)]
unsafe fn accumulate<F: Factors, const ROWS: usize, const VECTORS: usize>(
    job: &TileJob,
    bases: &[usize; MAX_VECTORS],
) {
    let lanes = F::Sums::N;
    // SAFETY: the caller's promise, for all accesses of this function.
    unsafe {
        let mut sums = [[F::Sums::splat(0.0); VECTORS]; ROWS];
        if !job.first {
            for o in 0..ROWS {
                for v in 0..VECTORS {
                    sums[o][v] = F::Sums::load(job.sums.add(o * job.sum_stride + v * lanes));
                }
            }
        }
        let mut w = job.w;
        let mut x = job.x;
        let mut ahead = job.ahead;
        for _ in 0..job.channels {
            F::Sums::prefetch(ahead);
            F::Sums::prefetch(w.wrapping_add(job.w_ahead));
            ahead = ahead.wrapping_add(job.ahead_step);
            for &tap in job.taps {
                let at = x.add(tap as usize);
                let pixels: [F; VECTORS] = std::array::from_fn(|v| F::words(at.add(bases[v])));
                for o in 0..ROWS {
                    let weight = F::word(w.add(o));
                    for v in 0..VECTORS {
                        sums[o][v] = pixels[v].add_products(weight, sums[o][v]);
                    }
                }
                w = w.add(ROWS);
            }
            x = x.add(job.x_stride);
        }
        for o in 0..ROWS {
            for v in 0..VECTORS {
                sums[o][v].store(job.sums.add(o * job.sum_stride + v * lanes));
            }
        }
    }
}

/// The functions of one instruction set: each is compiled once with its `target_feature`.
macro_rules! instruction_set {
    ($module:ident, $name:tt, $isa:expr, $factors:ty, $rows:tt x $pixels:literal, $(#[$feature:meta])?) => {
        mod $module {
            use super::*;

            type F = $factors;
            type L = <F as Factors>::Sums;

            instruction_set!(@table $name, $rows, $pixels);

            const fn tile<const ROWS: usize>(direct: &'static str, winograd: &'static str) -> Tile {
                Tile {
                    direct,
                    winograd,
                    isa: $isa,
                    precision: F::PRECISION,
                    lanes: L::N,
                    rows: ROWS,
                    vectors: $pixels / L::N,
                    accumulate: [accumulate::<ROWS, 1>, accumulate::<ROWS, 2>, accumulate::<ROWS, 3>],
                    gather,
                    expect,
                    store,
                    transform_filters,
                    transform_input,
                    stream,
                    transform_output,
                }
            }

            /// # Safety
            /// The instruction set is available; as many elements are readable at `from` and writable
            /// at `to`.
            $(#[$feature])?
            unsafe fn stream(from: *const f32, to: *mut f32, len: usize) {
                for at in (0..len).step_by(L::N) {
                    // SAFETY: the caller's promise.
                    unsafe { L::load(from.add(at)).stream(to.add(at)) };
                }
            }

            /// # Safety
            /// The instruction set is available; the conditions of [`super::accumulate`].
            $(#[$feature])?
            unsafe fn accumulate<const ROWS: usize, const VECTORS: usize>(
                job: &TileJob,
                bases: &[usize; MAX_VECTORS],
            ) {
                // SAFETY: the caller's promise.
                unsafe { super::accumulate::<F, ROWS, VECTORS>(job, bases) }
            }

            /// # Safety
            /// The instruction set is available; the conditions of [`gather_words`].
            $(#[$feature])?
            unsafe fn gather(
                params: &Conv2dParams,
                window: &Window,
                channels: Range<usize>,
                x: *const f32,
                scales: &Scales,
                buffer: &mut [f32],
            ) {
                // SAFETY: the caller's promise.
                unsafe { gather_words::<F>(params, window, channels, x, scales, buffer) }
            }

            /// # Safety
            /// The instruction set is available.
            $(#[$feature])?
            unsafe fn expect(job: &Job, done: &Finished) {
                store::expect::<F>(job, done);
            }

            /// # Safety
            /// The instruction set is available; the conditions of [`store::store`].
            $(#[$feature])?
            unsafe fn store(job: &Job, done: &Finished) {
                // SAFETY: the caller's promise.
                unsafe { store::store::<F>(job, done) }
            }

            /// # Safety
            /// The instruction set is available.
            $(#[$feature])?
            unsafe fn transform_filters(
                taps: &[winograd::Taps; simd::MOST_PER_WORD],
                words: &mut winograd::Numbers,
            ) {
                // SAFETY: the caller's promise.
                unsafe { winograd::transform_filters::<F>(taps, words) }
            }

            /// # Safety
            /// The instruction set is available; the conditions of [`winograd::transform_input`].
            $(#[$feature])?
            unsafe fn transform_input(
                unit: &winograd::Unit,
                words: Range<usize>,
                to: winograd::Transformed,
                buffers: &mut winograd::Buffers,
            ) {
                // SAFETY: the caller's promise.
                unsafe { winograd::transform_input::<F>(unit, words, to, buffers) }
            }

            /// # Safety
            /// The instruction set is available; the conditions of [`winograd::transform_output`].
            $(#[$feature])?
            unsafe fn transform_output(unit: &winograd::Unit, buffers: &mut winograd::Buffers) {
                // SAFETY: the caller's promise.
                unsafe { winograd::transform_output::<L>(unit, buffers) }
            }
        }
    };
    (@table $name:tt, [$($rows:literal)*], $pixels:literal) => {
        pub(in crate::cpu::conv) const TILES: &[Tile] = &[$(tile::<$rows>(
            instruction_set!(@name $name, "direct", $rows, $pixels),
            instruction_set!(@name $name, "winograd", $rows, $pixels),
        )),*];
    };
    (@name [$precision:literal, $isa:literal], $algorithm:literal, $rows:literal, $pixels:literal) => {
        concat!("conv2d_fwd_", $precision, "__", $algorithm, "_", $rows, "x", $pixels, "_", $isa)
    };
}

#[cfg(target_arch = "x86_64")]
instruction_set!(
    bytes_avx512,
    ["int8", "avx512"],
    Isa::Avx512,
    simd::Bytes,
    [8 4 2 1] x 48,
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
);
#[cfg(target_arch = "x86_64")]
instruction_set!(
    bf16_avx512,
    ["bf16", "avx512"],
    Isa::Avx512,
    simd::Bf16Pairs,
    [8 4 2 1] x 48,
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
);
#[cfg(target_arch = "x86_64")]
instruction_set!(avx512, ["f32", "avx512"], Isa::Avx512, simd::Avx512, [8 4 2 1] x 48, #[target_feature(enable = "avx512f")]);
#[cfg(target_arch = "x86_64")]
instruction_set!(avx2, ["f32", "avx2"], Isa::Avx2, simd::Avx2, [6 4 2 1] x 16, #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "aarch64")]
instruction_set!(neon, ["f32", "neon"], Isa::Neon, simd::Neon, [8 4 2 1] x 12,);
instruction_set!(portable, ["f32", "portable"], Isa::Portable, simd::Portable, [4 1] x 12,);
instruction_set!(bytes_portable, ["int8", "portable"], Isa::Portable, simd::PortableBytes, [4 1] x 12,);
