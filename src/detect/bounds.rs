//! Axis-parallel boxes.

use crate::tile::Rect;

/// A box: left, upper, right, lower edge, in pixels from the upper left corner of the upper left pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub x0: f64,
    /// Upper edge.
    pub y0: f64,
    /// Right edge.
    pub x1: f64,
    /// Lower edge.
    pub y1: f64,
}

impl Bounds {
    /// The outline of whole pixels.
    pub fn of(rect: &Rect) -> Self {
        Self { x0: rect.x0 as f64, y0: rect.y0 as f64, x1: rect.x1 as f64, y1: rect.y1 as f64 }
    }

    /// Area; 0 when empty.
    pub fn area(&self) -> f64 {
        (self.x1 - self.x0).max(0.0) * (self.y1 - self.y0).max(0.0)
    }

    /// Column and row of the middle.
    pub fn centre(&self) -> (f64, f64) {
        ((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }

    /// The common part; empty where there is none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }

    /// Moved.
    #[must_use]
    pub fn shift(&self, dx: f64, dy: f64) -> Self {
        Self { x0: self.x0 + dx, y0: self.y0 + dy, x1: self.x1 + dx, y1: self.y1 + dy }
    }

    /// Whether a position lies inside; left and upper edges belong to it, right and lower ones do not.
    pub fn holds(&self, (x, y): (f64, f64)) -> bool {
        self.x0 <= x && x < self.x1 && self.y0 <= y && y < self.y1
    }

    /// Grown on every side.
    #[must_use]
    pub fn grow(&self, by: f64) -> Self {
        Self { x0: self.x0 - by, y0: self.y0 - by, x1: self.x1 + by, y1: self.y1 + by }
    }

    /// Common area over the area of both together, and over that of the smaller one; 0 where either is empty.
    pub fn overlap(&self, other: &Self) -> (f64, f64) {
        let common = self.intersect(other).area();
        let (a, b) = (self.area(), other.area());
        match common > 0.0 {
            true => (common / (a + b - common), common / a.min(b)),
            false => (0.0, 0.0),
        }
    }
}
