//! How a Winograd convolution is cut into units of work, and the sizes of a part's buffers.

use std::ops::Range;

use super::super::blocking::{band, evenly, odd_lines, LINE};
use super::super::tile::Tile;
use super::{FREQUENCIES, IN};
use crate::kernel::conv::{Conv2dParams, PadMode, BLOCK_PIXELS};
use crate::plan::Transform;

/// Input channels that a part transforms between two visits of the sums.
const CHUNK: usize = 64;
/// Output channels of a unit.
const MAX_OUT: usize = 128;
/// Most blocks of a unit.
const MOST_BLOCKS: usize = 48;
/// Bytes of a unit's transformed input and sums: stay in the second-level cache.
const L2_BYTES: usize = 640 << 10;

/// Units are rectangles of blocks of y, split by output channels where there are many.
#[derive(Debug)]
pub(in crate::cpu::conv) struct Cut {
    /// Words of input channels transformed into a part's buffers at a time.
    pub chunk: usize,
    /// Channels of a word.
    per_word: usize,
    /// Blocks of output channels.
    pub co_blocks: usize,
    /// Output channels of a block.
    pub tile_rows: usize,
    /// Distance of a gathered or stored row of pixels.
    pub row_step: usize,
    /// Distance of a channel's blocks of one frequency.
    pub lane_step: usize,
    /// Frequencies that are zero, down and across.
    pub zero: [[bool; IN]; 2],
    /// Elements of the rows of pixels, of the transformed rows, the transformed input and the sums.
    pub lens: [usize; 4],
    /// Elements that vectors may reach beyond the last channel of a frequency.
    reach: usize,
    /// Rows of blocks of a unit.
    rows: usize,
    /// Blocks of y, down and across.
    blocks: [usize; 2],
    /// Bands of blocks, down and across.
    bands: [usize; 2],
    /// Pieces of the output channels.
    splits: usize,
    units: usize,
    parts: usize,
}

/// One unit's place.
pub(super) struct Place {
    pub image: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub co_blocks: Range<usize>,
}

impl Cut {
    /// For a pool of so many threads. The rectangles do not depend on the input channels beyond
    /// those of a chunk, so that convolutions that read the same image usually share them.
    pub fn new(params: &Conv2dParams, tile: &Tile, threads: usize) -> Self {
        let threads = threads.max(1);
        let blocks = [params.h_out, params.w_out].map(|extent| (extent as usize).div_ceil(BLOCK_PIXELS));
        let co_blocks = (params.c_out as usize).div_ceil(tile.rows);
        let splits = (co_blocks * tile.rows).div_ceil(MAX_OUT);
        let out = co_blocks.div_ceil(splits) * tile.rows;
        let chunk = tile.words(CHUNK.min(params.c_in as usize));
        let fits = L2_BYTES / (4 * FREQUENCIES * (chunk + out)) / tile.lanes * tile.lanes;
        let target = fits.clamp(tile.lanes, MOST_BLOCKS);
        let columns = evenly(blocks[1], target);
        let rows = evenly(blocks[0], (target / columns).max(1));
        let mut bands = [blocks[0].div_ceil(rows), blocks[1].div_ceil(columns)];
        let others = params.batch as usize * bands[1];
        while !(others * splits * bands[0]).is_multiple_of(threads)
            && others * splits * bands[0] < 8 * threads
            && bands[0] < blocks[0]
        {
            bands[0] += 1;
        }
        let (rows, columns) = (blocks[0].div_ceil(bands[0]), blocks[1].div_ceil(bands[1]));
        let units = others * splits * bands[0];
        let row_step = odd_lines(BLOCK_PIXELS * columns.next_multiple_of(tile.lanes) + LINE);
        let per_word = tile.precision.per_word();
        let mut cut = Self {
            chunk,
            per_word,
            co_blocks,
            tile_rows: tile.rows,
            row_step,
            lane_step: (rows * columns).next_multiple_of(tile.lanes),
            zero: [zero_frequencies(params, 0), zero_frequencies(params, 1)],
            lens: [0, per_word * IN * row_step, 0, 0],
            reach: tile.lanes,
            rows,
            blocks,
            bands,
            splits,
            units,
            parts: threads.min(units),
        };
        cut.lens[0] = per_word * cut.pixel_rows() * row_step;
        (cut.lens[2], cut.lens[3]) = (cut.transformed_len(chunk), cut.transformed_len(out));
        cut
    }

