//! Convolution on the CPU, by two algorithms: `direct` takes any stride, dilation, padding and
//! grouping, `winograd` 3x3 kernels with stride 1 between many channels.
//!
//! Both cut y into pieces, gather the pixels of x that a piece needs into a padded buffer
//! (`gather`), multiply with register tiles of a few output channels times a few pixel vectors
//! (`tile`), and take the sums to y through the epilogue (`store`). AVX-512, AVX2 and NEON agree bit
//! by bit in f32. Factors are 32-bit words of one or more input channels (`simd::Factors`), joined as they
//! are gathered or transformed.

mod blocking;
mod direct;
mod gather;
mod store;
mod tile;
mod winograd;

#[cfg(test)]
mod tests;

use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::scales::{weigh, Scales};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::levels::Levels;
use crate::kernel::precision::Precision;
use crate::plan::Transform;
use crate::{Error, Result};
pub(super) use blocking::odd_lines;
use blocking::{Blocking, LINE};
use tile::Tile;

/// How sums are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// One product per tap: any convolution. A pixel's bits do not depend on where it lies.
    Direct,
    /// F(4x4, 3x3) for 3x3 kernels with stride 1: a quarter of the products, a digit less accurate.
    /// Bits are kept when an image is cut at multiples of
    /// [`BLOCK_PIXELS`](crate::kernel::conv::BLOCK_PIXELS).
    Winograd,
}

impl Algorithm {
    /// Whether it takes a convolution with these channels, kernel, strides, dilations and groups.
    pub fn fits(self, params: &Conv2dParams) -> bool {
        match self {
            Self::Direct => true,
            Self::Winograd => winograd::fits(params),
        }
    }
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// How sums are.
    pub algorithm: Algorithm,
    /// What factors are rounded to.
    pub precision: Precision,
    /// With which instructions.
    pub isa: Isa,
}

impl Method {
    /// The register tile of a convolution that the algorithm takes.
    fn tile(self, params: &Conv2dParams) -> Result<&'static Tile> {
        params.check()?;
        let bytes = self.algorithm == Algorithm::Winograd && self.precision == Precision::Int8;
        if bytes || !self.algorithm.fits(params) {
            return Err(Error::unsupported(format!("conv2d: {self:?} does not take {params:?}")));
        }
        Tile::choose(self.isa, self.precision, (params.c_out / params.groups) as usize)
    }
}

/// Where the tensors of one convolution lie.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// First element of x.
    pub x: *const f32,
    /// First element of y.
    pub y: *mut f32,
    /// One value per channel of y; empty without a bias.
    pub bias: &'a [f32],
    /// The activation's learned slopes: one, one per channel of y, or none.
    pub slope: &'a [f32],
    /// First element of each residual; those beyond `residuals` are not read.
    pub residuals: [*const f32; 2],
    /// What runs on the same image make of it once.
    pub kept: Kept,
}

/// Transformed channels of x, the first ones, that several runs on the same image share: each finds
/// those that were made before and makes those that are left of its own.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Where they lie, at a multiple of 64 bytes; see [`PackedConv::transform`].
    pub at: *mut f32,
    /// Channels there is room for.
    pub room: usize,
    /// Channels that are there before the run.
    pub made: usize,
}

impl Kept {
    /// Nothing is kept.
    pub const NONE: Self = Self { at: std::ptr::null_mut(), room: 0, made: 0 };
}

// SAFETY: the pointers are only used under the conditions of `PackedConv::run`, whose parts write
// disjoint elements of y.
unsafe impl Sync for Operands<'_> {}

/// Where neighbours of y lie when it is a part of a larger image: elements from a column, row or
/// channel to the next.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Spread {
    pub column: usize,
    pub row: usize,
    pub plane: usize,
}

/// A convolution's weights, laid out for one algorithm and instruction set.
pub struct PackedConv {
    algorithm: Algorithm,
    tile: &'static Tile,
    geometry: [u32; 5],
    weights: Vec<f32>,
    scales: Vec<f32>,
}

