//! swath streams satellite scenes through neural networks.
//!
//! The crate is built in floors; a module may use those listed before it, never those after:
//! `error tensor util memory kernel ops graph passes plan` (what is computed, and where it lies),
//! `reference cpu cuda` (devices that run plans), `weights models` (names and networks),
//! `tile detect raster` (geometry, boxes and pixels), `dataset` (labelled examples in files), `demo` (a procedural
//! series, above tiles and rasters only), `metrics` (scores of numbers), then `engine`, `pipeline`, `evaluation` and
//! `cli`, which compose them.
//! `docs/architecture.md` is the floor plan.

pub mod cli;
pub mod cpu;
pub mod cuda;
pub mod dataset;
pub mod demo;
pub mod detect;
pub mod engine;
pub mod error;
pub mod evaluation;
pub mod graph;
pub mod kernel;
pub mod memory;
pub mod metrics;
pub mod models;
pub mod ops;
pub mod passes;
pub mod pipeline;
pub mod plan;
pub mod raster;
pub mod reference;
pub mod tensor;
pub mod tile;
pub mod util;
pub mod weights;

pub use error::{Error, Kind, Result};