    /// Rows of pixels that a unit of most rows needs of a channel of x.
    pub fn pixel_rows(&self) -> usize {
        BLOCK_PIXELS * self.rows + 2
    }

    /// Distance of the frequencies where so many words, or sums, lie together.
    pub fn frequency_step(&self, words: usize) -> usize {
        words * self.lane_step + self.reach
    }

    /// Elements of so many words, or sums, of a unit, all frequencies.
    pub fn transformed_len(&self, words: usize) -> usize {
        FREQUENCIES * self.frequency_step(words)
    }

    /// What runs make of x's channels, unit by unit; `None` where several units read the same pixels.
    pub fn transform(&self, params: &Conv2dParams) -> Option<Transform> {
        let kind = [
            params.pad[0] as usize,
            params.pad[1] as usize,
            params.pad_mode as usize,
            params.upsample as usize,
            self.blocks[0],
            self.blocks[1],
            self.bands[0],
            self.bands[1],
            self.per_word,
        ];
        let [fixed, one] = [0, 1].map(|words| self.units * self.transformed_len(words));
        let per_channel = (one - fixed).div_ceil(self.per_word);
        (self.splits == 1).then_some(Transform { kind, fixed, per_channel })
    }

    /// Elements of a part's buffers.
    fn part_len(&self) -> usize {
        self.lens.iter().sum::<usize>().next_multiple_of(LINE)
    }

    /// Elements of scratch: the parts' buffers, and room to start at a cache line.
    pub fn scratch_len(&self) -> usize {
        LINE + self.parts * self.part_len()
    }

    /// Parts of the partition, and the buffers' elements of each.
    pub fn parts(&self) -> (usize, usize) {
        (self.parts, self.part_len())
    }

    /// The units a part computes.
    pub fn units_of(&self, part: usize) -> Range<usize> {
        self.units * part / self.parts..self.units * (part + 1) / self.parts
    }

    /// Where a unit lies.
    pub(super) fn place(&self, unit: usize) -> Place {
        let (unit, split) = (unit / self.splits, unit % self.splits);
        let (unit, column) = (unit / self.bands[1], unit % self.bands[1]);
        let (image, row) = (unit / self.bands[0], unit % self.bands[0]);
        Place {
            image,
            rows: band(self.blocks[0], self.bands[0], row),
            columns: band(self.blocks[1], self.bands[1], column),
            co_blocks: band(self.co_blocks, self.splits, split),
        }
    }
}

/// Frequencies along one axis that are zero in every block, because all they do is compare pixels
/// that an enlargement made of one: of a nearest enlargement by two, one in six.
fn zero_frequencies(params: &Conv2dParams, axis: usize) -> [bool; IN] {
    /// `Bt`, whose products `input_transform` computes.
    const BT: [[i32; IN]; IN] = [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ];
    let factor = params.upsample as i32;
    // Blocks begin at the same phase of the enlargement, and so does what lies outside.
    if BLOCK_PIXELS as i32 % factor != 0 || params.pad_mode != PadMode::Zero as u32 {
        return [false; IN];
    }
    let source = |at: usize| (at as i32 - params.pad[axis]).div_euclid(factor);
    BT.map(|row| {
        (0..IN).all(|at| {
            let alike = (0..IN).filter(|&other| source(other) == source(at));
            alike.map(|other| row[other]).sum::<i32>() == 0
        })
    })
}
