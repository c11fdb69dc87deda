//! Convolution by a 3x3 kernel with stride 1 after Winograd: F(4x4, 3x3) of Lavin and Gray, "Fast
//! algorithms for convolutional neural networks" (2015), with the points 0, ±1, ±2 and infinity.
//!
//! y is computed in blocks of 4x4 pixels. The 6x6 pixels of x that a block needs become 36 numbers
//! per input channel (`Bt d B`), which are multiplied with 36 numbers per filter (`G g Gt`, made at
//! load) and summed over the channels, frequency by frequency; each block's 36 sums become its 16
//! pixels (`At m A`). That takes a quarter of the direct algorithm's multiplications, and costs
//! about a digit of accuracy.
//!
//! A unit of work is a rectangle of blocks small enough for the second-level cache. A pixel's sum is
//! one chain in the order of the channels, so it does not depend on the number of threads, on the
//! batch or on the unit; blocks start at multiples of [`BLOCK_PIXELS`] from the first pixel of y, so an image
//! cut there computes the same bits.

use std::ops::Range;

use super::blocking::{band, evenly, odd_lines, LINE};
use super::gather::{gather, prefetch, Window};
use super::store::Channel;
use super::tile::{Tile, TileJob, MAX_VECTORS};
use super::{Job, Operands, Spread};
use crate::cpu::simd::Lanes;
use crate::kernel::conv::{Conv2dParams, BLOCK_PIXELS};

/// Pixels a block's rows and columns of x have.
const IN: usize = BLOCK_PIXELS + 2;
/// Numbers a block becomes.
const FREQUENCIES: usize = IN * IN;
/// Input channels multiplied between two visits of the sums.
const CHUNK: usize = 64;
/// Output channels of a unit.
const MAX_OUT: usize = 128;
/// Bytes of a unit's transformed input and sums: stay in the second-level cache.
const L2_BYTES: usize = 640 << 10;
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

/// Elements of packed weights.
pub(super) fn packed_len(tile: &Tile, params: &Conv2dParams) -> usize {
    FREQUENCIES * params.c_in as usize * (params.c_out as usize).next_multiple_of(tile.rows)
}

/// Weights as frequency, block of output channels, input channel, channel of the block.
pub(super) fn pack(tile: &Tile, params: &Conv2dParams, weights: &[f32]) -> Vec<f32> {
    let c_in = params.c_in as usize;
    let mut packed = vec![0.0; packed_len(tile, params)];
    let per_frequency = packed.len() / FREQUENCIES;
    for (o, filters) in weights.chunks_exact(9 * c_in).enumerate() {
        for (i, filter) in filters.chunks_exact(9).enumerate() {
            let at = (o / tile.rows * c_in + i) * tile.rows + o % tile.rows;
            for (f, value) in transformed_filter(filter).into_iter().enumerate() {
                packed[f * per_frequency + at] = value;
            }
        }
    }
    packed
}

/// `G g Gt` of one 3x3 filter, rounded once.
fn transformed_filter(filter: &[f32]) -> [f32; FREQUENCIES] {
    const G: [[f64; 3]; IN] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    std::array::from_fn(|f| {
        let (row, column) = (G[f / IN], G[f % IN]);
        let sum: f64 =
            filter.iter().enumerate().map(|(k, &g)| row[k / 3] * f64::from(g) * column[k % 3]).sum();
        sum as f32
    })
}

/// How one convolution is cut into units, and the sizes of a part's buffers.
#[derive(Debug)]
pub(super) struct Cut {
    /// Input channels of a chunk.
    chunk: usize,
    /// Blocks of y, down and across.
    blocks: [usize; 2],
    /// Bands of blocks, down and across.
    bands: [usize; 2],
    co_blocks: usize,
    splits: usize,
    units: usize,
    parts: usize,
    tile_rows: usize,
    /// Distance of a gathered or stored row of pixels.
    row_step: usize,
    /// Distance of a channel's blocks of one frequency.
    lane_step: usize,
    /// Distance of the frequencies of the transformed input and of the sums.
    frequency_steps: [usize; 2],
    /// Elements of the rows of pixels, of the transformed rows, the transformed input and the sums.
    lens: [usize; 4],
}

