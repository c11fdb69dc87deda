//! Scores of classes of whole images.

use super::counts::{mean, Counts, Curve, Floor, Point};
use super::dense::threshold;
use super::Rules;

/// The reference's floor of precision and recall.
const FLOOR: Floor = Floor(0.01);

/// What an image is labelled as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labelled {
    /// Just this class.
    One(usize),
    /// Any of the classes.
    Any(Vec<bool>),
}

impl Labelled {
    fn has(&self, class: usize) -> bool {
        match self {
            Self::One(one) => *one == class,
            Self::Any(all) => all.get(class).copied().unwrap_or(false),
        }
    }
}

/// A class's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// At its best threshold.
    pub best: Point,
    /// Whether any image is labelled so; without, the reference leaves the class out.
    pub has_labels: bool,
}

/// Scores of images' classes.
#[derive(Debug, Clone)]
pub struct Classes {
    rules: Rules,
    thresholds: Vec<Option<f64>>,
    correct: u64,
    decisions: u64,
    /// Per class: probability, and whether the image is labelled so.
    samples: Vec<Vec<(f32, bool)>>,
}

impl Classes {
    /// Scores of that many classes, at one given threshold each or at all hundredths.
    pub fn new(classes: usize, thresholds: Option<&[f64]>, rules: Rules) -> Self {
        Self {
            rules,
            thresholds: (0..classes).map(|class| threshold(thresholds, class)).collect(),
            correct: 0,
            decisions: 0,
            samples: vec![Vec::new(); classes],
        }
    }

    /// Adds an image by its probabilities.
    pub fn add(&mut self, label: &Labelled, probabilities: &[f32]) {
        for (class, (samples, probability)) in self.samples.iter_mut().zip(probabilities).enumerate() {
            samples.push((*probability, label.has(class)));
        }
        match label {
            Labelled::One(one) => {
                let larger = |best: usize, at: usize| {
                    if probabilities[at] > probabilities[best] {
                        at
                    } else {
                        best
                    }
                };
                let chosen = (0..probabilities.len()).reduce(larger);
                self.correct += u64::from(chosen == Some(*one));
                self.decisions += 1;
            }
            Labelled::Any(_) => {
                let right = |(class, p): (usize, &f32)| u64::from((*p > 0.5) == label.has(class));
                self.correct += probabilities.iter().enumerate().map(right).sum::<u64>();
                self.decisions += probabilities.len() as u64;
            }
        }
    }

    /// The share of images whose most probable class is the labelled one; where an image may have several, of
    /// the classes that are rightly there or not there at probability 0.5.
    pub fn accuracy(&self) -> Option<f64> {
        (self.decisions > 0).then(|| self.correct as f64 / self.decisions as f64)
    }

    /// Each class's score; an image has it when its probability is above the threshold.
    pub fn scores(&self) -> Vec<ClassScore> {
        let floor = if self.rules == Rules::Compat { FLOOR } else { Floor::NONE };
        let score = |(samples, given): (&Vec<(f32, bool)>, &Option<f64>)| {
            let thresholds =
                given.map_or_else(|| (1..100).map(|x| f64::from(x) / 100.0).collect(), |t| vec![t]);
            let at = |threshold: f64| {
                let mut counts = Counts::default();
                samples.iter().for_each(|(p, labelled)| counts.count(f64::from(*p) > threshold, *labelled));
                (threshold, counts)
            };
            let curve = Curve { points: thresholds.into_iter().map(at).collect() };
            ClassScore { best: curve.best(floor), has_labels: samples.iter().any(|(_, labelled)| *labelled) }
        };
        self.samples.iter().zip(&self.thresholds).map(score).collect()
    }

    /// The mean F1 at the best thresholds of classes that are labelled anywhere.
    pub fn f1(&self) -> Option<f64> {
        mean(self.scores().iter().filter(|score| score.has_labels).map(|score| score.best.f1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_hundredths_and_classes_without_labels_are_left_out() {
        let mut classes = Classes::new(3, None, Rules::Meant);
        classes.add(&Labelled::One(0), &[0.6, 0.3, 0.1]);
        classes.add(&Labelled::One(0), &[0.3, 0.5, 0.2]);
        classes.add(&Labelled::One(1), &[0.25, 0.35, 0.4]);
        assert_eq!(classes.accuracy(), Some(1.0 / 3.0));
        let scores = classes.scores();
        assert_eq!((scores[0].best.threshold, scores[0].best.f1), (0.25, 1.0));
        // 0.3 as f32 is above 0.3.
        assert_eq!((scores[1].best.threshold, scores[1].best.f1), (0.31, 2.0 / 3.0));
        assert!(!scores[2].has_labels);
        assert!((classes.f1().unwrap() - 5.0 / 6.0).abs() < 1e-12);
        let mut any = Classes::new(2, Some(&[0.5, 0.5]), Rules::Meant);
        any.add(&Labelled::Any(vec![true, true]), &[0.9, 0.2]);
        assert_eq!((any.accuracy(), any.f1()), (Some(0.5), Some(0.5)));
    }
}