impl PackedConv {
    /// Packs `weights` (c_out, c_in / groups, kernel rows, kernel columns). Only channels, groups
    /// and kernel of `params` matter here.
    ///
    /// # Errors
    /// `Shape` when the parameters are no convolution or the weights are not as many as they say,
    /// `Unsupported` when the algorithm does not take them, `Device` when this machine lacks the
    /// instructions.
    pub fn new(method: Method, params: &Conv2dParams, weights: &[f32]) -> Result<Self> {
        Self::with_levels(method, params, weights, None, &Pool::new(1)?)
    }

    /// The same on the threads of `pool`, and where factors are bytes with the levels of x's channels.
    ///
    /// # Errors
    /// As [`PackedConv::new`]; `Weights` when the levels are not those of as many channels.
    pub fn with_levels(
        method: Method,
        params: &Conv2dParams,
        weights: &[f32],
        levels: Option<&Levels>,
        pool: &Pool,
    ) -> Result<Self> {
        let (tile, algorithm) = (method.tile(params)?, method.algorithm);
        if weights.len() != params.weight_len() {
            return Err(Error::shape(format!(
                "conv2d: {} weights where {} are expected",
                weights.len(),
                params.weight_len()
            )));
        }
        let mut scales = Vec::new();
        let mut whole = Vec::new();
        if method.precision == Precision::Int8 {
            let per_filter = params.weight_len() / params.c_out as usize;
            let taps = (params.kernel[0] * params.kernel[1]) as usize;
            let [inputs, outputs] =
                [params.c_in, params.c_out].map(|channels| (channels / params.groups) as usize);
            let channel = |i: usize| i / per_filter / outputs * inputs + i % per_filter / taps;
            whole.extend_from_slice(weights);
            scales = weigh(&mut whole, params.c_out as usize, params.c_in as usize, levels, channel)?;
        }
        let weights = if whole.is_empty() { weights } else { &whole };
        let weights = match algorithm {
            Algorithm::Direct => direct::pack(tile, params, weights),
            Algorithm::Winograd => winograd::pack(tile, params, weights, pool),
        };
        Ok(Self { algorithm, tile, geometry: geometry(params), weights, scales })
    }

    /// Name of the kernel that will run, and elements of its packed weights, padding included.
    ///
    /// # Errors
    /// As [`PackedConv::new`].
    pub fn form(method: Method, params: &Conv2dParams) -> Result<(&'static str, usize)> {
        let tile = method.tile(params)?;
        Ok(match method.algorithm {
            Algorithm::Direct => (tile.direct, direct::packed_len(tile, params) + scales_len(method, params)),
            Algorithm::Winograd => (tile.winograd, winograd::packed_len(tile, params)),
        })
    }

    /// Elements of scratch that [`PackedConv::run`] needs on so many threads; by `Winograd`, on so many
    /// of the whole pool.
    ///
    /// # Errors
    /// As [`PackedConv::new`].
    pub fn scratch_len(method: Method, params: &Conv2dParams, threads: usize) -> Result<usize> {
        let tile = method.tile(params)?;
        Ok(match method.algorithm {
            Algorithm::Direct => Blocking::new(params, tile, threads).scratch_len(),
            Algorithm::Winograd => winograd::Cut::new(params, tile, threads).scratch_len(),
        })
    }

    /// What runs on a pool of so many threads make of x's channels before they multiply, if others
    /// can share it.
    ///
    /// # Errors
    /// As [`PackedConv::new`].
    pub fn transform(method: Method, params: &Conv2dParams, threads: usize) -> Result<Option<Transform>> {
        let tile = method.tile(params)?;
        Ok(match method.algorithm {
            Algorithm::Direct => None,
            Algorithm::Winograd => winograd::Cut::new(params, tile, threads).transform(params),
        })
    }

