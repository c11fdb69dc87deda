//! Register tiles: the innermost loops of a convolution, one set per instruction set.

use std::ops::Range;

use super::blocking::{Block, Blocking};
use super::{Operands, Spread};
use crate::cpu::isa::Isa;
use crate::kernel::conv::Conv2dParams;
use crate::{Error, Result};

/// Most vectors of pixels a tile holds.
pub(super) const MAX_VECTORS: usize = 3;

/// One accumulation: `rows` output channels times some vectors of pixels over some input channels.
pub(super) struct TileJob<'a> {
    /// The gathered input, first channel of the chunk.
    pub x: *const f32,
    /// Distance of its channels.
    pub x_stride: usize,
    /// Input channels of the chunk.
    pub channels: usize,
    /// Distance of each kernel tap from a pixel's base.
    pub taps: &'a [u32],
    /// Weights: input channel, tap, output channel of the block.
    pub w: *const f32,
    /// Sums of the first output channel and vector; further vectors follow.
    pub sums: *mut f32,
    /// Distance of the sums of the next output channel.
    pub sum_stride: usize,
    /// Whether sums start at zero instead of what is stored.
    pub first: bool,
}

/// Accumulates a tile; `bases` says where in a channel of x the vectors start.
pub(super) type TileFn = unsafe fn(&TileJob, bases: &[usize; MAX_VECTORS]);

/// Stores a block's sums through the epilogue.
pub(super) type StoreFn = unsafe fn(&Conv2dParams, &Blocking, &Block, &Operands, Spread, &[f32]);

/// Gathers a chunk of input channels.
pub(super) type GatherFn = unsafe fn(&Conv2dParams, &Blocking, &Block, Range<usize>, *const f32, &mut [f32]);

/// An implementation of the contract.
pub(super) struct Tile {
    /// Entry name.
    pub name: &'static str,
    /// Instruction set it needs.
    pub isa: Isa,
    /// Pixels of a vector.
    pub lanes: usize,
    /// Output channels of a tile.
    pub rows: usize,
    /// Tiles of one, two and three vectors.
    pub functions: [TileFn; MAX_VECTORS],
    /// The copy into the padded buffer, compiled for the same instruction set.
    pub gather: GatherFn,
    /// The epilogue, compiled for the same instruction set.
    pub store: StoreFn,
}

/// All tiles of this build; of one instruction set, those with more rows first.
#[cfg(target_arch = "x86_64")]
const TILES: &[&[Tile]] = &[super::tile_avx512::TILES, super::tile_avx2::TILES, super::tile_portable::TILES];
#[cfg(target_arch = "aarch64")]
const TILES: &[&[Tile]] = &[super::tile_neon::TILES, super::tile_portable::TILES];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const TILES: &[&[Tile]] = &[super::tile_portable::TILES];

impl Tile {
    /// The tile that computes the output channels of a group in the least time: a tap costs as many
    /// multiply-adds as the tile has rows, and about two more for loading pixels.
    pub fn choose(isa: Isa, params: &Conv2dParams) -> Result<&'static Self> {
        let c_out = (params.c_out / params.groups) as usize;
        let of_isa = TILES.iter().copied().flatten().filter(|t| t.isa == isa && isa.is_available());
        of_isa
            .min_by_key(|t| c_out.div_ceil(t.rows) * (t.rows + 2))
            .ok_or_else(|| Error::device(format!("no convolution for {} on this machine", isa.name())))
    }

    /// How many of the `left` vectors the next tile takes.
    pub fn group(&self, left: usize) -> usize {
        match left {
            1..=3 => left,
            4 => 2,
            _ => MAX_VECTORS,
        }
    }
}
