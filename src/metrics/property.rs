//! Scores of objects' properties.

/// A sum of scores and how many they are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// The sum.
    pub sum: f64,
    /// How many.
    pub count: u64,
}

impl Tally {
    /// Adds a score.
    pub fn add(&mut self, score: f64) {
        self.sum += score;
        self.count += 1;
    }

    /// The mean; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// One minus the error relative to the label; below zero where the error is larger than the label.
pub fn numeric_accuracy(label: f64, prediction: f64) -> f64 {
    /// What smaller labels count as in the quotient.
    const LEAST: f64 = 0.01;
    1.0 - (label - prediction).abs() / label.max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_relative_to_the_label() {
        assert_eq!(numeric_accuracy(100.0, 80.0), 0.8);
        assert_eq!(numeric_accuracy(0.0, 5.0), -499.0);
        let mut tally = Tally::default();
        assert_eq!(tally.mean(), None);
        [1.0, 0.0].into_iter().for_each(|score| tally.add(score));
        assert_eq!(tally.mean(), Some(0.5));
    }
}
