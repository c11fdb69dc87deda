//! Geometry of tiles: rectangles, grids, seams. Knows nothing of files or networks.

mod axis;
mod grid;
mod rect;

pub use axis::{Axis, Blend, Span};
pub use grid::{Tile, TileGrid, TileSpec};
pub use rect::Rect;
