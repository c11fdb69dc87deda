//! Convolution of any stride, dilation, padding and grouping, one product per tap.
//!
//! The output is cut into blocks of rows and columns (`blocking`). Per block, input channels are gathered into a
//! buffer that stays in the second-level cache: all at once or, where they are too many, chunk by chunk with the
//! block's sums in a second buffer. Register tiles run over a chunk's channels and taps, one block of output channels
//! after the other; after the last chunk the epilogue stores a tile's sums at once.
//!
//! A pixel's sum is one chain of fused multiply-adds in the order channel, row, column, whatever
//! its block, chunk, vector lane or thread: results do not depend on the number of threads, on the
//! batch or on where a tile of a larger image was cut.

use std::ops::Range;

use super::blocking::{Ahead, Block, Blocking};
use super::store::Finished;
use super::tile::{Tile, TileJob};
use super::Job;
use crate::cpu::simd::MOST_PER_WORD;
use crate::kernel::conv::Conv2dParams;

/// Elements of packed weights.
pub(super) fn packed_len(tile: &Tile, params: &Conv2dParams) -> usize {
    let groups = params.groups as usize;
    let (c_in, c_out) = (params.c_in as usize / groups, params.c_out as usize / groups);
    let taps = (params.kernel[0] * params.kernel[1]) as usize;
    groups * tile.words(c_in) * taps * c_out.next_multiple_of(tile.rows)
}

/// Weights as group, block of output channels, word of input channels, tap, channel of the block; the last
/// block of a group is filled up with zeros.
pub(super) fn pack(tile: &Tile, params: &Conv2dParams, weights: &[f32]) -> Vec<f32> {
    let groups = params.groups as usize;
    let (c_in, c_out) = (params.c_in as usize / groups, params.c_out as usize / groups);
    let taps = (params.kernel[0] * params.kernel[1]) as usize;
    let blocks = c_out.div_ceil(tile.rows);
    let mut packed = vec![0.0; packed_len(tile, params)];
    for (channel, filter) in weights.chunks_exact(c_in * taps).enumerate() {
        let (group, o) = (channel / c_out, channel % c_out);
        let block = group * blocks + o / tile.rows;
        let start = block * tile.words(c_in) * taps * tile.rows + o % tile.rows;
        for (word, numbers) in filter.chunks(taps * tile.precision.per_word()).enumerate() {
            for tap in 0..taps {
                let of = |i: usize| numbers.get(tap + i * taps).copied().unwrap_or(0.0);
                let factors: [f32; MOST_PER_WORD] = std::array::from_fn(of);
                packed[start + (word * taps + tap) * tile.rows] =
                    f32::from_bits(tile.precision.word(factors));
            }
        }
    }
    packed
}

/// Computes the blocks of one part.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; `buffer` has the blocking's elements of one part,
/// `taps` are its tap distances.
pub(super) unsafe fn run_part(job: &Job, blocking: &Blocking, taps: &[u32], part: usize, buffer: &mut [f32]) {
    let (x_buffer, sums) = buffer.split_at_mut(blocking.x_len);
    let (per_word, c_in) = (job.tile.precision.per_word(), (job.params.c_in / job.params.groups) as usize);
    for unit in blocking.units_of(part) {
        let block = blocking.block(job.params, unit);
        let window = blocking.window(job.params, &block);
        let first = block.group * c_in;
        for from in (0..blocking.c_in).step_by(blocking.chunk) {
            let to = blocking.c_in.min(from + blocking.chunk);
            let channels = first + from * per_word..first + c_in.min(to * per_word);
            // SAFETY: the caller's promise; blocks write disjoint parts of y.
            unsafe {
                (job.tile.gather)(job.params, &window, channels, job.operands.x, &job.scales, x_buffer);
                let ahead = blocking.ahead(job, unit, part).filter(|_| to == blocking.c_in);
                accumulate(job, blocking, taps, &block, from..to, x_buffer, ahead, sums);
            }
        }
    }
}

/// Adds a chunk of input channels to the block's sums, and stores them after the last.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; the tile's instruction set is available, and the
/// buffers are as long as the blocking says.
unsafe fn accumulate(
    job: &Job,
    blocking: &Blocking,
    taps: &[u32],
    block: &Block,
    channels: Range<usize>,
    x: &[f32],
    ahead: Option<Ahead>,
    sums: &mut [f32],
) {
    let tile = job.tile;
    let layout = blocking.vectors(block, job.spread.row);
    let filter = blocking.c_in * taps.len() * tile.rows;
    let (first, last) = (channels.start == 0, channels.end == blocking.c_in);
    let mut tiles = block.co_blocks.len() * tile.groups(layout.count);
    for (slot, co_block) in block.co_blocks.clone().enumerate() {
        let w =
            (block.group * blocking.co_blocks + co_block) * filter + channels.start * taps.len() * tile.rows;
        let mut vector = 0;
        while vector < layout.count {
            let width = tile.group(layout.count - vector);
            let bases = std::array::from_fn(|i| layout.base(vector + i.min(width - 1)));
            // A tile that is finished at once shares its place with the others.
            let at =
                if first && last { 0 } else { slot * tile.rows * blocking.sum_stride + vector * tile.lanes };
            let sums = sums[at..].as_mut_ptr();
            tiles -= 1;
            let line = ahead.and_then(|ahead| ahead.line(tiles));
            let tile_job = TileJob {
                x: x.as_ptr(),
                x_stride: blocking.x_stride,
                channels: channels.len(),
                taps,
                w: job.weights[w..].as_ptr(),
                w_ahead: 0,
                sums,
                sum_stride: blocking.sum_stride,
                first,
                ahead: line.unwrap_or(x.as_ptr()),
                ahead_step: line.and(ahead).map_or(0, |ahead| ahead.step),
            };
            let vectors = vector..vector + width;
            let done =
                Finished { block, layout: &layout, vectors, co_block, sums, sum_stride: blocking.sum_stride };
            // SAFETY: the caller's promise; bases, taps and strides stay inside the buffers.
            unsafe {
                if last {
                    (tile.expect)(job, &done);
                }
                (tile.accumulate[width - 1])(&tile_job, &bases);
                if last {
                    (tile.store)(job, &done);
                }
            }
            vector += width;
        }
    }
}
