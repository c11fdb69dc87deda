//! Scores of boxes: which predictions find which labelled objects, per category and score threshold.

use super::assignment::assign;
use super::counts::{mean, Counts, Curve, Floor};
use super::dense::threshold;
use super::Rules;

/// Largest distance of centres of a hit, in pixels: a hit is closer.
const DISTANCE: f64 = 20.0;
/// Least intersection over union of a hit.
const IOU: f64 = 0.5;
/// Cost of a pair that may not be one.
const FORBIDDEN: f64 = 99999.0;
/// The reference's floor of precision and recall.
const FLOOR: Floor = Floor(0.001);

/// What makes a prediction fit an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// Centres less than 20 pixels apart, the nearest pairs first.
    Centre,
    /// Half of what both cover is common, the most common first.
    Iou,
}

/// A labelled object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Left, top, right, bottom, in pixels.
    pub bounds: [f32; 4],
    /// Its category; 0 is the background.
    pub category: usize,
}

/// A predicted object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// What and where.
    pub object: Object,
    /// How sure the network is, 0 to 1.
    pub score: f32,
}

/// Scores of predicted objects.
#[derive(Debug, Clone)]
pub struct Objects {
    matching: Matching,
    rules: Rules,
    /// Per category, the background's empty, over thresholds of the score.
    pub curves: Vec<Curve>,
}

impl Objects {
    /// Scores of that many categories, the background among them, at one given threshold each or at all that
    /// are tried.
    pub fn new(categories: usize, thresholds: Option<&[f64]>, matching: Matching, rules: Rules) -> Self {
        let curves = (0..categories).map(|category| Curve::new(threshold(thresholds, category))).collect();
        Self { matching, rules, curves }
    }

    /// Adds an image.
    pub fn add(&mut self, labels: &[Object], predictions: &[Prediction]) {
        for (category, curve) in self.curves.iter_mut().enumerate().skip(1) {
            let labels: Vec<[f32; 4]> =
                labels.iter().filter(|o| o.category == category).map(|o| o.bounds).collect();
            let own: Vec<&Prediction> =
                predictions.iter().filter(|p| p.object.category == category).collect();
            if labels.is_empty() && own.is_empty() {
                continue;
            }
            for (threshold, counts) in &mut curve.points {
                let kept = own.iter().filter(|p| p.score >= *threshold as f32).map(|p| p.object.bounds);
                let kept: Vec<[f32; 4]> = kept.collect();
                *counts += Counts::of_pairs(pairs(self.matching, &kept, &labels), labels.len(), kept.len());
            }
        }
    }

    /// The floor under which F1 is zero.
    pub fn floor(&self) -> Floor {
        match self.rules {
            Rules::Meant => Floor::NONE,
            Rules::Compat => FLOOR,
        }
    }

    /// The mean F1 of the categories but the background at their best thresholds: of those that have labels,
    /// of all by the reference's rules.
    pub fn f1(&self) -> Option<f64> {
        let counted = |curve: &&Curve| self.rules == Rules::Compat || curve.has_labels();
        mean(self.curves.iter().skip(1).filter(counted).map(|curve| curve.best(self.floor()).f1))
    }
}

/// How many of the predictions find an object of their own.
fn pairs(matching: Matching, predictions: &[[f32; 4]], labels: &[[f32; 4]]) -> usize {
    let hit = match matching {
        Matching::Centre => DISTANCE,
        Matching::Iou => 1.0 - IOU,
    };
    let cost = |a: &[f32; 4], b: &[f32; 4]| match matching {
        Matching::Centre => distance(a, b),
        Matching::Iou => 1.0 - iou(a, b),
    };
    let allowed = |v: f64| if v <= hit { v } else { FORBIDDEN };
    let costs: Vec<f64> =
        predictions.iter().flat_map(|p| labels.iter().map(move |l| allowed(cost(p, l)))).collect();
    let is_hit = |&(p, l): &(usize, usize)| {
        let v = costs[p * labels.len() + l];
        v < hit || matching == Matching::Iou && v == hit
    };
    assign(predictions.len(), labels.len(), &costs).iter().filter(|pair| is_hit(pair)).count()
}

/// Distance of the centres; centres are rounded to f32, as the reference's are.
fn distance(a: &[f32; 4], b: &[f32; 4]) -> f64 {
    let centre = |r: &[f32; 4]| [(r[0] + r[2]) / 2.0, (r[1] + r[3]) / 2.0].map(f64::from);
    let ([ax, ay], [bx, by]) = (centre(a), centre(b));
    (ax - bx).hypot(ay - by)
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f64 {
    let side = |lo: f32, hi: f32| f64::from(hi - lo).max(0.0);
    let area = |r: &[f32; 4]| side(r[0], r[2]) * side(r[1], r[3]);
    let common = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    let union = area(a) + area(b) - common;
    if union > 0.0 {
        common / union
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f32, y: f32, category: usize) -> Object {
        Object { bounds: [x - 5.0, y - 5.0, x + 5.0, y + 5.0], category }
    }

    fn sure(object: Object, score: f32) -> Prediction {
        Prediction { object, score }
    }

    #[test]
    fn a_hit_is_closer_than_twenty_pixels_and_of_the_category() {
        let labels = [square(50.0, 50.0, 1), square(100.0, 50.0, 1), square(10.0, 10.0, 2)];
        let predictions = [
            sure(square(50.0, 69.5, 1), 0.9),
            sure(square(100.0, 70.0, 1), 0.6),
            sure(square(11.0, 10.0, 1), 0.3),
        ];
        let mut objects = Objects::new(4, None, Matching::Centre, Rules::Meant);
        objects.add(&labels, &predictions);
        let at = |category: usize, threshold: usize| objects.curves[category].points[threshold].1;
        assert_eq!(at(1, 0), Counts { tp: 1, fp: 2, fn_: 1 });
        assert_eq!(at(1, 9), Counts { tp: 1, fp: 0, fn_: 1 }, "a score of 0.9 passes 0.9");
        assert_eq!(at(2, 0), Counts { tp: 0, fp: 0, fn_: 1 });
        assert_eq!(objects.curves[1].best(Floor::NONE).threshold, 0.7);
        assert_eq!(objects.f1(), Some((2.0 / 3.0 + 0.0) / 2.0));
        let all = Objects { rules: Rules::Compat, ..objects };
        assert!((all.f1().unwrap() - 2.0 / 9.0).abs() < 1e-12, "categories without labels count");
    }

    #[test]
    fn overlap_is_half_of_what_both_cover() {
        let label = [square(50.0, 50.0, 1)];
        let shifted = |x: f32| [sure(square(50.0 + x, 50.0, 1), 0.9)];
        for (x, tp) in [(0.0, 1), (3.0, 1), (10.0 / 3.0 + 0.1, 0), (20.0, 0)] {
            let mut objects = Objects::new(2, Some(&[0.5, 0.5]), Matching::Iou, Rules::Meant);
            objects.add(&label, &shifted(x));
            assert_eq!(objects.curves[1].points[0].1.tp, tp, "shifted by {x}");
        }
    }
}
