//! From the files people have to a time series on one grid: products, folders of bands, stacked and single
//! images; several dates, with different grids, resolutions and coordinate systems.
//!
//! `discover` says which files are one date, `bands` which file holds a band, `date` where files lie and how
//! their numbers are read, `align` which grid all come to; `layer` reads a window of one file on that grid.

mod align;
mod bands;
mod date;
mod describe;
mod discover;
mod grid;
mod layer;
mod options;
mod radiometry;
mod series;

pub use describe::{describe, BandReport, DateReport, FileReport, ProductReport, SceneReport};
pub use grid::{crop, MercatorGrid, Window, MERCATOR_EDGE, Z17_PIXEL};
pub use options::{Extent, NodataChoice, OffsetChoice, SeriesOptions, Target};
pub use series::Series;
