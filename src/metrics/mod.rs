//! Scores of predictions against labels, by the reference's rules: what counts as a hit, at which threshold,
//! and what is averaged. Numbers only: no files, no networks.

mod assignment;
mod classify;
mod counts;
mod dense;
mod detect;
mod lines;
mod points;
mod polygons;
mod property;

pub use assignment::{assign, most_pairs};
pub use classify::{ClassScore, Classes, Labelled};
pub use counts::{mean, Counts, Curve, Floor, Point, NO_THRESHOLD};
pub use dense::{ClassMaps, LabelMaps, Regression};
pub use detect::{Matching, Object, Objects, Prediction};
pub use lines::line_counts;
pub use points::point_counts;
pub use polygons::{polygon_counts, Polygon, PolygonCounts};
pub use property::{numeric_accuracy, Tally};

/// Which of the reference's habits are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// What the metric is meant to say.
    #[default]
    Meant,
    /// The reference's numbers, habits included.
    Compat,
}
