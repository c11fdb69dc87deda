//! Matrix products in tiles on matrix units (`kernels/matrix_tiles.cuh`): which tile a product gets, and weights in
//! the order its lanes read them.

use crate::kernel::precision::Precision;

/// Implementations of a contract on these tiles, so many ranks `below` the tile's: name, entry, precision and tile of
/// each. What they do are the functions `fits`, `blocks`, `workspace`, `packed`, `pack` and `launch_tiles` of who asks.
macro_rules! on_tiles {
    ($contract:literal, $below:literal below: $($name:ident $entry:literal $precision:ident $tile:ident),*) => {$(
        pub(super) const $name: $crate::cuda::table::Entry = $crate::cuda::table::Entry {
            choose: $crate::kernel::registry::Impl {
                contract: $contract,
                entry: $entry,
                rank: Tile::$tile.rank() - $below,
                fits: |k| fits(k, Tile::$tile),
            },
            set: $crate::cuda::modules::Set::Sm80,
            blocks: |k| blocks(k, Tile::$tile),
            workspace: |k| workspace(k, Precision::$precision),
            packed: |k| packed(k, Tile::$tile, Precision::$precision),
            prepare: |k, w| pack(k, w, Tile::$tile, Precision::$precision),
            launch: |k, o| launch_tiles(k, o, $entry, Tile::$tile),
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

    /// Words of [`Tile::pack`].
    pub fn packed_len(self, channels: usize, terms: usize, precision: Precision) -> usize {
        self.blocks(channels) * terms.div_ceil(WORDS * precision.per_word()) * self.side() * WORDS
    }

    /// Weights as (blocks, stages, tiles of channels, halves of a quarter, lanes, four words), zero beyond the last.
    pub fn pack(
        self,
        channels: usize,
        terms: usize,
        precision: Precision,
        weight: impl Fn(usize, usize) -> f32,
    ) -> Vec<u32> {
        let per_word = precision.per_word();
        let inside =
            |channel, term| if channel < channels && term < terms { weight(channel, term) } else { 0.0 };
        let len = self.packed_len(channels, terms, precision);
        let mut words = Vec::with_capacity(len);
        let tiles = self.side() / CHANNELS;
        let stages = len / (self.blocks(channels) * self.side() * WORDS).max(1);
        for (block, stage) in (0..self.blocks(channels)).flat_map(|b| (0..stages).map(move |s| (b, s))) {
            for (tile, half) in (0..tiles).flat_map(|t| (0..2).map(move |h| (t, h))) {
                for lane in 0..32 {
                    let word = |channel: usize, k: usize| {
                        let channel = block * self.side() + tile * CHANNELS + lane / 4 + channel;
                        let term = (stage * WORDS + lane % 4 * QUARTER + 2 * half + k) * per_word;
                        precision.word([inside(channel, term), inside(channel, term + 1)])
                    };
                    words.extend([word(0, 0), word(8, 0), word(0, 1), word(8, 1)]);
                }
            }
        }
        words
    }
}
