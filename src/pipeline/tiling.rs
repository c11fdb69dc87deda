//! How a job is cut: sides of tiles to try, what neighbours share, strips, batches.

use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::models::Overlap;
use crate::raster::Grid;
use crate::tile::{Blend, TileGrid, TileSpec};

/// Side of an output block, pixels.
pub(super) const BLOCK: usize = 512;
/// Tile sides tried, largest first, unless one is asked for.
const TILES: [usize; 13] = [512, 448, 384, 320, 256, 224, 192, 160, 128, 96, 64, 48, 32];
/// Widest strip, input pixels.
const STRIP: usize = 2048;
/// Input pixels that are worth a run of the network: smaller tiles go in batches.
const BATCH_AREA: usize = 128 * 128;
/// Largest batch.
const MAX_BATCH: usize = 16;

/// Pixels shared by neighbouring tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlapChoice {
    /// The family's own.
    Family,
    /// Twice the network's exact halo: tiles cannot be told from the whole image.
    Exact,
    /// This many.
    Pixels(usize),
}

impl OverlapChoice {
    /// Pixels that neighbours share.
    ///
    /// # Errors
    /// `Usage` where no overlap is exact.
    pub(super) fn pixels(self, model: &LoadedModel) -> Result<usize> {
        let exact = || match model.halo()? {
            Some(halo) => Ok(2 * halo.radius),
            None => {
                Err(Error::usage("this network sees the whole image, no overlap is exact; give a number"))
            }
        };
        match self {
            Self::Pixels(shared) => Ok(shared),
            Self::Exact => exact(),
            Self::Family => match model.family().overlap {
                Overlap::Exact => exact(),
                Overlap::Pixels(side) => Ok(model.halo()?.map_or(2 * side, |halo| 2 * side.min(halo.radius))),
            },
        }
    }
}

/// Tile sides to try, up to `largest`, and whether in batches: the largest that fits the memory first, or the one
/// asked for.
pub(super) fn sizes(asked: Option<usize>, shared: usize, largest: usize) -> Vec<(usize, bool)> {
    let sides: Vec<usize> = match asked {
        Some(side) => vec![side],
        None => TILES.into_iter().filter(|side| *side > 2 * shared && *side <= largest).collect(),
    };
    let single = sides.last().map(|side| (*side, false));
    sides.into_iter().map(|side| (side, true)).chain(single).collect()
}

/// Tiles of a grid that the network takes at once.
pub(super) fn batch(grid: &TileGrid) -> usize {
    (BATCH_AREA / (grid.x.tile * grid.y.tile).max(1)).clamp(1, MAX_BATCH).min(grid.len())
}

/// The grid of tiles of one side over a series. `blend` is cut hard where tiles are exact.
pub(super) fn tile_grid(
    image: &Grid,
    model: &LoadedModel,
    overlap: OverlapChoice,
    blend: Blend,
    side: usize,
    shared: usize,
) -> Result<TileGrid> {
    let (input, output) = (model.network().input(), model.network().output());
    let spec = TileSpec {
        tile: side.max(input.min_side),
        overlap: shared,
        align: input.step,
        blend: if overlap == OverlapChoice::Exact { Blend::Crop } else { blend },
        scale: output.scale,
        strip: STRIP,
    };
    let grid = TileGrid::new(image.width, image.height, spec)?;
    match whole_blocks(grid.x.spans.get(1).map_or(0, |s| s.origin as usize), output.scale) {
        Some(strip) => TileGrid::new(image.width, image.height, TileSpec { strip, ..spec }),
        None => Ok(grid),
    }
}

/// The widest strip of tiles `step` apart whose output is a whole number of blocks wide: all strips then lie alike
/// over the blocks, and none has one more of them unfinished.
fn whole_blocks(step: usize, scale: usize) -> Option<usize> {
    let tiles = (1..=STRIP / step.max(1)).rev().find(|tiles| (tiles * step * scale).is_multiple_of(BLOCK));
    tiles.filter(|_| step > 0).map(|tiles| tiles * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_whole_blocks_where_tiles_allow() {
        assert_eq!(whole_blocks(224, 4), Some(1792));
        assert_eq!(whole_blocks(128, 4), Some(2048));
        assert_eq!(whole_blocks(225, 1), None);
        assert_eq!(whole_blocks(0, 4), None);
    }

    #[test]
    fn small_tiles_go_in_batches_and_the_smallest_also_alone() {
        assert_eq!(
            sizes(None, 32, 256),
            [256, 224, 192, 160, 128, 96]
                .map(|s| (s, true))
                .into_iter()
                .chain([(96, false)])
                .collect::<Vec<_>>()
        );
        assert_eq!(sizes(Some(40), 32, 256), [(40, true), (40, false)]);
        assert!(sizes(None, 128, 256).is_empty());
        let grid = |side: usize| {
            let spec =
                TileSpec { tile: side, overlap: 0, align: 1, blend: Blend::Crop, scale: 4, strip: STRIP };
            TileGrid::new(1000, 1000, spec).unwrap()
        };
        assert_eq!([256, 128, 96, 64, 32].map(|side| batch(&grid(side))), [1, 1, 1, 4, 16]);
    }
}