impl Cut {
    pub fn new(params: &Conv2dParams, tile: &Tile, threads: usize) -> Self {
        let threads = threads.max(1);
        let blocks = [params.h_out, params.w_out].map(|extent| (extent as usize).div_ceil(BLOCK_PIXELS));
        let co_blocks = (params.c_out as usize).div_ceil(tile.rows);
        let splits = (co_blocks * tile.rows).div_ceil(MAX_OUT);
        let out = co_blocks.div_ceil(splits) * tile.rows;
        let chunk = evenly(params.c_in as usize, CHUNK);
        let most = MAX_VECTORS * tile.lanes;
        let fits = L2_BYTES / (4 * FREQUENCIES * (chunk + out)) / tile.lanes * tile.lanes;
        let target = fits.clamp(tile.lanes, most);
        let columns = evenly(blocks[1], target);
        let rows = evenly(blocks[0], (target / columns).max(1));
        let mut bands = [blocks[0].div_ceil(rows), blocks[1].div_ceil(columns)];
        let others = params.batch as usize * bands[1] * splits;
        while !(others * bands[0]).is_multiple_of(threads)
            && others * bands[0] < 8 * threads
            && bands[0] < blocks[0]
        {
            bands[0] += 1;
        }
        let (rows, columns) = (blocks[0].div_ceil(bands[0]), blocks[1].div_ceil(bands[1]));
        let units = others * bands[0];
        let row_step = odd_lines(BLOCK_PIXELS * columns.next_multiple_of(tile.lanes) + LINE);
        let lane_step = (rows * columns).next_multiple_of(tile.lanes) + tile.lanes;
        let frequency_steps = [chunk, out].map(|channels| odd_lines(channels * lane_step));
        let lens = [
            (BLOCK_PIXELS * rows + 2) * row_step,
            IN * row_step,
            FREQUENCIES * frequency_steps[0],
            FREQUENCIES * frequency_steps[1],
        ];
        Self {
            chunk,
            blocks,
            bands,
            co_blocks,
            splits,
            units,
            parts: threads.min(units),
            tile_rows: tile.rows,
            row_step,
            lane_step,
            frequency_steps,
            lens,
        }
    }

    /// Elements of a part's buffers.
    fn part_len(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Elements of scratch: the parts' buffers, and room to start at a cache line.
    pub fn scratch_len(&self) -> usize {
        LINE + self.parts * self.part_len()
    }

    /// Parts of the partition, and the buffers' elements of each.
    pub fn parts(&self) -> (usize, usize) {
        (self.parts, self.part_len())
    }

    fn units_of(&self, part: usize) -> Range<usize> {
        self.units * part / self.parts..self.units * (part + 1) / self.parts
    }
}

/// One unit of work: a rectangle of blocks and some output channels of one image.
pub(super) struct Unit<'a> {
    params: &'a Conv2dParams,
    operands: &'a Operands<'a>,
    spread: Spread,
    cut: &'a Cut,
    image: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    co_blocks: Range<usize>,
}

/// What a part works in; lengths are those of [`Cut`].
pub(super) struct Buffers<'a> {
    pixels: &'a mut [f32],
    rows: &'a mut [f32],
    input: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<'a> Buffers<'a> {
    fn new(cut: &Cut, buffer: &'a mut [f32]) -> Self {
        let (pixels, rest) = buffer.split_at_mut(cut.lens[0]);
        let (rows, rest) = rest.split_at_mut(cut.lens[1]);
        let (input, sums) = rest.split_at_mut(cut.lens[2]);
        Self { pixels, rows, input, sums }
    }
}

impl<'a> Unit<'a> {
    fn new(job: &Job<'a>, cut: &'a Cut, unit: usize) -> Self {
        let (unit, split) = (unit / cut.splits, unit % cut.splits);
        let (unit, column) = (unit / cut.bands[1], unit % cut.bands[1]);
        let (image, row) = (unit / cut.bands[0], unit % cut.bands[0]);
        Self {
            params: job.params,
            operands: job.operands,
            spread: job.spread,
            cut,
            image,
            rows: band(cut.blocks[0], cut.bands[0], row),
            columns: band(cut.blocks[1], cut.bands[1], column),
            co_blocks: band(cut.co_blocks, cut.splits, split),
        }
    }

