//! Scores of maps: a class per pixel, several classes per pixel, a number per pixel.
//!
//! The reference scores batch by batch and takes the mean of the batches; what is meant is one score over all
//! pixels. Both are here: one batch of everything, or batches of a given size.

use super::counts::{mean, Counts, Curve, Floor};
use super::Rules;

/// Images whose sums become one score.
#[derive(Debug, Clone, Copy)]
struct Batches {
    size: usize,
    images: usize,
}

impl Batches {
    fn new(rules: Rules, batch: usize) -> Self {
        let size = if rules == Rules::Compat { batch.max(1) } else { usize::MAX };
        Self { size, images: 0 }
    }

    /// Counts an image; true when its batch is full.
    fn count(&mut self) -> bool {
        self.images = (self.images + 1) % self.size;
        self.images == 0
    }
}

/// A score over batches: the mean of quotients, each of sums over its batch.
#[derive(Debug, Clone, Default)]
struct Quotient {
    sum: f64,
    weight: f64,
    finished: Vec<f64>,
}

impl Quotient {
    fn add(&mut self, sum: f64, weight: f64) {
        self.sum += sum;
        self.weight += weight;
    }

    fn close(&mut self) {
        self.finished.push(self.sum / self.weight);
        (self.sum, self.weight) = (0.0, 0.0);
    }

    /// The score, with an unfinished batch where there is one. Not a number when a batch has no known pixel.
    fn score(&self, unfinished: bool) -> Option<f64> {
        mean(self.finished.iter().copied().chain(unfinished.then(|| self.sum / self.weight)))
    }
}

/// How many of some thresholds each probability is above, by class and label, until they become counts.
struct Histogram<'c> {
    curve: &'c mut Curve,
    thresholds: Vec<f32>,
    /// Pixels above the first n thresholds, `[unlabelled, labelled]`.
    above: Vec<[u64; 2]>,
}

impl<'c> Histogram<'c> {
    fn new(curve: &'c mut Curve) -> Self {
        let thresholds: Vec<f32> = curve.points.iter().map(|(threshold, _)| *threshold as f32).collect();
        let above = vec![[0; 2]; thresholds.len() + 1];
        Self { curve, thresholds, above }
    }

    fn add(&mut self, probability: f32, labelled: bool) {
        let passed = self.thresholds.iter().filter(|threshold| probability > **threshold).count();
        self.above[passed][usize::from(labelled)] += 1;
    }

    fn finish(self) {
        for (at, (_, counts)) in self.curve.points.iter_mut().enumerate() {
            for (passed, [unlabelled, labelled]) in self.above.iter().enumerate() {
                if passed > at {
                    counts.tp += labelled;
                    counts.fp += unlabelled;
                } else {
                    counts.fn_ += labelled;
                }
            }
        }
    }
}

/// The reference's floor of precision and recall.
fn floor(rules: Rules) -> Floor {
    match rules {
        Rules::Meant => Floor::NONE,
        Rules::Compat => Floor(0.01),
    }
}

/// The mean F1 at the best thresholds of classes that are labelled anywhere.
fn mean_f1(curves: &[Curve], floor: Floor) -> Option<f64> {
    mean(curves.iter().filter(|curve| curve.has_labels()).map(|curve| curve.best(floor).f1))
}

/// A given threshold for a class, if any.
pub(super) fn threshold(given: Option<&[f64]>, class: usize) -> Option<f64> {
    given.and_then(|all| all.get(class)).copied()
}

/// Scores of one class per pixel.
#[derive(Debug, Clone)]
pub struct ClassMaps {
    rules: Rules,
    batches: Batches,
    /// Per class, over thresholds of its probability.
    pub curves: Vec<Curve>,
    /// Per class, of the most probable one, known pixels.
    pub chosen: Vec<Counts>,
    correct: Quotient,
    log_probability: Quotient,
    batch_overlap: Vec<Counts>,
    ious: Vec<f64>,
}

impl ClassMaps {
    /// Scores of that many classes, at one given threshold each or at all that are tried; `batch` images make
    /// a batch of the reference.
    pub fn new(classes: usize, thresholds: Option<&[f64]>, rules: Rules, batch: usize) -> Self {
        Self {
            rules,
            batches: Batches::new(rules, batch),
            curves: (0..classes).map(|class| Curve::new(threshold(thresholds, class))).collect(),
            chosen: vec![Counts::default(); classes],
            correct: Quotient::default(),
            log_probability: Quotient::default(),
            batch_overlap: vec![Counts::default(); classes],
            ious: Vec::new(),
        }
    }

