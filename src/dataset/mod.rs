//! Datasets in the reference's folder format: `<task>/<example>/images/<date>/<channel>.png` with labels in
//! `gt.png`, `gt.json` or `gt.txt` beside, and its benchmark's `vector.json`. Knows tasks and pixels, nothing of
//! tensors or devices. Everything read is bounded, and names the file it finds wrong.

mod config;
mod examples;
mod images;
mod json;
mod labels;
mod planes;
mod ring;
mod transform;
mod vector;

pub use config::{DatasetConfig, Splits, TaskConfig};
pub use examples::{read_split, Dataset, Example, Split};
pub use images::{read_images, Images};
pub use labels::{read_label, Boxed, Label};
pub use planes::Planes;
pub use ring::fill;
pub use transform::{
    brighten, crop, mix_channels, pad, resize, roughen, triangle, Crop, PadMode, Sample, Transform,
};
pub use vector::{read_vector, Feature, Geometry, Vector};
