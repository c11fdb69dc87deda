//! The outlines of what a detector found: its small masks, each in the coordinates of a box, as polygons.

use std::collections::HashMap;

use crate::detect::{Bounds, Object};
use crate::error::Result;
use crate::models::MASK_SIDE;
use crate::raster::vector::polygonize::{PolygonizeOptions, Polygonizer, Region};
use crate::raster::vector::{Geometry, Ring};
use crate::raster::GeoTransform;

/// Probability above which a pixel of a mask belongs to the object.
const INSIDE: f32 = 0.5;
/// How far outlines may move, pixels of the mask.
const TOLERANCE: f64 = 2.0;

/// A mask's bits, and the box that it fills.
struct Mask {
    bits: [u8; (MASK_SIDE * MASK_SIDE).div_ceil(8)],
    bounds: Bounds,
}

/// Bytes that a mask takes until the end.
pub const MASK_BYTES: usize = size_of::<Mask>() + size_of::<(u32, u32)>();

/// Masks of objects.
#[derive(Default)]
pub struct Masks {
    of: HashMap<(u32, u32), Mask>,
}

impl Masks {
    /// Keeps an object's mask. `bounds` is its whole box in pixels of the image, of which the object's own may be a part.
    pub fn keep(&mut self, object: &Object, bounds: Bounds, probabilities: &[f32]) {
        let mut mask = Mask { bits: [0; (MASK_SIDE * MASK_SIDE).div_ceil(8)], bounds };
        for (at, _) in probabilities.iter().enumerate().filter(|(_, p)| **p > INSIDE) {
            if let Some(byte) = mask.bits.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
        self.of.insert((object.window, object.place), mask);
    }

    /// The outline of an object in coordinates that `transform` leads to from pixels; `None` where its mask is not known
    /// or empty.
    ///
    /// # Errors
    /// None for masks of this size.
    pub fn outline(&self, object: &Object, transform: &GeoTransform) -> Result<Option<Geometry>> {
        let Some(mask) = self.of.get(&(object.window, object.place)) else { return Ok(None) };
        let side = MASK_SIDE as f64;
        let (dx, dy) = ((mask.bounds.x1 - mask.bounds.x0) / side, (mask.bounds.y1 - mask.bounds.y0) / side);
        let GeoTransform([x, a, b, y, c, d]) = transform.at_pixel(mask.bounds.x0, mask.bounds.y0);
        let transform = GeoTransform([x, a * dx, b * dy, y, c * dx, d * dy]);
        let mut polygons: Vec<Vec<Ring>> = Vec::new();
        let mut each = |region: Region| {
            polygons.extend_from_slice(region.geometry(&transform).polygons());
            Ok(())
        };
        let options = PolygonizeOptions { tolerance: TOLERANCE, ..PolygonizeOptions::default() };
        let mut polygonizer = Polygonizer::new(MASK_SIDE, options)?;
        for row in 0..MASK_SIDE {
            let bit = |at: usize| mask.bits.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1);
            let classes: Vec<u8> = (row * MASK_SIDE..(row + 1) * MASK_SIDE).map(bit).collect();
            polygonizer.row(&classes, &mut each)?;
        }
        polygonizer.finish(&mut each)?;
        Ok(match polygons.len() {
            0 => None,
            1 => polygons.pop().map(Geometry::Polygon),
            _ => Some(Geometry::MultiPolygon(polygons)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_fills_its_box() {
        let bounds = Bounds { x0: 10.0, y0: 20.0, x1: 38.0, y1: 76.0 };
        let object = Object { bounds, score: 0.5, class: 1, window: 3, place: 4, own: true, cut: false };
        let mut masks = Masks::default();
        // The left half of the box.
        let left: Vec<f32> = (0..MASK_SIDE * MASK_SIDE)
            .map(|at| if at % MASK_SIDE < MASK_SIDE / 2 { 0.9 } else { 0.1 })
            .collect();
        masks.keep(&object, bounds, &left);
        let map = GeoTransform::north_up(1000.0, 5000.0, 10.0, -10.0);
        let outline = masks.outline(&object, &map).unwrap().unwrap();
        assert_eq!(outline.bounds(), [1100.0, 4240.0, 1240.0, 4800.0]);
        assert!(masks.outline(&Object { place: 5, ..object }, &map).unwrap().is_none());
        masks.keep(&object, bounds, &vec![0.0; MASK_SIDE * MASK_SIDE]);
        assert!(masks.outline(&object, &map).unwrap().is_none());
    }
}
