//! Convolution by a 3x3 kernel with stride 1 after Winograd: F(4x4, 3x3) of Lavin and Gray, "Fast
//! algorithms for convolutional neural networks" (2015), with the points 0, ±1, ±2 and infinity.
//!
//! y is computed in blocks of 4x4 pixels. The 6x6 pixels of x that a block needs become 36 numbers
//! per input channel (`Bt d B`), which are multiplied with 36 numbers per filter (`G g Gt`, made when
//! weights are packed) and summed over the channels, frequency by frequency; each block's 36 sums become its 16
//! pixels (`At m A`). That takes a quarter of the direct algorithm's multiplications, and costs
//! about a digit of accuracy.
//!
//! A unit of work is a rectangle of blocks small enough for the second-level cache. A pixel's sum is
//! one chain in the order of the channels, so it does not depend on the number of threads, on the
//! batch or on the unit; blocks start at multiples of [`BLOCK_PIXELS`] from the first pixel of y, so an image
//! cut there computes the same bits.
//!
//! Where x is enlarged by two while it is read, 11 of the 36 numbers compare pixels that are one: they
//! are zero and not multiplied, and what is left are the products of four phases' 2x2 kernels.
//!
//! Where factors are rounded they are so after the transforms, as words of two channels' numbers.
//!
//! What x's leading channels become can be kept for the convolutions that read them next ([`Kept`]):
//! unit by unit, in each as in a part's own buffer. It is written past the caches, which it would
//! leave before it is read.

mod cut;
mod filters;
mod transform;

use std::ops::Range;

use super::blocking::{band, LINE};
use super::gather::Window;
use super::tile::{TileJob, MAX_VECTORS};
use super::{Job, Kept, Operands, Spread};
use crate::cpu::simd;
use crate::kernel::conv::{Conv2dParams, BLOCK_PIXELS};
pub(super) use cut::Cut;
use cut::Place;
pub(super) use filters::{pack, packed_len, transform_filters, Numbers, Taps};
pub(super) use transform::{transform_input, transform_output};

/// Pixels a block's rows and columns of x have.
const IN: usize = BLOCK_PIXELS + 2;
/// Numbers a block becomes.
const FREQUENCIES: usize = IN * IN;
/// Kept words multiplied between two visits of the sums: one frequency of them stays in the
/// first-level cache.
const KEPT_CHUNK: usize = 128;
/// Only bytes have levels, and they are not transformed.
const NO_LEVELS: [[f32; 2]; simd::MOST_PER_WORD] = [[0.0; 2]; simd::MOST_PER_WORD];
/// Fewest channels on both sides for which transforming pays.
const MIN_CHANNELS: u32 = 16;

/// Whether the algorithm takes a convolution. It asks for channels and kernel only, so that an
/// image and its tiles get the same algorithm.
pub(super) fn fits(p: &Conv2dParams) -> bool {
    p.kernel == [3; 2]
        && p.stride == [1; 2]
        && p.dilation == [1; 2]
        && p.groups == 1
        && p.c_in.min(p.c_out) >= MIN_CHANNELS
}

/// Transformed channels of one unit: frequency by frequency, word by word, block by block.
#[derive(Clone, Copy)]
pub(super) struct Transformed {
    /// First element.
    at: *mut f32,
    /// Distance of the frequencies.
    frequency_step: usize,
}

impl Transformed {
    /// Without so many elements of each frequency.
    fn without(self, elements: usize) -> Self {
        Self { at: self.at.wrapping_add(elements), ..self }
    }

    fn frequency(self, f: usize) -> *mut f32 {
        self.at.wrapping_add(f * self.frequency_step)
    }
}

/// One unit of work: a rectangle of blocks and some output channels of one image.
pub(super) struct Unit<'a> {
    params: &'a Conv2dParams,
    operands: &'a Operands<'a>,
    spread: Spread,
    cut: &'a Cut,
    place: Place,
}

/// What a part works in; lengths are those of [`Cut`].
pub(super) struct Buffers<'a> {
    pixels: &'a mut [f32],
    rows: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<'a> Buffers<'a> {
    /// And room for a chunk of transformed words.
    fn new(cut: &Cut, buffer: &'a mut [f32]) -> (Self, Transformed) {
        let (pixels, rest) = buffer.split_at_mut(cut.lens[0]);
        let (rows, rest) = rest.split_at_mut(cut.lens[1]);
        let (input, sums) = rest.split_at_mut(cut.lens[2]);
        let own = Transformed { at: input.as_mut_ptr(), frequency_step: cut.frequency_step(cut.chunk) };
        (Self { pixels, rows, sums }, own)
    }
}

impl<'a> Unit<'a> {
    fn new(job: &Job<'a>, cut: &'a Cut, unit: usize) -> Self {
        let place = cut.place(unit);
        Self { params: job.params, operands: job.operands, spread: job.spread, cut, place }
    }

