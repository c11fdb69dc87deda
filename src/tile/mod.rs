//! Geometry of tiles: rectangles, grids, seams. Knows nothing of files or networks.

mod rect;

pub use rect::Rect;
