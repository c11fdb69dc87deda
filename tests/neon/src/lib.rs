//! The CPU kernels' sources, compiled alone: see `Cargo.toml`.

pub mod cpu;
#[path = "../../../src/error.rs"]
pub mod error;
pub mod kernel;
pub mod plan;

pub use error::{Error, Result};
