//! Matrix products in tiles on matrix units (`kernels/matrix_tiles.cuh`): which tile a product gets, and weights in
//! the order its lanes read them.

use super::modules::Set;
use crate::kernel::precision::Precision;

/// Implementations of a contract on these tiles, so many ranks `below` the tile's: name, entry, set, precision and tile
/// of each. What they do are the functions `fits`, `blocks`, `workspace`, `packed`, `pack` and `launch_tiles` of who
/// asks.
macro_rules! on_tiles {
    ($contract:literal, $below:literal below:
        $($name:ident $entry:literal $set:ident $precision:ident $tile:ident),*) => {$(
        pub(super) const $name: $crate::cuda::table::Entry = {
            const FORM: Form =
                Form { set: Set::$set, precision: Precision::$precision, tile: Tile::$tile };
            $crate::cuda::table::Entry {
                choose: $crate::kernel::registry::Impl {
                    contract: $contract,
                    entry: $entry,
                    rank: FORM.tile.rank() - $below,
                    fits: |k| fits(k, FORM),
                },
                set: FORM.set,
                blocks: |k| blocks(k, FORM),
                workspace: |k| workspace(k, FORM),
                packed: |k| packed(k, FORM),
                prepare: |k, w| pack(k, w, FORM),
                launch: |k, o| launch_tiles(k, o, $entry, FORM),
            }
        };
    )*};
}
pub(super) use on_tiles;

/// Threads of a block.
pub(super) const THREADS: u32 = 128;
/// Words of a column's terms in a stage, and of each quarter of them, which one lane reads.
const WORDS: usize = 16;
const QUARTER: usize = 4;
/// Channels in one product.
const CHANNELS: usize = 16;

/// Channels, and as many columns, that a block computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tile {
    Small,
    Large,
}

impl Tile {
    pub fn side(self) -> usize {
        match self {
            Self::Small => 64,
            Self::Large => 128,
        }
    }

    /// Rank of its implementations, above those without matrix units.
    pub const fn rank(self) -> u32 {
        10 + self as u32
    }

    /// Blocks of channels.
    fn blocks(self, channels: usize) -> usize {
        channels.div_ceil(self.side())
    }

    /// Blocks of a product of so many channels and columns.
    pub fn grid(self, channels: usize, columns: usize) -> u64 {
        self.blocks(channels) as u64 * columns.div_ceil(self.side()) as u64
    }

    /// Whether none of it lies idle for so many channels where the small one's would not.
    pub fn whole(self, channels: usize) -> bool {
        self == Self::Small || channels.div_ceil(Self::Small.side()).is_multiple_of(2)
    }

    /// What the table is told of a call of so many blocks: the small tile is not made smaller for want of blocks.
    pub fn enough(self, blocks: u64) -> u64 {
        if self == Self::Small {
            u64::MAX
        } else {
            blocks
        }
    }
}

/// What an implementation multiplies, on which GPUs, and how much of it in a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub set: Set,
    pub precision: Precision,
    pub tile: Tile,
}

impl Form {
    /// Words of [`Form::pack`].
    pub fn packed_len(self, channels: usize, terms: usize) -> usize {
        let stages = terms.div_ceil(WORDS * self.precision.per_word());
        self.tile.blocks(channels) * stages * self.tile.side() * WORDS
    }

    /// Weights as (blocks, stages, tiles of channels, words of a tile), zero beyond the last.
    pub fn pack(self, channels: usize, terms: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<u32> {
        let (per_word, side) = (self.precision.per_word(), self.tile.side());
        let inside =
            |channel, term| if channel < channels && term < terms { weight(channel, term) } else { 0.0 };
        let len = self.packed_len(channels, terms);
        let mut words = Vec::with_capacity(len);
        let blocks = self.tile.blocks(channels);
        let stages = len / (blocks * side * WORDS).max(1);
        for (block, stage) in (0..blocks).flat_map(|b| (0..stages).map(move |s| (b, s))) {
            for tile in 0..side / CHANNELS {
                words.extend((0..CHANNELS * WORDS).map(|i| {
                    let (row, word) = self.place(i);
                    let channel = block * side + tile * CHANNELS + row;
                    let term = (stage * WORDS + word) * per_word;
                    self.precision.word([inside(channel, term), inside(channel, term + 1)])
                }));
            }
        }
        words
    }

    /// Channel of a tile, and word of its terms, of the `i`-th of a tile's words in a stage.
    fn place(self, i: usize) -> (usize, usize) {
        let (four, k) = (i / 4, i % 4);
        match self.set {
            // By quarters and channels, four words.
            Set::Sm70 => (four % CHANNELS, four / CHANNELS * QUARTER + k),
            // By halves of a quarter and lanes, two words of two channels.
            _ => {
                let (half, lane) = (four / 32, four % 32);
                (lane / 4 + k % 2 * 8, lane % 4 * QUARTER + 2 * half + k / 2)
            }
        }
    }
}
