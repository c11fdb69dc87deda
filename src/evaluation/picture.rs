//! Targets and outputs as pictures, in the reference's colours.

use super::output::whole;
use crate::metrics::Object;

/// Colour of objects of tasks without colours.
const PLAIN: [u8; 3] = [255, 255, 0];
/// Thickness of a box's sides, in pixels.
const LINE: i64 = 2;

/// Colours of a task's classes.
pub type Palette = [[u8; 3]];

/// An RGB picture, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes, red first.
    pub data: Vec<u8>,
}

impl Canvas {
    /// Black.
    pub fn black(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; width * height * 3] }
    }

    /// A class per pixel in its colour; classes without one are black.
    pub fn of_classes(width: usize, height: usize, classes: &[u8], palette: &Palette) -> Self {
        let colour = |class: &u8| palette.get(usize::from(*class)).copied().unwrap_or_default();
        Self { width, height, data: classes.iter().flat_map(colour).collect() }
    }

    /// Classes that a pixel has, class by class; the last one's colour shows.
    pub fn of_bits(width: usize, height: usize, bits: &[bool], palette: &Palette) -> Self {
        let mut canvas = Self::black(width, height);
        for (plane, colour) in bits.chunks_exact((width * height).max(1)).zip(palette) {
            canvas.tint(|at| plane[at], *colour);
        }
        canvas
    }

    /// Grey values.
    pub fn of_grey(width: usize, height: usize, values: &[u8]) -> Self {
        Self { width, height, data: values.iter().flat_map(|v| [*v; 3]).collect() }
    }

    /// Gives the pixels for which `inside` is true a colour.
    pub fn tint(&mut self, inside: impl Fn(usize) -> bool, colour: [u8; 3]) {
        for (at, pixel) in self.data.chunks_exact_mut(3).enumerate() {
            if inside(at) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    /// Outlines of boxes, two pixels wide, drawn in their order.
    pub fn outline(&mut self, objects: &[Object], palette: &Palette) {
        let (w, h) = (self.width as i64, self.height as i64);
        for object in objects {
            let [x0, y0, x1, y1] = whole(object.bounds);
            let (left, right) = (x0.clamp(0, w), x1.clamp(0, w));
            let (top, bottom) = (y0.clamp(0, h), y1.clamp(0, h));
            let colour = colour(palette, object.category);
            let sides = [
                [left, top, left + LINE, bottom],
                [right - LINE, top, right, bottom],
                [left, top, right, top + LINE],
                [left, bottom - LINE, right, bottom],
            ];
            sides.into_iter().for_each(|side| self.rectangle(side, colour));
        }
    }

    /// Fills left, top, right, bottom (those not included). Nothing where it begins before the picture.
    fn rectangle(&mut self, [left, top, right, bottom]: [i64; 4], colour: [u8; 3]) {
        if left < 0 || top < 0 {
            return;
        }
        let (w, h) = (self.width as i64, self.height as i64);
        for y in top..bottom.min(h) {
            for x in left..right.min(w) {
                let at = ((y * w + x) * 3) as usize;
                self.data[at..at + 3].copy_from_slice(&colour);
            }
        }
    }
}

/// A category's colour, or yellow.
pub fn colour(palette: &Palette, category: usize) -> [u8; 3] {
    palette.get(category).copied().unwrap_or(PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_cut_at_the_picture() {
        let mut canvas = Canvas::black(8, 6);
        let object = |bounds| Object { bounds, category: 1 };
        canvas.outline(&[object([-3.0, 1.7, 5.9, 9.0]), object([0.0, 0.0, 1.0, 1.0])], &[[0; 3], [9, 9, 9]]);
        let row = |y: usize| -> String {
            (0..8).map(|x| if canvas.data[(y * 8 + x) * 3] == 9 { '#' } else { '.' }).collect()
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(row),
            ["##......", "#####...", "#####...", "##.##...", "#####...", "#####..."]
        );
        assert_eq!(colour(&[], 3), [255, 255, 0]);
    }
}
