//! Convolution on the CPU: any stride, dilation, padding and grouping by one direct algorithm.
//!
//! The output is cut into blocks of rows and columns. Per block, a chunk of input channels is
//! gathered into a padded buffer that stays in the cache (`gather`); register tiles of a few output
//! channels times a few pixel vectors run over the chunk's channels and taps and keep their sums in
//! a second buffer (`tile`); after the last chunk the epilogue stores the sums (`store`).
//! `blocking` decides the sizes.
//!
//! A pixel's sum is one chain of fused multiply-adds in the order channel, row, column, whatever
//! its block, chunk, vector lane or thread: results do not depend on the number of threads, on the
//! batch or on where a tile of a larger image was cut, and AVX-512, AVX2 and NEON agree bit by bit.

mod blocking;
mod gather;
mod store;
mod tile;

#[cfg(target_arch = "x86_64")]
mod tile_avx2;
#[cfg(target_arch = "x86_64")]
mod tile_avx512;
#[cfg(target_arch = "aarch64")]
mod tile_neon;
mod tile_portable;

#[cfg(test)]
mod tests;

use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::kernel::conv::Conv2dParams;
use crate::{Error, Result};
use blocking::{Block, Blocking};
use tile::{Tile, TileJob};

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

/// A convolution's weights, laid out for one kernel of one instruction set.
pub struct PackedConv {
    tile: &'static Tile,
    geometry: [u32; 5],
    weights: Vec<f32>,
}

impl PackedConv {
    /// Packs `weights` (c_out, c_in / groups, kernel rows, kernel columns) for the current
    /// instruction set. Only channels, groups and kernel of `params` matter here.
    ///
    /// # Errors
    /// `Shape` when the parameters are no convolution or the weights are not as many as they say.
    pub fn new(params: &Conv2dParams, weights: &[f32]) -> Result<Self> {
        Self::with_isa(Isa::current()?, params, weights)
    }

    /// As [`PackedConv::new`] for a given instruction set.
    ///
    /// # Errors
    /// Also `Device` when this machine lacks it.
    pub fn with_isa(isa: Isa, params: &Conv2dParams, weights: &[f32]) -> Result<Self> {
        params.check()?;
        if weights.len() != params.weight_len() {
            return Err(Error::shape(format!(
                "conv2d: {} weights where {} are expected",
                weights.len(),
                params.weight_len()
            )));
        }
        let tile = Tile::choose(isa, params)?;
        Ok(Self { tile, geometry: geometry(params), weights: pack(tile, params, weights) })
    }