    /// Adds an image: labels (below the number of classes) and which are known, and probabilities class by
    /// class.
    pub fn add(&mut self, labels: &[u8], known: &[bool], probabilities: &[f32]) {
        let pixels = labels.len();
        let all = pixels * self.curves.len();
        if all == 0 || known.len() != pixels || probabilities.len() < all {
            return;
        }
        let planes: Vec<&[f32]> = probabilities.chunks_exact(pixels).take(self.curves.len()).collect();
        for (class, (plane, curve)) in planes.iter().zip(&mut self.curves).enumerate() {
            let mut histogram = Histogram::new(curve);
            for ((label, known), probability) in labels.iter().zip(known).zip(*plane) {
                if *known {
                    histogram.add(*probability, usize::from(*label) == class);
                }
            }
            histogram.finish();
        }
        for pixel in 0..pixels {
            let label = usize::from(labels[pixel]);
            let mut best = 0;
            for (class, plane) in planes.iter().enumerate() {
                if plane[pixel] > planes[best][pixel] {
                    best = class;
                }
            }
            if known[pixel] {
                self.correct.add(f64::from(u8::from(best == label)), 1.0);
                let probability = planes.get(label).map_or(0.0, |plane| plane[pixel]);
                self.log_probability.add(f64::from(probability).ln(), 1.0);
                count_choice(&mut self.chosen, best, label);
            }
            // The reference takes unknown pixels into the overlap.
            if known[pixel] || self.rules == Rules::Compat {
                count_choice(&mut self.batch_overlap, best, label);
            }
        }
        if self.batches.count() {
            self.correct.close();
            self.log_probability.close();
            self.ious.extend(mean_iou(&self.batch_overlap));
            self.batch_overlap.fill(Counts::default());
        }
    }

    /// The floor under which F1 is zero.
    pub fn floor(&self) -> Floor {
        floor(self.rules)
    }

    /// The mean F1 at the best thresholds of classes that are labelled anywhere.
    pub fn f1(&self) -> Option<f64> {
        mean_f1(&self.curves, self.floor())
    }

    /// The share of known pixels whose most probable class is the labelled one.
    pub fn accuracy(&self) -> Option<f64> {
        self.correct.score(self.batches.images > 0)
    }

    /// The mean logarithm of the labelled class's probability.
    pub fn log_probability(&self) -> Option<f64> {
        self.log_probability.score(self.batches.images > 0)
    }

    /// The mean over classes that are anywhere of intersection over union.
    pub fn mean_iou(&self) -> Option<f64> {
        let rest = (self.batches.images > 0).then(|| mean_iou(&self.batch_overlap)).flatten();
        mean(self.ious.iter().copied().chain(rest))
    }
}

fn count_choice(counts: &mut [Counts], chosen: usize, label: usize) {
    let mut at = |class: usize, labelled: bool| {
        if let Some(counts) = counts.get_mut(class) {
            counts.count(class == chosen, labelled);
        }
    };
    at(label, true);
    if chosen != label {
        at(chosen, false);
    }
}

fn mean_iou(counts: &[Counts]) -> Option<f64> {
    mean(counts.iter().filter_map(Counts::iou))
}

/// Scores of several classes per pixel.
#[derive(Debug, Clone)]
pub struct LabelMaps {
    rules: Rules,
    batches: Batches,
    /// Per class, over thresholds of its probability.
    pub curves: Vec<Curve>,
    correct: Quotient,
}

impl LabelMaps {
    /// As [`ClassMaps::new`].
    pub fn new(classes: usize, thresholds: Option<&[f64]>, rules: Rules, batch: usize) -> Self {
        Self {
            rules,
            batches: Batches::new(rules, batch),
            curves: (0..classes).map(|class| Curve::new(threshold(thresholds, class))).collect(),
            correct: Quotient::default(),
        }
    }

    /// Adds an image: labels class by class (0 is no), which pixels are known, probabilities class by class.
    pub fn add(&mut self, labels: &[u8], known: &[bool], probabilities: &[f32]) {
        let pixels = known.len();
        let all = pixels * self.curves.len();
        if all == 0 || labels.len() < all || probabilities.len() < all {
            return;
        }
        let planes = labels.chunks_exact(pixels).zip(probabilities.chunks_exact(pixels));
        for ((labels, probabilities), curve) in planes.zip(&mut self.curves) {
            let mut histogram = Histogram::new(curve);
            for ((label, known), probability) in labels.iter().zip(known).zip(probabilities) {
                if *known {
                    let labelled = *label != 0;
                    histogram.add(*probability, labelled);
                    self.correct.add(f64::from(u8::from((*probability > 0.5) == labelled)), 1.0);
                }
            }
            histogram.finish();
        }
        if self.batches.count() {
            self.correct.close();
        }
    }

    /// The floor under which F1 is zero.
    pub fn floor(&self) -> Floor {
        floor(self.rules)
    }

    /// The mean F1 at the best thresholds of classes that are labelled anywhere.
    pub fn f1(&self) -> Option<f64> {
        mean_f1(&self.curves, self.floor())
    }

