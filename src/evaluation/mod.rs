//! Evaluation: how well predictions agree with labels, of a network that is run on a dataset, and of files that
//! someone predicted. Puts datasets, networks and metrics together; what a score is, `metrics` says.

mod benchmark;
mod files;
mod mask;
mod output;
mod picture;
mod report;
mod run;
mod scorer;

pub use benchmark::{benchmark, Benchmark, Modality, MODALITIES};
pub use files::Files;
pub use mask::polygons;
pub use output::{box_list, bytes, class_bits, class_map, decode_bits, encode_bits, surest, Output};
pub use picture::Canvas;
pub use report::{CategoryScores, Report, TaskScores};
pub use run::{Evaluation, Thresholds};
pub use scorer::Scorer;