    fn window(&self) -> Window {
        let start =
            |axis: usize, block: usize| (block * BLOCK_PIXELS) as isize - self.params.pad[axis] as isize;
        Window {
            image: self.image,
            first_row: start(0, self.rows.start),
            rows: BLOCK_PIXELS * self.rows.len() + 2,
            first_column: start(1, self.columns.start),
            phase_width: BLOCK_PIXELS * self.columns.len() + 2,
            row_step: self.cut.row_step,
            channel_step: 0,
        }
    }

    /// Adds a chunk of transformed input channels to the sums of all frequencies.
    ///
    /// # Safety
    /// The tile's instruction set is available.
    unsafe fn multiply(&self, tile: &Tile, weights: &[f32], chunk: Range<usize>, buffers: &mut Buffers) {
        let cut = self.cut;
        let c_in = self.params.c_in as usize;
        let vectors = (self.rows.len() * self.columns.len()).div_ceil(tile.lanes);
        let mut bases = [0; MAX_VECTORS];
        for f in 0..FREQUENCIES {
            let mut vector = 0;
            while vector < vectors {
                let width = tile.group(vectors - vector);
                for (k, base) in bases.iter_mut().enumerate() {
                    *base = (vector + k.min(width - 1)) * tile.lanes;
                }
                for (slot, co_block) in self.co_blocks.clone().enumerate() {
                    let w = ((f * cut.co_blocks + co_block) * c_in + chunk.start) * tile.rows;
                    let sum =
                        f * cut.frequency_steps[1] + slot * tile.rows * cut.lane_step + vector * tile.lanes;
                    let job = TileJob {
                        x: buffers.input[f * cut.frequency_steps[0]..].as_ptr(),
                        x_stride: cut.lane_step,
                        channels: chunk.len(),
                        taps: &[0],
                        w: weights[w..].as_ptr(),
                        sums: buffers.sums[sum..].as_mut_ptr(),
                        sum_stride: cut.lane_step,
                        first: chunk.start == 0,
                    };
                    // SAFETY: the caller's promise; strides stay inside the buffers.
                    unsafe { (tile.accumulate[width - 1])(&job, &bases) };
                }
                vector += width;
            }
        }
    }
}

/// Computes the units of one part.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; `buffer` has the cut's elements for one part.
pub(super) unsafe fn run_part(job: &Job, cut: &Cut, part: usize, buffer: &mut [f32]) {
    let mut buffers = Buffers::new(cut, buffer);
    let c_in = job.params.c_in as usize;
    for unit in cut.units_of(part) {
        let unit = Unit::new(job, cut, unit);
        for from in (0..c_in).step_by(cut.chunk) {
            let chunk = from..c_in.min(from + cut.chunk);
            // SAFETY: the caller's promise.
            unsafe {
                (job.tile.transform_input)(&unit, chunk.clone(), &mut buffers);
                unit.multiply(job.tile, job.weights, chunk, &mut buffers);
            }
        }
        // SAFETY: the caller's promise; units write disjoint pixels of y.
        unsafe { (job.tile.transform_output)(&unit, &mut buffers) };
    }
}

/// `Bt d B` of a chunk of input channels for all blocks of a unit. Inlined into one copy per
/// instruction set.
///
/// # Safety
/// The conditions of [`run_part`]; the instruction set of `L` is available.
#[inline(always)]
pub(super) unsafe fn transform_input<L: Lanes>(unit: &Unit, channels: Range<usize>, buffers: &mut Buffers) {
    let (cut, window) = (unit.cut, unit.window());
    let step = cut.row_step;
    for (slot, channel) in channels.enumerate() {
        // SAFETY: the caller's promise; the window's rows and vectors lie inside the buffers.
        unsafe {
            gather(unit.params, &window, channel..channel + 1, unit.operands.x, buffers.pixels);
            if channel + 1 < unit.params.c_in as usize {
                prefetch::<L>(unit.params, &window, channel + 1, unit.operands.x);
            }
            for row in 0..unit.rows.len() {
                let pixels = buffers.pixels[row * BLOCK_PIXELS * step..].as_ptr();
                let rows = buffers.rows.as_mut_ptr();
                for x in (0..window.phase_width).step_by(L::N) {
                    let d: [L; IN] = std::array::from_fn(|r| L::load(pixels.add(r * step + x)));
                    for (i, v) in input_transform(d).into_iter().enumerate() {
                        v.store(rows.add(i * step + x));
                    }
                }
                let to = buffers.input[slot * cut.lane_step + row * unit.columns.len()..].as_mut_ptr();
                for i in 0..IN {
                    for column in (0..unit.columns.len()).step_by(L::N) {
                        let from = rows.add(i * step + BLOCK_PIXELS * column);
                        let [d0, d1, d2, d3] = L::load_by_four(from);
                        let [d4, d5, _, _] = L::load_by_four(from.add(4));
                        for (j, v) in input_transform([d0, d1, d2, d3, d4, d5]).into_iter().enumerate() {
                            v.store(to.add((i * IN + j) * cut.frequency_steps[0] + column));
                        }
                    }
                }
            }
        }
    }
}

