//! From a checkpoint's tensors to the names a network asks for.

mod checkpoint;
mod names;
mod rename;
mod report;

pub use checkpoint::{Weights, LEVELS};
pub use names::Names;
pub use rename::{rename, shared_prefix, Rename};
pub use report::WeightReport;
