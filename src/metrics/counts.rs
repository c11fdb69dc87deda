//! Hits, false alarms and misses, and what follows from them: precision, recall, F1, the best threshold.

/// Thresholds that are tried where none is given.
pub const THRESHOLDS: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

/// The threshold that is told where there is nothing to choose by.
pub const NO_THRESHOLD: f64 = 0.5;

/// True positives, false positives and false negatives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Hits.
    pub tp: u64,
    /// False alarms.
    pub fp: u64,
    /// Misses.
    pub fn_: u64,
}

/// The sum of precision and recall below which the reference calls F1 zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor(pub f64);

impl Floor {
    /// F1 as it is.
    pub const NONE: Self = Self(0.0);
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

impl Counts {
    /// Counts of pairs among `labels` and `predictions`.
    pub fn of_pairs(pairs: usize, labels: usize, predictions: usize) -> Self {
        let left = |all: usize| all.saturating_sub(pairs) as u64;
        Self { tp: pairs as u64, fp: left(predictions), fn_: left(labels) }
    }

    /// Counts one decision.
    pub fn count(&mut self, predicted: bool, labelled: bool) {
        self.tp += u64::from(predicted && labelled);
        self.fp += u64::from(predicted && !labelled);
        self.fn_ += u64::from(!predicted && labelled);
    }

    /// Hits among what was predicted; 0 when nothing was.
    pub fn precision(&self) -> f64 {
        ratio(self.tp, self.tp + self.fp)
    }

    /// Hits among what is labelled; 0 when nothing is.
    pub fn recall(&self) -> f64 {
        ratio(self.tp, self.labels())
    }

    /// Labelled objects or pixels.
    pub fn labels(&self) -> u64 {
        self.tp + self.fn_
    }

    /// Harmonic mean of precision and recall, 0 below the floor.
    pub fn f1(&self, floor: Floor) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        if precision + recall <= 0.0 || precision + recall < floor.0 {
            0.0
        } else {
            2.0 * precision * recall / (precision + recall)
        }
    }

    /// Intersection over union of what is predicted and what is labelled; `None` when neither is anywhere.
    pub fn iou(&self) -> Option<f64> {
        let union = self.tp + self.fp + self.fn_;
        (union > 0).then(|| ratio(self.tp, union))
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.tp += other.tp;
        self.fp += other.fp;
        self.fn_ += other.fn_;
    }
}

/// Counts of one category at each of its thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Thresholds with their counts, in the order in which they are tried.
    pub points: Vec<(f64, Counts)>,
}

/// A category's best threshold and what it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The threshold.
    pub threshold: f64,
    /// Counts there.
    pub counts: Counts,
    /// F1 there.
    pub f1: f64,
}

impl Curve {
    /// A curve over the given threshold, or over all that are tried.
    pub fn new(threshold: Option<f64>) -> Self {
        let thresholds = threshold.map_or(THRESHOLDS.to_vec(), |one| vec![one]);
        Self { points: thresholds.into_iter().map(|t| (t, Counts::default())).collect() }
    }

    /// The first threshold of the largest F1.
    pub fn best(&self, floor: Floor) -> Point {
        let none = Point { threshold: NO_THRESHOLD, counts: Counts::default(), f1: 0.0 };
        let point = |&(threshold, counts): &(f64, Counts)| Point { threshold, counts, f1: counts.f1(floor) };
        let better = |best: Point, next: Point| if next.f1 > best.f1 { next } else { best };
        self.points.iter().map(point).reduce(better).unwrap_or(none)
    }

    /// Whether anything is labelled.
    pub fn has_labels(&self) -> bool {
        self.points.iter().any(|(_, counts)| counts.labels() > 0)
    }
}

/// The mean of some numbers; `None` of none.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0u64), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equally_good_thresholds_is_taken() {
        let mut curve = Curve::new(None);
        assert_eq!(curve.best(Floor::NONE).threshold, 0.05);
        for (at, tp) in [(2, 3), (4, 3), (5, 1)] {
            curve.points[at].1 = Counts { tp, fp: 1, fn_: 4 - tp };
        }
        let best = curve.best(Floor::NONE);
        assert_eq!((best.threshold, best.f1), (0.2, 0.75));
        assert!(curve.has_labels() && !Curve::new(Some(0.5)).has_labels());
    }

    #[test]
    fn f1_below_the_floor_is_zero_only_with_a_floor() {
        let poor = Counts { tp: 1, fp: 999, fn_: 999 };
        assert_eq!(poor.f1(Floor(0.01)), 0.0);
        assert!((poor.f1(Floor::NONE) - 1e-3).abs() < 1e-12);
        assert_eq!(Counts::default().f1(Floor::NONE), 0.0);
        assert_eq!((Counts::default().iou(), poor.iou()), (None, Some(1.0 / 1999.0)));
        assert_eq!((mean([1.0, 2.0]), mean([])), (Some(1.5), None));
    }
}
