//! Sizes of a convolution's blocks, chunks and buffers, and their partition over threads.

use std::ops::Range;

use super::gather::Window;
use super::tile::Tile;
use super::Job;
use crate::kernel::conv::Conv2dParams;

/// Floats of a cache line; buffers and strides are multiples of it.
pub(super) const LINE: usize = 16;
/// Most bytes of a part's buffers: they stay in a second-level cache of 1 MiB or more, as servers' cores have.
const L2_BYTES: usize = 640 << 10;
/// Most bytes of them where a block has more rows than fill a register tile: what the next block reads has room
/// beside them.
const BESIDE_NEXT_BYTES: usize = 320 << 10;
/// Words of input channels that are not divided further.
const LEAST_CHUNK: usize = 8;
/// Widest block; wider outputs are cut.
const MAX_COLUMNS: usize = 256;

/// How one convolution is cut.
#[derive(Debug)]
pub(super) struct Blocking {
    /// Words of the input channels of a group.
    pub c_in: usize,
    /// Blocks of output channels of a group.
    pub co_blocks: usize,
    /// Words of input channels gathered at a time: all of them, or what leaves room for sums.
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

/// The pixel vectors of a block: where they start in a gathered channel, and which pixels they hold.
pub(super) struct Vectors {
    pub count: usize,
    lanes: usize,
    per_row: usize,
    row_step: usize,
    /// Rows of pixels and pixels of a row; rows that follow each other in y are one.
    pixels: [usize; 2],
    /// Lanes from a row of pixels to the next.
    row_stride: usize,
}

/// What a block reads of x: the same lines of each channel.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    x: *const f32,
    rows: usize,
    row_step: usize,
    /// Lines of a row.
    lines: usize,
    plane: usize,
    per_word: usize,
    /// Distance of the channels of one place in a word.
    pub step: usize,
}

impl Ahead {
    /// A line of a word's channels to be asked for when so many tiles are left; none before all are left.
    pub fn line(&self, left: usize) -> Option<*const f32> {
        let (at, line) = (left / self.lines.max(1), left % self.lines.max(1));
        let (channel, row) = (at / self.rows.max(1), at % self.rows.max(1));
        let place = channel * self.plane + row * self.row_step + line * LINE;
        (channel < self.per_word).then(|| self.x.wrapping_add(place))
    }
}

/// Pixels of one row that follow each other in the lanes of some vectors.
pub(super) struct Run {
    /// Lane of the first.
    pub at: usize,
    pub row: usize,
    pub column: usize,
    pub len: usize,
}

impl Vectors {
    pub fn base(&self, vector: usize) -> usize {
        vector / self.per_row * self.row_step + vector % self.per_row * self.lanes
    }

    /// The pixels that some vectors hold.
    pub fn runs(&self, vectors: &Range<usize>) -> impl Iterator<Item = Run> + '_ {
        let [rows, columns] = self.pixels;
        let (start, stride) = (vectors.start * self.lanes, self.row_stride);
        let end = (vectors.end * self.lanes).min(rows * stride);
        let crossed = if rows == 1 { 0..1 } else { start / stride..end.div_ceil(stride) };
        crossed.filter_map(move |row| {
            let from = start.max(row * stride);
            let to = end.min(row * stride + columns);
            (from < to).then(|| Run { at: from - start, row, column: from - row * stride, len: to - from })
        })
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
        let mut blocking = Self {
            c_in,
            co_blocks,
            chunk: c_in,
            phases,
            phase_width,
            x_stride: 0,
            sum_stride: 0,
            x_len: 0,
            part_len: 0,
            parts: 1,
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
        blocking.choose_chunk(params, tile, band_columns);
        blocking.choose_rows(params, tile, threads.max(1), band_columns);
        blocking
    }

    /// As many channels at a time as leave room for rows that fill a register tile.
    fn choose_chunk(&mut self, params: &Conv2dParams, tile: &Tile, columns: usize) {
        let rows = self.filling(tile, columns).min(params.h_out as usize);
        let mut chunks = 1;
        while self.chunk > LEAST_CHUNK && self.bytes(rows, columns, tile) > L2_BYTES {
            chunks += 1;
            self.chunk = self.c_in.div_ceil(chunks);
        }
    }

    /// Rows that fill a register tile.
    fn filling(&self, tile: &Tile, columns: usize) -> usize {
        (tile.vectors * tile.lanes).div_ceil(columns)
    }

