//! A head's results of one example as its task means them, and as the files that the reference writes of them.

use serde_json::{json, Value};

use crate::error::{Error, Result};
use crate::metrics::{Object, Prediction};
use crate::models::Task;
use crate::util::npy::Array;

/// What a head says of one example.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Numbers per pixel: a probability for each class, or one number.
    Map {
        /// Planes.
        planes: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// `planes * height * width` numbers.
        data: Vec<f32>,
    },
    /// Objects, the surest first.
    Objects {
        /// The objects.
        predictions: Vec<Prediction>,
        /// Side of a mask, and the masks, in their boxes' coordinates; where the task has some.
        masks: Option<(usize, Vec<f32>)>,
    },
    /// A probability for each class.
    Classes(Vec<f32>),
}

impl Output {
    /// The results of the head of that index on a batch of one; arrays as [`crate::engine::forward`] gives them.
    ///
    /// # Errors
    /// `Shape` when the arrays are not those of such a head.
    pub fn of(task: Task, index: usize, arrays: &[(String, Array)]) -> Result<Self> {
        let find = |name: String| arrays.iter().find(|(n, _)| *n == name).map(|(_, array)| array);
        let get = |name: String| {
            let found = find(name.clone());
            found.ok_or_else(|| Error::shape(format!("the network gives no {name}")))
        };
        let head = format!("head{index}");
        match task {
            Task::Detect | Task::Instance => {
                let part = |what: &str| get(format!("{head}_img0_{what}"));
                let (boxes, scores, labels) = (part("boxes")?, part("scores")?, part("labels")?);
                let rows = boxes.data.chunks_exact(4).zip(&scores.data).zip(&labels.data);
                let prediction = |((bounds, score), label): ((&[f32], &f32), &f32)| Prediction {
                    object: Object {
                        bounds: std::array::from_fn(|side| bounds[side]),
                        category: *label as usize,
                    },
                    score: *score,
                };
                let masks = find(format!("{head}_img0_masks"));
                let masks = masks.map(|m| (m.shape.last().copied().unwrap_or(0), m.data.clone()));
                Ok(Self::Objects { predictions: rows.map(prediction).collect(), masks })
            }
            Task::Classification | Task::MultiLabel => Ok(Self::Classes(get(head)?.data.clone())),
            Task::Segment | Task::BinSegment | Task::Regress => {
                let array = get(head)?;
                let (planes, height, width) = match *array.shape {
                    [1, planes, height, width] => (planes, height, width),
                    [1, height, width] => (1, height, width),
                    _ => return Err(Error::shape(format!("a map of {}", array.shape))),
                };
                Ok(Self::Map { planes, height, width, data: array.data.clone() })
            }
        }
    }
}

/// The class of each pixel: the most probable, or by thresholds the last one above its own, else the first.
pub fn class_map(planes: usize, data: &[f32], thresholds: Option<&[f64]>) -> Vec<u8> {
    let area = data.len() / planes.max(1);
    let at = |class: usize, pixel: usize| data[class * area + pixel];
    let class = |pixel: usize| match thresholds {
        None => (1..planes).fold(0, |best, next| if at(next, pixel) > at(best, pixel) { next } else { best }),
        Some(thresholds) => {
            let above = |class: &usize| thresholds.get(*class).is_some_and(|t| at(*class, pixel) > *t as f32);
            (0..planes).rev().find(above).unwrap_or(0)
        }
    };
    (0..area).map(|pixel| class(pixel) as u8).collect()
}

/// Which classes each pixel has, class by class: those above their threshold, or above a half.
pub fn class_bits(planes: usize, data: &[f32], thresholds: Option<&[f64]>) -> Vec<bool> {
    let area = data.len() / planes.max(1);
    let threshold = |class: usize| thresholds.and_then(|t| t.get(class)).map_or(0.5, |t| *t as f32);
    data.iter().enumerate().map(|(at, v)| *v > threshold(at / area.max(1))).collect()
}

