//! A detector's rows, of fixed capacity, as lists of what was found.

use crate::error::Result;
use crate::models::{DETECTIONS, DETECTION_ROW as ROW, MASKS, NO_OBJECT};
use crate::tensor::Shape;
use crate::util::npy::Array;

/// Arrays by name, with each head's rows taken apart per image: `<head>_img<i>_boxes` (n, 4), `_scores`,
/// `_labels` (n) and, where there are masks, `_masks` (n, 1, h, w).
///
/// # Errors
/// None for what networks give.
pub(super) fn apart(arrays: Vec<(String, Array)>) -> Result<Vec<(String, Array)>> {
    let mut out = Vec::with_capacity(arrays.len());
    for (name, array) in &arrays {
        match (name.strip_suffix(DETECTIONS), name.ends_with(MASKS)) {
            (Some(head), _) => {
                let masks = arrays.iter().find(|(other, _)| *other == format!("{head}{MASKS}"));
                out.extend(images(head, array, masks.map(|(_, masks)| masks))?);
            }
            (None, true) => {}
            (None, false) => out.push((name.clone(), array.clone())),
        }
    }
    Ok(out)
}

fn images(head: &str, rows: &Array, masks: Option<&Array>) -> Result<Vec<(String, Array)>> {
    let capacity = rows.shape.get(1).copied().unwrap_or(0);
    // A head alone gives each mask behind its box.
    let width = rows.shape.get(2).copied().unwrap_or(0).max(ROW);
    let mut out = Vec::new();
    for (image, rows) in rows.data.chunks_exact(capacity.max(1) * width).enumerate() {
        let found = rows.chunks_exact(width).take_while(|row| row[4] > NO_OBJECT).count();
        let rows = || rows.chunks_exact(width).take(found);
        let mut put = |what: &str, dims: &[usize], data: Vec<f32>| -> Result<()> {
            out.push((format!("{head}_img{image}_{what}"), Array { shape: Shape::new(dims)?, data }));
            Ok(())
        };
        put("boxes", &[found, 4], rows().flat_map(|row| row[..4].to_vec()).collect())?;
        put("scores", &[found], rows().map(|row| row[4]).collect())?;
        put("labels", &[found], rows().map(|row| row[5]).collect())?;
        if let Some(masks) = masks {
            let [h, w] = [2, 3].map(|axis| masks.shape.get(axis).copied().unwrap_or(0));
            let start = image * capacity * h * w;
            put("masks", &[found, 1, h, w], masks.data[start..start + found * h * w].to_vec())?;
        } else if width > ROW {
            let side = (width - ROW).isqrt();
            put("masks", &[found, 1, side, side], rows().flat_map(|row| row[ROW..].to_vec()).collect())?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_lie_beside_the_rows_or_behind_each_box() {
        let array = |dims: &[usize], data: Vec<f32>| Array { shape: Shape::new(dims).unwrap(), data };
        let boxed = |score: f32| vec![1.0, 2.0, 3.0, 4.0, score, 7.0];
        let (none, mask) = (NO_OBJECT, vec![0.1, 0.2, 0.3, 0.4]);
        let beside = vec![
            ("head0_detections".to_string(), array(&[1, 2, 6], [boxed(0.5), boxed(none)].concat())),
            ("head0_masks".to_string(), array(&[1, 2, 2, 2], [mask.clone(), vec![0.0; 4]].concat())),
        ];
        let rows = [boxed(0.5), mask.clone(), boxed(none), vec![0.0; 4]].concat();
        let behind = vec![("head0_detections".to_string(), array(&[1, 2, 10], rows))];
        let got = apart(beside).unwrap();
        assert_eq!(got, apart(behind).unwrap());
        let names: Vec<&str> = got.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["head0_img0_boxes", "head0_img0_scores", "head0_img0_labels", "head0_img0_masks"]);
        assert_eq!((&*got[3].1.shape, &got[3].1.data), (&[1, 1, 2, 2][..], &mask));
    }
}
