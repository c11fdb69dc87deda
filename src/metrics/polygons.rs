//! Hits among polygons: as many pairs as can be made of those that have a tenth of what both cover in common.

use std::f64::consts::PI;

use i_overlay::core::fill_rule::FillRule;
use i_overlay::core::overlay_rule::OverlayRule;
use i_overlay::float::simplify::SimplifyShape;
use i_overlay::float::single::SingleFloatOverlay;
use i_overlay::mesh::float::outline::offset::OutlineOffset;
use i_overlay::mesh::float::style::{LineJoin, OutlineStyle};

use super::assignment::most_pairs;
use super::counts::{mean, Counts};

/// Rings of (x, y), the exterior first.
pub type Polygon = Vec<Vec<[f64; 2]>>;

/// Polygons without overlaps, with outer rings anticlockwise and holes clockwise.
type Shapes = Vec<Vec<Vec<[f64; 2]>>>;

/// Least intersection over union of a hit.
const IOU: f64 = 0.1;
/// Polygons are grown by this before and after they are cut at the tile.
const GROWTH: f64 = 1.0;
/// Angle between the points of a rounded corner: 16 to a quarter circle.
const ARC: f64 = PI / 32.0;

/// Counts of polygons of one tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolygonCounts {
    /// Hits and misses.
    pub counts: Counts,
    /// Mean over labels of the best intersection over union with any prediction, 0 below a tenth, and a 0 for
    /// each false alarm; `None` without polygons.
    pub iou: Option<f64>,
}

/// Counts of labelled and predicted polygons in a tile that reaches from 0 to `side` on both axes.
pub fn polygon_counts(labels: &[Polygon], predictions: &[Polygon], side: f64) -> PolygonCounts {
    let shaped = |polygons: &[Polygon]| -> Vec<Shape> {
        polygons.iter().filter_map(|polygon| Shape::of(polygon, side)).collect()
    };
    let (labels, predictions) = (shaped(labels), shaped(predictions));
    let mut best = Vec::with_capacity(labels.len());
    let mut may = Vec::with_capacity(labels.len());
    for label in &labels {
        let ious = predictions.iter().map(|prediction| label.iou(prediction)).enumerate();
        let hits: Vec<(usize, f64)> = ious.filter(|(_, iou)| *iou >= IOU).collect();
        best.push(hits.iter().map(|(_, iou)| *iou).fold(0.0, f64::max));
        may.push(hits.into_iter().map(|(at, _)| at).collect());
    }
    let counts = Counts::of_pairs(most_pairs(&may, predictions.len()), labels.len(), predictions.len());
    let false_alarms = (0..counts.fp).map(|_| 0.0);
    PolygonCounts { counts, iou: mean(best.into_iter().chain(false_alarms)) }
}

/// A polygon's area as it is compared.
struct Shape {
    shapes: Shapes,
    area: f64,
    bounds: [f64; 4],
}

impl Shape {
    /// Grown, cut at the tile, and grown again; `None` when nothing is left.
    fn of(polygon: &Polygon, side: f64) -> Option<Self> {
        let tile = vec![[0.0, 0.0], [side, 0.0], [side, side], [0.0, side]];
        let cut = grown(&polygon.simplify_shape_as::<i64>(FillRule::EvenOdd)).overlay_as::<i64>(
            &tile,
            OverlayRule::Intersect,
            FillRule::NonZero,
        );
        (area(&cut) > 0.0).then(|| Self::new(grown(&cut)))
    }

    fn new(shapes: Shapes) -> Self {
        let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for [x, y] in shapes.iter().flatten().flatten() {
            bounds = [bounds[0].min(*x), bounds[1].min(*y), bounds[2].max(*x), bounds[3].max(*y)];
        }
        Self { area: area(&shapes), shapes, bounds }
    }

    fn iou(&self, other: &Self) -> f64 {
        let (a, b) = (&self.bounds, &other.bounds);
        if a[0] > b[2] || b[0] > a[2] || a[1] > b[3] || b[1] > a[3] {
            return 0.0;
        }
        let common =
            area(&self.shapes.overlay_as::<i64>(&other.shapes, OverlayRule::Intersect, FillRule::NonZero));
        let union = self.area + other.area - common;
        if union > 0.0 {
            common / union
        } else {
            0.0
        }
    }
}

fn grown(shapes: &Shapes) -> Shapes {
    let style = OutlineStyle::new(GROWTH).line_join(LineJoin::Round(ARC));
    shapes.outline_as::<i64>(&style)
}

/// Area of shapes; holes turn the other way and count against it.
fn area(shapes: &Shapes) -> f64 {
    let twice = |ring: &Vec<[f64; 2]>| -> f64 {
        let next = ring.iter().cycle().skip(1);
        ring.iter().zip(next).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum()
    };
    (shapes.iter().flatten().map(twice).sum::<f64>() / 2.0).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f64, y: f64, side: f64) -> Vec<[f64; 2]> {
        vec![[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    }

    #[test]
    fn polygons_are_grown_twice_cut_at_the_tile_and_may_have_holes() {
        let shape = Shape::of(&vec![square(100.0, 100.0, 50.0)], 8192.0).unwrap();
        let expected = 50.0f64 * 50.0 + 4.0 * 50.0 * 2.0 + PI * 4.0;
        assert!((shape.area - expected).abs() < 0.05, "{} {expected}", shape.area);
        let holed = Shape::of(&vec![square(100.0, 100.0, 50.0), square(110.0, 110.0, 20.0)], 8192.0).unwrap();
        let hole = 20.0f64 * 20.0 - 4.0 * 20.0 * 2.0 + 4.0 * 4.0;
        assert!((shape.area - holed.area - hole).abs() < 0.05, "{}", shape.area - holed.area);
        // The hole's way round does not matter.
        let turned: Vec<[f64; 2]> = square(110.0, 110.0, 20.0).into_iter().rev().collect();
        let other = Shape::of(&vec![square(100.0, 100.0, 50.0), turned], 8192.0).unwrap();
        assert!((other.area - holed.area).abs() < 1e-6);
        let cut = Shape::of(&vec![square(-25.0, 100.0, 50.0)], 8192.0).unwrap();
        assert!((cut.area - 27.0 * 54.0 - 1.0 * 54.0).abs() < 10.0, "{}", cut.area);
        assert!(Shape::of(&vec![square(-100.0, 100.0, 50.0)], 8192.0).is_none());
        assert!(Shape::of(&vec![vec![[5.0, 5.0]; 4]], 8192.0).is_none());
    }

    #[test]
    fn labels_keep_their_best_overlap_and_false_alarms_have_none() {
        let labels = [vec![square(100.0, 100.0, 50.0)], vec![square(1000.0, 100.0, 50.0)]];
        let predictions = [
            vec![square(100.0, 100.0, 50.0)],
            vec![square(110.0, 100.0, 50.0)],
            vec![square(5000.0, 0.0, 50.0)],
        ];
        let PolygonCounts { counts, iou } = polygon_counts(&labels, &predictions, 8192.0);
        assert_eq!(counts, Counts { tp: 1, fp: 2, fn_: 1 });
        assert!((iou.unwrap() - 1.0 / 4.0).abs() < 1e-6);
        assert_eq!(polygon_counts(&[], &[], 8192.0).iou, None);
    }
}
