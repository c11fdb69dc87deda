//! Hits among points: as many pairs as can be made within a distance.

use std::collections::HashMap;

use super::assignment::most_pairs;
use super::counts::Counts;
use crate::error::{Error, Result};

/// Most pairs of points within the distance.
const MAX_NEIGHBOURS: usize = 1 << 26;

/// Counts of labelled and predicted points, a hit being at most `distance` away.
///
/// # Errors
/// `Limit` when so many points lie so close that their pairs would not fit in memory.
pub fn point_counts(labels: &[[f64; 2]], predictions: &[[f64; 2]], distance: f64) -> Result<Counts> {
    let cell = |p: &[f64; 2]| p.map(|v| (v / distance).floor() as i64);
    let mut cells: HashMap<[i64; 2], Vec<usize>> = HashMap::new();
    for (at, point) in predictions.iter().enumerate() {
        cells.entry(cell(point)).or_default().push(at);
    }
    let mut neighbours = 0;
    let mut may = Vec::with_capacity(labels.len());
    for label in labels {
        let [x, y] = cell(label);
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [dx, dy]));
        let near = around.filter_map(|[dx, dy]| cells.get(&[x.saturating_add(dx), y.saturating_add(dy)]));
        let close = |at: &&usize| {
            let [dx, dy] = [0, 1].map(|axis| predictions[**at][axis] - label[axis]);
            (dx * dx + dy * dy).sqrt() <= distance
        };
        let close: Vec<usize> = near.flatten().filter(close).copied().collect();
        neighbours += close.len();
        if neighbours > MAX_NEIGHBOURS {
            return Err(Error::limit(format!(
                "more than {MAX_NEIGHBOURS} pairs of points within {distance}"
            )));
        }
        may.push(close);
    }
    Ok(Counts::of_pairs(most_pairs(&may, predictions.len()), labels.len(), predictions.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_takes_one_prediction_within_the_distance() {
        let labels = [[0.0, 0.0], [100.0, 0.0], [1000.0, 1000.0]];
        let predictions = [[50.0, 0.0], [-128.0, 0.0], [1000.0, 1128.1]];
        let counts = point_counts(&labels, &predictions, 128.0).unwrap();
        assert_eq!(counts, Counts { tp: 2, fp: 1, fn_: 1 });
        assert_eq!(point_counts(&labels, &[], 128.0).unwrap(), Counts { tp: 0, fp: 0, fn_: 3 });
    }
}
