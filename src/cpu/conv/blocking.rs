//! Sizes of a convolution's blocks, chunks and buffers, and their partition over threads.

use std::ops::Range;

use super::gather::Window;
use super::tile::{Tile, MAX_VECTORS};
use crate::kernel::conv::Conv2dParams;

/// Floats of a cache line; buffers and strides are multiples of it.
pub(super) const LINE: usize = 16;
/// Bytes of input a register tile may touch per chunk: stays in the first-level cache.
const L1_BYTES: usize = 12 << 10;
/// Bytes of a part's buffers: stay in the second-level cache.
const L2_BYTES: usize = 400 << 10;
/// Widest block; wider outputs are cut.
const MAX_COLUMNS: usize = 256;

/// How one convolution is cut.
#[derive(Debug)]
pub(super) struct Blocking {
    /// Words of the input channels of a group.
    pub c_in: usize,
    /// Blocks of output channels of a group.
    pub co_blocks: usize,
    /// Words of input channels gathered at a time.
    pub chunk: usize,
    /// Column phases kept apart, so that strided columns are contiguous.
    pub phases: usize,
    /// Columns of one phase of a gathered row.
    pub phase_width: usize,
    /// Distance of a gathered channel.
    pub x_stride: usize,
    /// Distance of the sums of an output channel.
    pub sum_stride: usize,
    /// Elements of the gathered chunk.
    pub x_len: usize,
    /// Elements of a part's buffers.
    pub part_len: usize,
    /// Output channels of a register tile.
    pub tile_rows: usize,
    /// Parts of the partition, at most one per thread.
    pub parts: usize,
    /// Further channels gathered before they are joined to words.
    joined: usize,
    lanes: usize,
    row_step: usize,
    flat: bool,
    row_bands: usize,
    column_bands: usize,
    splits: usize,
    units: usize,
    taps: [TapAxis; 2],
}

/// The taps along one axis.
#[derive(Debug, Clone, Copy)]
struct TapAxis {
    count: usize,
    dilation: usize,
    stride: usize,
}

impl TapAxis {
    fn new(params: &Conv2dParams, axis: usize) -> Self {
        Self {
            count: params.kernel[axis] as usize,
            dilation: params.dilation[axis] as usize,
            stride: params.stride[axis] as usize,
        }
    }

    fn reach(self) -> usize {
        (self.count - 1) * self.dilation
    }
}

/// One unit of work: some rows, columns and output channels of one image and group.
#[derive(Debug)]
pub(super) struct Block {
    pub image: usize,
    pub group: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub co_blocks: Range<usize>,
}

/// Where the pixel vectors of a block start in a gathered channel.
pub(super) struct Vectors {
    pub count: usize,
    /// Sums of the next row of pixels.
    pub row_stride: usize,
    lanes: usize,
    per_row: usize,
    row_step: usize,
}

impl Vectors {
    pub fn base(&self, vector: usize) -> usize {
        vector / self.per_row * self.row_step + vector % self.per_row * self.lanes
    }
}

impl Blocking {
    /// Sizes for so many threads. `params` passed its check.
    pub fn new(params: &Conv2dParams, tile: &Tile, threads: usize) -> Self {
        let taps = [TapAxis::new(params, 0), TapAxis::new(params, 1)];
        let groups = params.groups as usize;
        let c_in = tile.words(params.c_in as usize / groups);
        let co_blocks = (params.c_out as usize / groups).div_ceil(tile.rows);
        let w_out = params.w_out as usize;
        let column_bands = if w_out <= MAX_COLUMNS * 3 / 2 { 1 } else { w_out.div_ceil(MAX_COLUMNS) };
        let band_columns = w_out.div_ceil(column_bands);
        let phases = taps[1].stride.min(taps[1].reach() + 1);
        let phase_width = band_columns + taps[1].reach() / taps[1].stride;
        let per_channel = taps[0].count * taps[1].count.min(phases) * (MAX_VECTORS + 1) * LINE * 4;
        let chunk = evenly(c_in, (L1_BYTES / per_channel).max(8));
        let mut blocking = Self {
            c_in,
            co_blocks,
            chunk,
            phases,
            phase_width,
            x_stride: 0,
            sum_stride: 0,
            x_len: 0,
            part_len: 0,
            parts: 1,
            tile_rows: tile.rows,
            joined: tile.precision.per_word() - 1,
            lanes: tile.lanes,
            row_step: phases * phase_width,
            flat: false,
            row_bands: 1,
            column_bands,
            splits: 1,
            units: 1,
            taps,
        };
        blocking.choose_rows(params, tile, threads.max(1), band_columns);
        blocking
    }

    /// Row bands that fit the cache and spread evenly over the threads.
    fn choose_rows(&mut self, params: &Conv2dParams, tile: &Tile, threads: usize, columns: usize) {
        let h_out = params.h_out as usize;
        let others = params.batch as usize * params.groups as usize * self.column_bands;
        let least = if self.taps[0].reach() > 0 { 4 } else { 1 };
        let mut bands = 1;
        while bands < h_out && self.bytes(h_out.div_ceil(bands), columns, tile.rows) > L2_BYTES {
            bands += 1;
        }
        let mut spread = bands;
        while !(others * spread).is_multiple_of(threads)
            && others * spread < 8 * threads
            && h_out / (spread + 1) >= least
        {
            spread += 1;
        }
        if (others * spread).is_multiple_of(threads) || others * spread >= threads {
            bands = spread;
        }
        self.row_bands = bands;
        self.splits = threads.div_ceil(others * bands).min(self.co_blocks);
        self.units = others * bands * self.splits;
        self.parts = threads.min(self.units);
        self.size_buffers(h_out.div_ceil(bands), columns, tile.rows);
    }