/// `At m A` of the finished sums, and the epilogue. Inlined into one copy per instruction set.
///
/// # Safety
/// The conditions of [`run_part`]; the instruction set of `L` is available.
#[inline(always)]
pub(super) unsafe fn transform_output<L: Lanes>(unit: &Unit, buffers: &mut Buffers) {
    let (cut, params) = (unit.cut, unit.params);
    let step = cut.row_step;
    let first = unit.co_blocks.start * cut.tile_rows;
    let last = (unit.co_blocks.end * cut.tile_rows).min(params.c_out as usize);
    let start = [unit.rows.start, unit.columns.start].map(|block| block * BLOCK_PIXELS);
    let height = (params.h_out as usize - start[0]).min(unit.rows.len() * BLOCK_PIXELS);
    let width = (params.w_out as usize - start[1]).min(unit.columns.len() * BLOCK_PIXELS);
    for (slot, channel) in (first..last).enumerate() {
        for row in 0..unit.rows.len() {
            let at = slot * cut.lane_step + row * unit.columns.len();
            let sums = buffers.sums[at..].as_ptr();
            let pixels = buffers.pixels[row * BLOCK_PIXELS * step..].as_mut_ptr();
            for column in (0..unit.columns.len()).step_by(L::N) {
                // SAFETY: the caller's promise; the vectors lie inside the buffers.
                unsafe {
                    let mut t = [[L::splat(0.0); IN]; BLOCK_PIXELS];
                    for j in 0..IN {
                        let m = std::array::from_fn(|i| {
                            L::load(sums.add((i * IN + j) * cut.frequency_steps[1] + column))
                        });
                        for (r, v) in output_transform(m).into_iter().enumerate() {
                            t[r][j] = v;
                        }
                    }
                    for (r, t) in t.into_iter().enumerate() {
                        let to = pixels.add(r * step + BLOCK_PIXELS * column);
                        L::store_by_four(output_transform(t), to);
                    }
                }
            }
        }
        let output = Channel::new(params, unit.operands, unit.spread, unit.image, channel);
        for row in 0..height {
            let pixels = &buffers.pixels[row * step..][..width];
            // SAFETY: the caller's promise.
            unsafe { output.store(pixels, start[0] + row, start[1]) };
        }
    }
}

/// `Bt d` of six values.
///
/// # Safety
/// The instruction set is available.
#[inline(always)]
unsafe fn input_transform<L: Lanes>(d: [L; IN]) -> [L; IN] {
    // SAFETY: the caller's promise.
    unsafe {
        let (two, four, five) = (L::splat(2.0), L::splat(4.0), L::splat(-5.0));
        let (minus_two, minus_four) = (L::splat(-2.0), L::splat(-4.0));
        let even = d[2].fma(minus_four, d[4]);
        let odd = d[1].fma(minus_four, d[3]);
        let (a, b) = (d[4].sub(d[2]), d[3].sub(d[1]));
        [
            d[0].fma(four, d[2].fma(five, d[4])),
            even.add(odd),
            even.sub(odd),
            b.fma(two, a),
            b.fma(minus_two, a),
            d[1].fma(four, d[3].fma(five, d[5])),
        ]
    }
}

/// `At m` of six values.
///
/// # Safety
/// The instruction set is available.
#[inline(always)]
unsafe fn output_transform<L: Lanes>(m: [L; IN]) -> [L; BLOCK_PIXELS] {
    // SAFETY: the caller's promise.
    unsafe {
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum2, difference2) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(sum).add(sum2),
            difference2.fma(L::splat(2.0), difference),
            sum2.fma(L::splat(4.0), sum),
            difference2.fma(L::splat(8.0), difference).add(m[5]),
        ]
    }
}
