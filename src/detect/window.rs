//! The window of an image that a detector looks at, and what it answers for.

use super::{Bounds, Object};
use crate::tile::Rect;

/// Boxes this near to a border of their window reach it, pixels.
const REACHES: f64 = 1.0;

/// A window of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Its number.
    pub number: u32,
    /// The image.
    pub image: Rect,
    /// The pixels the detector sees; may reach past the image.
    pub input: Rect,
    /// The part of the image it answers for; those of all windows make up the image.
    pub core: Rect,
    /// How far beyond the core an object's centre may lie, pixels: windows may place the same object differently, and
    /// one that each takes for its neighbour's would be lost.
    pub margin: f64,
}

impl Window {
    /// The object of a box in the window's own pixels; `None` when it lies outside of the image or another window
    /// answers for it.
    pub fn object(&self, bounds: Bounds, score: f32, class: u32, place: u32) -> Option<Object> {
        let (image, core) = (Bounds::of(&self.image), Bounds::of(&self.core));
        let seen = Bounds::of(&self.input).intersect(&image);
        let bounds = bounds.shift(self.input.x0 as f64, self.input.y0 as f64).intersect(&seen);
        let near = core.grow(self.margin).holds(bounds.centre());
        let cut = bounds.x0 <= seen.x0 + REACHES && seen.x0 > image.x0
            || bounds.y0 <= seen.y0 + REACHES && seen.y0 > image.y0
            || bounds.x1 >= seen.x1 - REACHES && seen.x1 < image.x1
            || bounds.y1 >= seen.y1 - REACHES && seen.y1 < image.y1;
        let own = core.holds(bounds.centre());
        (near && bounds.area() > 0.0).then_some(Object {
            bounds,
            score,
            class,
            window: self.number,
            place,
            own,
            cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        number: 7,
        image: Rect { x0: 0, y0: 0, x1: 100, y1: 50 },
        input: Rect { x0: 40, y0: 0, x1: 104, y1: 64 },
        core: Rect { x0: 60, y0: 0, x1: 100, y1: 50 },
        margin: 4.0,
    };

    fn found(x0: f64, y0: f64, x1: f64, y1: f64) -> Option<Object> {
        WINDOW.object(Bounds { x0, y0, x1, y1 }, 0.5, 1, 0)
    }

    #[test]
    fn boxes_become_the_images_and_are_clipped_to_it() {
        let object = found(50.0, 40.0, 70.0, 70.0).unwrap();
        assert_eq!(object.bounds, Bounds { x0: 90.0, y0: 40.0, x1: 100.0, y1: 50.0 });
        assert!(object.own && !object.cut, "the image ends there, so nothing is cut off");
        assert_eq!(found(61.0, 0.0, 63.0, 8.0), None, "all of it is reflection");
    }

    #[test]
    fn centres_beside_the_core_are_kept_within_the_margin_but_not_owned() {
        assert!(found(14.0, 10.0, 20.0, 20.0).is_some_and(|o| !o.own && !o.cut));
        assert!(found(18.0, 10.0, 22.0, 20.0).is_some_and(|o| o.own));
        assert_eq!(found(10.0, 10.0, 20.0, 20.0), None);
    }

    #[test]
    fn a_box_at_a_border_inside_the_image_may_be_a_part() {
        assert!(found(0.5, 10.0, 45.0, 20.0).is_some_and(|o| o.cut));
        assert!(found(30.0, 0.0, 45.0, 20.0).is_some_and(|o| !o.cut));
    }
}
