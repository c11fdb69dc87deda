//! From the files people have to a time series on one grid.

mod grid;

pub use grid::{crop, MercatorGrid, Window, MERCATOR_EDGE, Z17_PIXEL};
