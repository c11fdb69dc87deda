//! Evaluation: how well predictions agree with labels, of a network that is run on a dataset, and of files that
//! someone predicted. Puts datasets, networks and metrics together; what a score is, `metrics` says.

mod benchmark;
mod report;

pub use benchmark::{benchmark, Benchmark, Modality, MODALITIES};
pub use report::{CategoryScores, Report, TaskScores};