    fn bytes(&mut self, rows: usize, columns: usize, tile_rows: usize) -> usize {
        self.size_buffers(rows, columns, tile_rows);
        self.part_len * 4
    }

    /// Buffer sizes for blocks of at most so many rows and columns.
    fn size_buffers(&mut self, rows: usize, columns: usize, tile_rows: usize) {
        let vertical = self.taps[0];
        let gathered = (rows - 1) * vertical.stride + vertical.reach() + 1;
        let by_rows = rows * columns.div_ceil(self.lanes);
        let by_run = ((rows - 1) * self.row_step + columns).div_ceil(self.lanes);
        self.flat = self.phases == 1 && vertical.stride == 1 && by_run < by_rows;
        let vectors = if self.flat { by_run } else { by_rows };
        self.x_stride = odd_lines(gathered * self.row_step + self.lanes);
        self.sum_stride = odd_lines(vectors * self.lanes);
        self.x_len = (self.chunk + self.joined) * self.x_stride + LINE;
        let channels = self.co_blocks.div_ceil(self.splits) * tile_rows;
        self.part_len = self.x_len + channels * self.sum_stride;
    }

    /// Elements of scratch: taps, the parts' buffers, and room to start at a cache line.
    pub fn scratch_len(&self) -> usize {
        LINE + self.taps_len() + self.parts * self.part_len
    }

    fn taps_len(&self) -> usize {
        (self.taps[0].count * self.taps[1].count).next_multiple_of(LINE)
    }

    /// Cuts scratch into the tap distances, which are filled in, and the parts' buffers.
    pub fn split_scratch<'a>(&self, scratch: &'a mut [f32]) -> (&'a [u32], &'a mut [f32]) {
        let start = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
        let (taps, buffers) = scratch[start..].split_at_mut(self.taps_len());
        let taps: &mut [u32] = bytemuck::cast_slice_mut(taps);
        let [vertical, horizontal] = self.taps;
        let taps = &mut taps[..vertical.count * horizontal.count];
        for (i, tap) in taps.iter_mut().enumerate() {
            let row = i / horizontal.count * vertical.dilation;
            let column = i % horizontal.count * horizontal.dilation;
            let phase = column % horizontal.stride * self.phase_width;
            *tap = (row * self.row_step + phase + column / horizontal.stride) as u32;
        }
        (taps, buffers)
    }

    /// The units a part computes.
    pub fn units_of(&self, part: usize) -> Range<usize> {
        self.units * part / self.parts..self.units * (part + 1) / self.parts
    }

    /// What a unit is.
    pub fn block(&self, params: &Conv2dParams, unit: usize) -> Block {
        let (unit, split) = (unit / self.splits, unit % self.splits);
        let (unit, column) = (unit / self.column_bands, unit % self.column_bands);
        let (unit, row) = (unit / self.row_bands, unit % self.row_bands);
        let groups = params.groups as usize;
        Block {
            image: unit / groups,
            group: unit % groups,
            rows: band(params.h_out as usize, self.row_bands, row),
            columns: band(params.w_out as usize, self.column_bands, column),
            co_blocks: band(self.co_blocks, self.splits, split),
        }
    }

    /// What a block reads.
    pub fn window(&self, params: &Conv2dParams, block: &Block) -> Window {
        let start = |axis: usize, first: usize| {
            (first * params.stride[axis] as usize) as isize - params.pad[axis] as isize
        };
        Window {
            image: block.image,
            first_row: start(0, block.rows.start),
            rows: (block.rows.len() - 1) * self.taps[0].stride + self.taps[0].reach() + 1,
            first_column: start(1, block.columns.start),
            phase_width: self.phase_width,
            row_step: self.row_step,
            channel_step: self.x_stride,
        }
    }

    /// The pixel vectors of a block: row by row, or one run over all rows where that takes fewer.
    pub fn vectors(&self, block: &Block) -> Vectors {
        let (rows, columns) = (block.rows.len(), block.columns.len());
        let step = self.taps[0].stride * self.row_step;
        if self.flat {
            let count = ((rows - 1) * self.row_step + columns).div_ceil(self.lanes);
            return Vectors { count, row_stride: step, lanes: self.lanes, per_row: count, row_step: 0 };
        }
        let per_row = columns.div_ceil(self.lanes);
        let row_stride = per_row * self.lanes;
        Vectors { count: rows * per_row, row_stride, lanes: self.lanes, per_row, row_step: step }
    }
}

/// The `index`-th of `count` nearly equal bands of `extent`; the first ones are the longer.
pub(super) fn band(extent: usize, count: usize, index: usize) -> Range<usize> {
    let (length, longer) = (extent / count, extent % count);
    let start = index * length + index.min(longer);
    start..start + length + usize::from(index < longer)
}

/// The largest share when `total` is cut evenly into pieces of at most about `most`.
pub(super) fn evenly(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most).max(1))
}

/// Rounded up to an odd number of cache lines, so that neighbours differ in their cache sets.
pub(in crate::cpu) fn odd_lines(length: usize) -> usize {
    (length.div_ceil(LINE) | 1) * LINE
}
