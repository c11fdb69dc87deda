//! A detector's rows, of fixed capacity, as lists of what was found.

use crate::error::Result;
use crate::models::{DETECTIONS, DETECTION_ROW as ROW, MASKS};
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
    let mut out = Vec::new();
    for (image, rows) in rows.data.chunks(capacity.max(1) * ROW).enumerate() {
        let found = rows.chunks(ROW).take_while(|row| row[4] > f32::NEG_INFINITY).count();
        let rows = || rows.chunks(ROW).take(found);
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
        }
    }
    Ok(out)
}