/// Classes of each pixel as bits of one number: class 0 is the lowest bit. At most 64 classes.
pub fn encode_bits(planes: usize, bits: &[bool]) -> Vec<u64> {
    let area = bits.len() / planes.max(1);
    let pixel = |at: usize| {
        (0..planes.min(64)).map(|class| u64::from(bits[class * area + at]) << class).fold(0, |a, b| a | b)
    };
    (0..area).map(pixel).collect()
}

/// The reverse of [`encode_bits`].
pub fn decode_bits(planes: usize, encoded: &[u64]) -> Vec<bool> {
    (0..planes).flat_map(|class| encoded.iter().map(move |v| class < 64 && v >> class & 1 != 0)).collect()
}

/// Numbers as bytes: cut at 0 and 255, fractions cut off.
pub fn bytes(data: &[f32]) -> Vec<u8> {
    data.iter().map(|v| v.clamp(0.0, 255.0) as u8).collect()
}

/// The predictions that reach their categories' thresholds, and their places among all.
pub fn surest(predictions: &[Prediction], thresholds: Option<&[f64]>) -> Vec<(usize, Prediction)> {
    let sure = |p: &Prediction| {
        thresholds.is_none_or(|all| all.get(p.object.category).is_none_or(|t| p.score >= *t as f32))
    };
    predictions.iter().copied().enumerate().filter(|(_, p)| sure(p)).collect()
}

/// A box's sides as whole pixels, fractions cut off.
pub fn whole(bounds: [f32; 4]) -> [i64; 4] {
    bounds.map(|v| v as i64)
}

/// Objects as the reference lists them: sides, category, score.
pub fn box_list(predictions: &[(usize, Prediction)], categories: &[String]) -> Value {
    let row = |(_, p): &(usize, Prediction)| {
        let [x0, y0, x1, y1] = whole(p.object.bounds);
        let category = categories.get(p.object.category).map_or("", String::as_str);
        json!([x0, y0, x1, y1, category, f64::from(p.score)])
    };
    predictions.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    #[test]
    fn classes_are_the_largest_or_the_last_above_their_threshold() {
        let data = [0.5, 0.2, 0.3, 0.6, 0.2, 0.2];
        assert_eq!(class_map(3, &data, None), [0, 1]);
        assert_eq!(class_map(3, &data, Some(&[0.1, 0.25, 0.9])), [1, 1]);
        assert_eq!(class_map(3, &data, Some(&[0.9, 0.9, 0.9])), [0, 0]);
        let bits = class_bits(3, &data, None);
        assert_eq!(bits, [false, false, false, true, false, false]);
        assert_eq!(encode_bits(3, &class_bits(3, &data, Some(&[0.1, 0.5, 0.1]))), [5, 7]);
        assert_eq!(decode_bits(3, &[5, 7]), [true, true, false, true, true, true]);
        assert_eq!(bytes(&[-3.0, 2.9, 300.0, f32::NAN]), [0, 2, 255, 0]);
    }

    #[test]
    fn arrays_become_what_the_task_means() {
        let array =
            |dims: &[usize], data: &[f32]| Array { shape: Shape::new(dims).unwrap(), data: data.to_vec() };
        let arrays = [
            ("head1_img0_boxes".to_string(), array(&[1, 4], &[1.0, 2.0, 3.0, 4.0])),
            ("head1_img0_scores".to_string(), array(&[1], &[0.5])),
            ("head1_img0_labels".to_string(), array(&[1], &[2.0])),
            ("head2".to_string(), array(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0])),
        ];
        let object = Object { bounds: [1.0, 2.0, 3.0, 4.0], category: 2 };
        let found = Output::of(Task::Detect, 1, &arrays).unwrap();
        assert_eq!(
            found,
            Output::Objects { predictions: vec![Prediction { object, score: 0.5 }], masks: None }
        );
        let Output::Map { planes: 1, height: 2, width: 2, .. } =
            Output::of(Task::Regress, 2, &arrays).unwrap()
        else {
            panic!()
        };
        assert!(Output::of(Task::Segment, 3, &arrays).is_err());
    }
}