    /// Computes y. Allocates nothing.
    ///
    /// # Errors
    /// `Shape` when `params` does not fit the packed weights, bias, slopes or scratch.
    ///
    /// # Safety
    /// `x` is readable for `params.x_span()`, `y` writable for `params.y_span()` and each residual
    /// readable for `params.r_span()` elements, and nobody else writes them meanwhile. The elements
    /// of y (image by image, c_out planes) overlap none of x (image by image, c_in planes); they may
    /// be those of a residual if they coincide exactly, and overlap no residual otherwise. `scratch`
    /// and what is kept overlap nothing; what is kept is as long as [`PackedConv::transform`] says for
    /// a pool of this size, and its first channels were made by runs with an equal transform of the
    /// same channels of x.
    pub unsafe fn run(
        &self,
        params: &Conv2dParams,
        operands: &Operands,
        scratch: &mut [f32],
        pool: &Pool,
    ) -> Result<()> {
        let spread = Spread { column: 1, row: params.w_out as usize, plane: params.y_plane() };
        // SAFETY: this function's.
        unsafe { self.run_spread(params, operands, spread, scratch, pool) }
    }

    /// As [`PackedConv::run`] for a y whose pixels are spread over a larger image. Spread columns
    /// allow no residuals.
    ///
    /// # Errors
    /// As [`PackedConv::run`].
    ///
    /// # Safety
    /// As [`PackedConv::run`], with y writable where `spread` puts its elements.
    pub(in crate::cpu) unsafe fn run_spread(
        &self,
        params: &Conv2dParams,
        operands: &Operands,
        spread: Spread,
        scratch: &mut [f32],
        pool: &Pool,
    ) -> Result<()> {
        self.check(params, operands)?;
        let scales = Scales::of(&self.scales, params.c_in as usize);
        let job = Job { tile: self.tile, weights: &self.weights, scales, params, operands, spread };
        match self.algorithm {
            Algorithm::Direct => {
                let blocking = Blocking::new(params, self.tile, pool.threads());
                check_scratch(scratch, blocking.scratch_len())?;
                let (taps, buffers) = blocking.split_scratch(scratch);
                pool.run_with(blocking.parts, buffers, blocking.part_len, |part, own| {
                    // SAFETY: the caller's promise.
                    unsafe { direct::run_part(&job, &blocking, taps, part, own) };
                });
            }
            Algorithm::Winograd => {
                let cut = winograd::Cut::new(params, self.tile, pool.size());
                check_scratch(scratch, cut.scratch_len())?;
                let (parts, part_len) = cut.parts();
                let start = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
                pool.run_with(parts, &mut scratch[start..], part_len, |part, own| {
                    // SAFETY: as above.
                    unsafe { winograd::run_part(&job, &cut, part, own) };
                });
            }
        }
        Ok(())
    }

    fn check(&self, params: &Conv2dParams, operands: &Operands) -> Result<()> {
        params.check()?;
        if geometry(params) != self.geometry || !self.algorithm.fits(params) {
            return Err(Error::shape(format!(
                "conv2d: channels, groups, kernel {:?} on weights of {:?}",
                geometry(params),
                self.geometry
            )));
        }
        let epilogue = &params.epilogue;
        let biases = if epilogue.has_bias == 0 { 0 } else { params.c_out as usize };
        if operands.bias.len() < biases || operands.slope.len() < epilogue.slopes(params.c_out as usize) {
            return Err(Error::shape(format!(
                "conv2d: {} biases and {} slopes for {} channels",
                operands.bias.len(),
                operands.slope.len(),
                params.c_out
            )));
        }
        Ok(())
    }
}

fn check_scratch(scratch: &[f32], needed: usize) -> Result<()> {
    if scratch.len() < needed {
        return Err(Error::shape(format!(
            "conv2d: {} elements of scratch where {needed} are needed",
            scratch.len()
        )));
    }
    Ok(())
}

/// Elements beside packed weights where factors are bytes.
fn scales_len(method: Method, params: &Conv2dParams) -> usize {
    match method.precision {
        Precision::Int8 => Scales::len(params.c_in as usize, params.c_out as usize),
        _ => 0,
    }
}

/// What packed weights depend on.
fn geometry(p: &Conv2dParams) -> [u32; 5] {
    [p.c_in, p.c_out, p.groups, p.kernel[0], p.kernel[1]]
}

/// One run, as all of its parts see it.
struct Job<'a> {
    tile: &'static Tile,
    weights: &'a [f32],
    scales: Scales<'a>,
    params: &'a Conv2dParams,
    operands: &'a Operands<'a>,
    spread: Spread,
}