    /// Name of the kernel that was chosen.
    pub fn kernel_name(&self) -> &'static str {
        self.tile.name
    }

    /// Name of the kernel that will run, and elements of its packed weights, padding included.
    ///
    /// # Errors
    /// `Shape` or `Limit` when the parameters are no convolution.
    pub fn form(params: &Conv2dParams) -> Result<(&'static str, usize)> {
        params.check()?;
        let tile = Tile::choose(Isa::current()?, params)?;
        Ok((tile.name, packed_len(tile, params)))
    }

    /// Elements of scratch that [`PackedConv::run`] needs on so many threads. It depends on the
    /// instruction set, not on the weights.
    ///
    /// # Errors
    /// `Shape` or `Limit` when the parameters are no convolution.
    pub fn scratch_len(params: &Conv2dParams, threads: usize) -> Result<usize> {
        Self::scratch_len_with_isa(Isa::current()?, params, threads)
    }

    /// As [`PackedConv::scratch_len`] for a given instruction set.
    ///
    /// # Errors
    /// Also `Device` when this machine lacks it.
    pub fn scratch_len_with_isa(isa: Isa, params: &Conv2dParams, threads: usize) -> Result<usize> {
        params.check()?;
        Ok(Blocking::new(params, Tile::choose(isa, params)?, threads).scratch_len())
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
    /// overlaps nothing.
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
    /// allow no residuals and only rectifiers as activations.
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
        let blocking = Blocking::new(params, self.tile, pool.threads());
        if scratch.len() < blocking.scratch_len() {
            return Err(Error::shape(format!(
                "conv2d: {} elements of scratch where {} are needed",
                scratch.len(),
                blocking.scratch_len()
            )));
        }
        let (taps, buffers) = blocking.split_scratch(scratch);
        let job = ConvJob { conv: self, params, operands, spread, blocking: &blocking, taps };
        let buffers = Buffers(buffers.as_mut_ptr());
        pool.run(blocking.parts, |part| {
            // SAFETY: `part_len` elements per part lie in `buffers`, and each part runs once.
            let own = unsafe {
                std::slice::from_raw_parts_mut(buffers.part(part * blocking.part_len), blocking.part_len)
            };
            for unit in blocking.units_of(part) {
                // SAFETY: the caller's promise; units write disjoint parts of y.
                unsafe { job.run_block(&blocking.block(params, unit), own) };
            }
        });
        Ok(())
    }

    fn check(&self, params: &Conv2dParams, operands: &Operands) -> Result<()> {
        params.check()?;
        if geometry(params) != self.geometry {
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

/// What packed weights depend on.
fn geometry(p: &Conv2dParams) -> [u32; 5] {
    [p.c_in, p.c_out, p.groups, p.kernel[0], p.kernel[1]]
}

/// Elements of packed weights.
fn packed_len(tile: &Tile, params: &Conv2dParams) -> usize {
    let c_out = (params.c_out / params.groups) as usize;
    params.weight_len() / c_out * c_out.next_multiple_of(tile.rows)
}

/// Weights as group, block of output channels, input channel, tap, channel of the block; the last
/// block of a group is filled up with zeros.
fn pack(tile: &Tile, params: &Conv2dParams, weights: &[f32]) -> Vec<f32> {
    let groups = params.groups as usize;
    let (c_in, c_out) = (params.c_in as usize / groups, params.c_out as usize / groups);
    let taps = (params.kernel[0] * params.kernel[1]) as usize;
    let blocks = c_out.div_ceil(tile.rows);
    let mut packed = vec![0.0; packed_len(tile, params)];
    for (channel, filter) in weights.chunks_exact(c_in * taps).enumerate() {
        let (group, o) = (channel / c_out, channel % c_out);
        let block = group * blocks + o / tile.rows;
        let start = block * c_in * taps * tile.rows + o % tile.rows;
        for (i, &w) in filter.iter().enumerate() {
            packed[start + i * tile.rows] = w;
        }
    }
    packed
}

/// The parts' buffers, one after the other.
#[derive(Clone, Copy)]
struct Buffers(*mut f32);

// SAFETY: each part uses its own range only.
unsafe impl Sync for Buffers {}

impl Buffers {
    /// # Safety
    /// `offset` lies in the buffers.
    unsafe fn part(&self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// One run, as all of its parts see it.
struct ConvJob<'a> {
    conv: &'a PackedConv,
    params: &'a Conv2dParams,
    operands: &'a Operands<'a>,
    spread: Spread,
    blocking: &'a Blocking,
    taps: &'a [u32],
}

impl ConvJob<'_> {
    /// Computes one block of y.
    ///
    /// # Safety
    /// As [`PackedConv::run`]; `buffer` has the blocking's `part_len` elements.
    unsafe fn run_block(&self, block: &Block, buffer: &mut [f32]) {
        let blocking = self.blocking;
        let (x_buffer, sums) = buffer.split_at_mut(blocking.x_len);
        let mut from = 0;
        while from < blocking.c_in {
            let to = blocking.c_in.min(from + blocking.chunk);
            let channels = from..to;
            // SAFETY: the caller's promise.
            unsafe {
                (self.conv.tile.gather)(
                    self.params,
                    blocking,
                    block,
                    channels.clone(),
                    self.operands.x,
                    x_buffer,
                );
                self.accumulate(block, channels, x_buffer, sums);
            }
            from = to;
        }
        // SAFETY: the caller's promise.
        unsafe { (self.conv.tile.store)(self.params, blocking, block, self.operands, self.spread, sums) };
    }

    /// Adds a chunk of input channels to the block's sums.
    ///
    /// # Safety
    /// The tile's instruction set is available, and the buffers are as long as the blocking says.
    unsafe fn accumulate(
        &self,
        block: &Block,
        channels: std::ops::Range<usize>,
        x: &[f32],
        sums: &mut [f32],
    ) {
        let (tile, blocking) = (self.conv.tile, self.blocking);
        let layout = blocking.vectors(block);
        let filter = blocking.c_in * self.taps.len() * tile.rows;
        let mut vector = 0;
        while vector < layout.count {
            let width = tile.group(layout.count - vector);
            let bases = std::array::from_fn(|i| layout.base(vector + i.min(width - 1)));
            for (i, co_block) in block.co_blocks.clone().enumerate() {
                let w = (block.group * blocking.co_blocks + co_block) * filter
                    + channels.start * self.taps.len() * tile.rows;
                let sum = i * tile.rows * blocking.sum_stride + vector * tile.lanes;
                let job = TileJob {
                    x: x.as_ptr(),
                    x_stride: blocking.x_stride,
                    channels: channels.len(),
                    taps: self.taps,
                    w: self.conv.weights[w..].as_ptr(),
                    sums: sums[sum..].as_mut_ptr(),
                    sum_stride: blocking.sum_stride,
                    first: channels.start == 0,
                };
                // SAFETY: the caller's promise; bases, taps and strides stay inside the buffers.
                unsafe { (tile.functions[width - 1])(&job, &bases) };
            }
            vector += width;
        }
    }
}