    fn window(&self) -> Window {
        let start =
            |axis: usize, block: usize| (block * BLOCK_PIXELS) as isize - self.params.pad[axis] as isize;
        let (rows, columns) = (&self.place.rows, &self.place.columns);
        Window {
            image: self.place.image,
            first_row: start(0, rows.start),
            rows: BLOCK_PIXELS * rows.len() + 2,
            first_column: start(1, columns.start),
            phase_width: BLOCK_PIXELS * columns.len() + 2,
            row_step: self.cut.row_step,
            channel_step: 0,
        }
    }

    /// Output channels that have sums, those that fill up the last block included.
    fn out_channels(&self) -> usize {
        self.place.co_blocks.len() * self.cut.tile_rows
    }

    /// Adds the products of the words `chunk` of input channels, which `input` begins with, to the sums of all
    /// frequencies; copies them to `keep`.
    ///
    /// # Safety
    /// The tile's instruction set is available, `input` holds the words and `keep` has room for them.
    unsafe fn multiply(
        &self,
        job: &Job,
        chunk: Range<usize>,
        input: Transformed,
        keep: Option<Transformed>,
        sums: &mut [f32],
    ) {
        let (cut, tile) = (self.cut, job.tile);
        let words = tile.words(self.params.c_in as usize);
        let sum_step = cut.frequency_step(self.out_channels());
        let vectors = (self.place.rows.len() * self.place.columns.len()).div_ceil(tile.lanes);
        let mut bases = [0; MAX_VECTORS];
        for f in 0..FREQUENCIES {
            if cut.zero[0][f / IN] || cut.zero[1][f % IN] {
                if chunk.start == 0 {
                    sums[f * sum_step..][..self.out_channels() * cut.lane_step].fill(0.0);
                }
                continue;
            }
            let x = input.frequency(f);
            let mut vector = 0;
            while vector < vectors {
                let width = tile.group(vectors - vector);
                for (k, base) in bases.iter_mut().enumerate() {
                    *base = (vector + k.min(width - 1)) * tile.lanes;
                }
                for (slot, co_block) in self.place.co_blocks.clone().enumerate() {
                    let w = ((f * cut.co_blocks + co_block) * words + chunk.start) * tile.rows;
                    let sum = f * sum_step + slot * tile.rows * cut.lane_step + vector * tile.lanes;
                    // The next frequency's lines of a channel, one a block.
                    let line = slot * LINE;
                    let ahead = if line < cut.lane_step { input.frequency_step + line } else { 0 };
                    let job = TileJob {
                        x,
                        x_stride: cut.lane_step,
                        channels: chunk.len(),
                        taps: &[0],
                        w: job.weights[w..].as_ptr(),
                        w_ahead: words * tile.rows,
                        sums: sums[sum..].as_mut_ptr(),
                        sum_stride: cut.lane_step,
                        first: chunk.start == 0,
                        ahead: x.wrapping_add(ahead),
                        ahead_step: cut.lane_step,
                    };
                    // SAFETY: the caller's promise; strides stay inside the buffers.
                    unsafe { (tile.accumulate[width - 1])(&job, &bases) };
                }
                vector += width;
            }
            if let Some(keep) = keep {
                // SAFETY: the caller's promise.
                unsafe { (tile.stream)(x, keep.frequency(f), chunk.len() * cut.lane_step) };
            }
        }
    }
}

/// Computes the units of one part.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; `buffer` has the cut's elements for one part.
pub(super) unsafe fn run_part(job: &Job, cut: &Cut, part: usize, buffer: &mut [f32]) {
    let (mut buffers, own) = Buffers::new(cut, buffer);
    let words = job.tile.words(job.params.c_in as usize);
    let Kept { at, room, made } = job.operands.kept;
    // A word that is not all of kept channels is everybody's own.
    let [room, made] = [room, made].map(|channels| channels / job.tile.precision.per_word());
    let kept = room.min(words);
    let found = made.min(kept);
    for index in cut.units_of(part) {
        let unit = Unit::new(job, cut, index);
        let shared = Transformed {
            at: at.wrapping_add(index * cut.transformed_len(room)),
            frequency_step: cut.frequency_step(room),
        };
        // SAFETY: the caller's promise; what is kept lies unit by unit, units write disjoint pixels of y.
        unsafe {
            for chunk in chunks(0..found, KEPT_CHUNK) {
                let input = shared.without(chunk.start * cut.lane_step);
                unit.multiply(job, chunk, input, None, buffers.sums);
            }
            for (left, keep) in [(found..kept, true), (kept..words, false)] {
                for chunk in chunks(left, cut.chunk) {
                    (job.tile.transform_input)(&unit, chunk.clone(), own, &mut buffers);
                    let keep = keep.then(|| shared.without(chunk.start * cut.lane_step));
                    unit.multiply(job, chunk, own, keep, buffers.sums);
                }
            }
            (job.tile.transform_output)(&unit, &mut buffers);
        }
    }
    simd::settle();
}

/// Nearly equal chunks of at most so many words.
fn chunks(words: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = words.len().div_ceil(most);
    (0..count).map(move |k| {
        let chunk = band(words.len(), count, k);
        words.start + chunk.start..words.start + chunk.end
    })
}
