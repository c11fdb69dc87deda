//! How far a network's outputs are from the exact ones, as one number: decibels.

use super::session::Session;
use crate::models::{DETECTIONS, DETECTION_ROW, MASKS, OUTPUT};

/// Outputs of one run by name.
pub type Outputs = Vec<(String, Vec<f32>)>;

/// Least score of a detection that counts.
const SCORE: f32 = 0.1;
/// Least overlap of boxes that are one object, intersection over union.
const OVERLAP: f32 = 0.5;

/// Copies of what a run gave.
pub fn outputs(session: &Session) -> Outputs {
    session.outputs().map(|(name, _, values)| (name.to_string(), values.to_vec())).collect()
}

/// Squared differences of an output, and what they are measured by.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    squares: f64,
    count: f64,
    range: [f32; 2],
}

/// Differences of runs on the same inputs.
#[derive(Debug, Clone, Default)]
pub struct Loss(Vec<Part>);

impl Loss {
    /// Adds a run: what came out and what is exact. Masks of detections are left out.
    pub fn add(&mut self, got: &Outputs, exact: &Outputs, has_image: bool) {
        for ((name, got), (_, exact)) in got.iter().zip(exact).filter(|((name, _), _)| !name.ends_with(MASKS))
        {
            let at = self.0.iter().position(|part| part.name == *name).unwrap_or_else(|| {
                self.0.push(Part { name: name.clone(), squares: 0.0, count: 0.0, range: [0.0; 2] });
                self.0.len() - 1
            });
            let part = &mut self.0[at];
            if name.ends_with(DETECTIONS) {
                part.range = [0.0, 1.0];
                let apart = detections(got, exact);
                part.count += apart.len() as f64;
                part.squares += apart.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>();
                continue;
            }
            part.count += exact.len() as f64;
            part.squares += got.iter().zip(exact).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            if has_image && name == OUTPUT {
                part.range[1] = part.range[1].max(1.0);
            }
            part.range = exact.iter().fold(part.range, |[low, high], v| [low.min(*v), high.max(*v)]);
        }
    }

    /// Mean square over the squared range, of the output where it is largest. The range is what was seen, with zero, of
    /// an image at least 1, of detections that of scores.
    pub fn noise(&self) -> f64 {
        let noise = |part: &Part| {
            let range = f64::from(part.range[1] - part.range[0]).max(f64::MIN_POSITIVE);
            part.squares / part.count.max(1.0) / range.powi(2)
        };
        // What is no number is as bad as can be.
        self.0.iter().map(noise).fold(0.0, |worst, n| if n <= worst { worst } else { n })
    }

    /// The same in decibels, the higher the nearer: the peak signal-to-noise ratio.
    pub fn decibels(&self) -> f64 {
        decibels(self.noise())
    }
}

/// Decibels of a [`Loss::noise`].
pub fn decibels(noise: f64) -> f64 {
    -10.0 * noise.log10()
}

/// Differences of scores: of each exact detection and the one that has its label and place, or none.
fn detections(got: &[f32], exact: &[f32]) -> Vec<f32> {
    let rows = |values: &'_ [f32]| -> Vec<Vec<f32>> {
        let rows = values.chunks_exact(DETECTION_ROW);
        rows.filter(|row| row[4] > SCORE).map(<[f32]>::to_vec).collect()
    };
    let (mut left, exact) = (rows(got), rows(exact));
    let mut apart = Vec::with_capacity(exact.len());
    for row in &exact {
        let same = left.iter().position(|other| other[5] == row[5] && overlap(other, row) >= OVERLAP);
        apart.push(same.map_or(row[4], |at| left.remove(at)[4] - row[4]));
    }
    apart.extend(left.iter().map(|row| row[4]));
    apart
}

/// Intersection over union of two rows' boxes.
fn overlap(a: &[f32], b: &[f32]) -> f32 {
    let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
    let area = |r: &[f32]| (r[2] - r[0]) * (r[3] - r[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(name: &str, got: &[f32], exact: &[f32], has_image: bool) -> f64 {
        let mut loss = Loss::default();
        let output = |values: &[f32]| vec![(name.to_string(), values.to_vec())];
        loss.add(&output(got), &output(exact), has_image);
        loss.decibels()
    }

    #[test]
    fn images_go_by_their_nominal_range_others_by_their_own() {
        assert!((loss(OUTPUT, &[0.1, 0.5], &[0.0, 0.5], true) - 23.0103).abs() < 1e-3);
        assert!((loss(OUTPUT, &[0.1, 0.5], &[0.0, 0.5], false) - 16.9897).abs() < 1e-3);
        assert!(loss("a", &[f32::NAN], &[1.0], false).is_nan());
        assert_eq!(loss("a", &[1.0], &[1.0], false), f64::INFINITY);
    }

    #[test]
    fn detections_are_compared_by_place_and_label() {
        let exact = [[0.0, 0.0, 8.0, 8.0, 0.9, 1.0], [20.0, 0.0, 28.0, 8.0, 0.6, 2.0]].concat();
        let moved = [[20.5, 0.0, 28.0, 8.0, 0.7, 2.0], [0.0, 0.0, 8.0, 8.0, 0.9, 1.0]].concat();
        assert!((loss("head0_detections", &moved, &exact, false) - 23.0103).abs() < 1e-3);
        let missing = detections(&exact[..6], &exact);
        assert_eq!(missing, [0.0, 0.6]);
        assert_eq!(detections(&exact, &exact[..6]), [0.0, 0.6]);
    }
}
