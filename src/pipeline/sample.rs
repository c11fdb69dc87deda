//! Tiles from all over a scene, as a network takes them.

use super::input::Input;
use super::reader::{Reader, Slot};
use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::raster::FrameSource;
use crate::tensor::{DType, Shape};
use crate::tile::{Rect, Tile};
use crate::util::npy::Array;

/// Places tried for each tile wanted, where the scene has gaps.
const TRIES: usize = 8;
/// Steps of a sequence that fills the plane evenly: powers of the inverse plastic number (Roberts 2018).
const STEPS: [f64; 2] = [0.754_877_666_246_693, 0.569_840_290_998_053];

/// Up to `count` tiles of about `side` pixels with data in at least half of them, each a network's input.
///
/// # Errors
/// What reading says; `Usage` when no tile has data.
pub fn sample(
    input: &Input,
    model: &LoadedModel,
    side: usize,
    count: usize,
    (seed, threads): (u64, usize),
) -> Result<Vec<Array>> {
    let (grid, spec) = (input.series.grid(), model.network().input());
    let (width, height, multiple) = (grid.width, grid.height, spec.multiple.max(1));
    let side = side.min(width).min(height).max(spec.min_side).max(multiple) / multiple * multiple;
    let mut reader = Reader::new(&input.series, &input.layout, side * side, seed, threads);
    let mut slot = Slot::new(&input.layout, side * side, DType::F32);
    let shape = Shape::new(&spec.dims(1, input.layout.frames, side, side))?;
    let mut tiles = Vec::new();
    for at in 0..count.saturating_mul(TRIES) {
        let place = |extent: usize, step: f64| {
            let free = extent.saturating_sub(side);
            ((free as f64 * (0.5 + at as f64 * step).fract()) as usize / spec.step.max(1) * spec.step.max(1))
                as i64
        };
        let rect = Rect::at(place(width, STEPS[0]), place(height, STEPS[1]), side, side);
        slot.tile = Tile { column: at, row: 0, input: rect, active: rect };
        reader.fill(&mut slot)?;
        let full = slot.mask.iter().filter(|m| **m != 0).count();
        if slot.any && full * 2 >= slot.mask.len() {
            tiles.push(Array { shape, data: bytemuck::cast_slice(slot.input()).to_vec() });
        }
        if tiles.len() == count {
            break;
        }
    }
    match tiles.is_empty() {
        true => Err(Error::usage("no part of the scene has data enough for a tile")),
        false => Ok(tiles),
    }
}