    /// Row bands that fit the cache and spread evenly over the threads.
    fn choose_rows(&mut self, params: &Conv2dParams, tile: &Tile, threads: usize, columns: usize) {
        let h_out = params.h_out as usize;
        let others = params.batch as usize * params.groups as usize * self.column_bands;
        let least = if self.taps[0].reach() > 0 { 4 } else { 1 };
        let mut bands = 1;
        let fewest = self.filling(tile, columns);
        let fits = |blocking: &mut Self, rows: usize| {
            let most = if rows > fewest { BESIDE_NEXT_BYTES } else { L2_BYTES };
            blocking.bytes(rows, columns, tile) <= most
        };
        while bands < h_out && !fits(self, h_out.div_ceil(bands)) {
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
        self.size_buffers(h_out.div_ceil(bands), columns, tile);
    }

    fn bytes(&mut self, rows: usize, columns: usize, tile: &Tile) -> usize {
        self.size_buffers(rows, columns, tile);
        self.part_len * 4
    }

    /// Buffer sizes for blocks of at most so many rows and columns.
    fn size_buffers(&mut self, rows: usize, columns: usize, tile: &Tile) {
        let vertical = self.taps[0];
        let gathered = (rows - 1) * vertical.stride + vertical.reach() + 1;
        let by_rows = rows * columns.div_ceil(self.lanes);
        let by_run = ((rows - 1) * self.row_step + columns).div_ceil(self.lanes);
        self.flat = self.phases == 1 && vertical.stride == 1 && by_run < by_rows;
        let vectors = if self.flat { by_run } else { by_rows };
        self.x_stride = odd_lines(gathered * self.row_step + self.lanes);
        self.x_len = (self.chunk + self.joined) * self.x_stride + LINE;
        // Where all channels are gathered at once, a tile is finished before the next one begins.
        let (vectors, co_blocks) = match self.chunk == self.c_in {
            true => (tile.vectors, 1),
            false => (vectors, self.co_blocks.div_ceil(self.splits)),
        };
        self.sum_stride = odd_lines(vectors * self.lanes);
        self.part_len = self.x_len + co_blocks * tile.rows * self.sum_stride;
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

    /// What the unit after this one reads, if it is of the same part and reads whole rows.
    pub fn ahead(&self, job: &Job, unit: usize, part: usize) -> Option<Ahead> {
        let params = job.params;
        if unit + 1 >= self.units_of(part).end || self.column_bands * self.splits > 1 || params.upsample != 1
        {
            return None;
        }
        let block = self.block(params, unit + 1);
        let window = self.window(params, &block);
        let inside = |row: isize| row.clamp(0, params.h_in as isize) as usize;
        let (from, to) = (inside(window.first_row), inside(window.first_row + window.rows as isize));
        let (plane, width) = (params.x_plane(), params.w_in as usize);
        let first = block.group * (params.c_in / params.groups) as usize;
        let start = block.image * params.x_batch_stride as usize + first * plane + from * width;
        let per_word = job.tile.precision.per_word();
        // Rows between those of a sparse kernel are left out.
        let sparse = if self.taps[0].count == 1 { self.taps[0].stride } else { 1 };
        Some(Ahead {
            x: job.operands.x.wrapping_add(start),
            rows: (to - from).div_ceil(sparse),
            row_step: sparse * width,
            lines: width.div_ceil(LINE),
            plane,
            per_word,
            step: per_word * plane,
        })
    }

    /// The pixel vectors of a block: row by row, or one run over all rows where that takes fewer. `y_row` is the
    /// distance of y's rows.
    pub fn vectors(&self, block: &Block, y_row: usize) -> Vectors {
        let (rows, columns) = (block.rows.len(), block.columns.len());
        let step = self.taps[0].stride * self.row_step;
        let (count, per_row, row_stride) = if self.flat {
            let count = ((rows - 1) * self.row_step + columns).div_ceil(self.lanes);
            (count, count, step)
        } else {
            let per_row = columns.div_ceil(self.lanes);
            (rows * per_row, per_row, per_row * self.lanes)
        };
        let (pixels, row_stride) = match row_stride == columns && columns == y_row {
            true => ([1, rows * columns], rows * columns),
            false => ([rows, columns], row_stride),
        };
        Vectors { count, lanes: self.lanes, per_row, row_step: step, pixels, row_stride }
    }
}

/// The `index`-th of `count` nearly equal bands of `extent`; the longer ones lie among the others, so that equal
/// numbers of neighbours are nearly equal too.
pub(super) fn band(extent: usize, count: usize, index: usize) -> Range<usize> {
    extent * index / count..extent * (index + 1) / count
}

/// The largest share when `total` is cut evenly into pieces of at most about `most`.
pub(super) fn evenly(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most).max(1))
}

/// Rounded up to an odd number of cache lines, so that neighbours differ in their cache sets.
pub(in crate::cpu) fn odd_lines(length: usize) -> usize {
    (length.div_ceil(LINE) | 1) * LINE
}