    /// The share of classes of known pixels that are rightly there or not there, at probability 0.5.
    pub fn accuracy(&self) -> Option<f64> {
        self.correct.score(self.batches.images > 0)
    }
}

/// Errors of a number per pixel, labels and predictions as bytes: 0 to 255, which count as 0 to 1.
#[derive(Debug, Clone)]
pub struct Regression {
    batches: Batches,
    square: Quotient,
    absolute: Quotient,
}

impl Regression {
    /// Errors; `batch` images make a batch of the reference.
    pub fn new(rules: Rules, batch: usize) -> Self {
        let batches = Batches::new(rules, batch);
        Self { batches, square: Quotient::default(), absolute: Quotient::default() }
    }

    /// Adds an image; predictions are clipped to 0..255.
    pub fn add(&mut self, labels: &[u8], known: &[bool], predictions: &[f32]) {
        const RANGE: f32 = 255.0;
        for ((label, known), prediction) in labels.iter().zip(known).zip(predictions) {
            if *known {
                let error = prediction.clamp(0.0, RANGE) / RANGE - f32::from(*label) / RANGE;
                self.square.add(f64::from(error * error), 1.0);
                self.absolute.add(f64::from(error.abs()), 1.0);
            }
        }
        if self.batches.count() {
            self.square.close();
            self.absolute.close();
        }
    }

    /// Mean square error, of numbers 0 to 1.
    pub fn mean_square(&self) -> Option<f64> {
        self.square.score(self.batches.images > 0)
    }

    /// Mean absolute error, of numbers 0 to 1.
    pub fn mean_absolute(&self) -> Option<f64> {
        self.absolute.score(self.batches.images > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Floor;

    #[test]
    fn batches_are_averaged_and_everything_is_pooled() {
        let images: [(&[u8], &[bool], &[f32]); 3] = [
            (&[0, 1, 1, 0], &[true; 4], &[0.9, 0.2, 0.6, 0.7, 0.1, 0.8, 0.4, 0.3]),
            (&[1, 1, 0, 0], &[true, false, false, false], &[0.6, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4, 0.4]),
            (&[0, 0, 0, 1], &[true; 4], &[0.6, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4, 0.4]),
        ];
        let score = |rules| {
            let mut maps = ClassMaps::new(2, None, rules, 2);
            images.iter().for_each(|(labels, known, p)| maps.add(labels, known, p));
            maps
        };
        let (pooled, batched) = (score(Rules::Meant), score(Rules::Compat));
        assert_eq!(pooled.accuracy(), Some(6.0 / 9.0));
        assert_eq!(batched.accuracy(), Some((3.0 / 5.0 + 3.0 / 4.0) / 2.0));
        // Known pixels: class 0 has 5 of 8, class 1 has 1 of 4.
        assert_eq!(pooled.mean_iou(), Some((5.0 / 8.0 + 1.0 / 4.0) / 2.0));
        let first = (4.0 / 7.0 + 1.0 / 4.0) / 2.0;
        assert_eq!(batched.mean_iou(), Some((first + (3.0 / 4.0 + 0.0) / 2.0) / 2.0));
        assert_eq!(pooled.chosen[0], Counts { tp: 5, fp: 3, fn_: 0 });
        assert_eq!(pooled.curves, batched.curves);
        // Above 0.5: class 0 is predicted at all but one of the nine known pixels.
        assert_eq!(pooled.curves[0].points[5], (0.5, Counts { tp: 5, fp: 3, fn_: 0 }));
        assert!((pooled.curves[0].best(Floor::NONE).f1 - 10.0 / 13.0).abs() < 1e-12);
    }

    #[test]
    fn given_thresholds_are_the_only_ones() {
        let mut maps = LabelMaps::new(2, Some(&[0.35, 0.5]), Rules::Meant, 1);
        maps.add(&[1, 0, 1, 1, 0, 0], &[true, true, false], &[0.4, 0.3, 0.9, 0.5, 0.6, 0.9]);
        assert_eq!(maps.curves[0].points, [(0.35, Counts { tp: 1, fp: 0, fn_: 0 })]);
        assert_eq!(maps.curves[1].points, [(0.5, Counts { tp: 0, fp: 1, fn_: 1 })]);
        assert_eq!(maps.accuracy(), Some(0.25));
        let mut errors = Regression::new(Rules::Meant, 1);
        errors.add(&[0, 255, 51], &[true, true, false], &[51.0, 300.0, 9.0]);
        assert!((errors.mean_absolute().unwrap() - 0.1).abs() < 1e-7);
        assert!((errors.mean_square().unwrap() - 0.02).abs() < 1e-7);
        assert_eq!(Regression::new(Rules::Meant, 1).mean_square(), None);
    }
}
