//! Half-open pixel rectangles, and the only coordinate arithmetic of the crate.

use std::fmt;

/// Pixels `x0..x1` by `y0..y1`. May lie outside an image (a tile's halo does).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Left edge, included.
    pub x0: i64,
    /// Upper edge, included.
    pub y0: i64,
    /// Right edge, excluded.
    pub x1: i64,
    /// Lower edge, excluded.
    pub y1: i64,
}

impl Rect {
    /// The rectangle with its upper left corner at `x`, `y`.
    pub fn at(x: i64, y: i64, width: usize, height: usize) -> Self {
        Self { x0: x, y0: y, x1: x + width as i64, y1: y + height as i64 }
    }

    /// A whole image.
    pub fn of_size(width: usize, height: usize) -> Self {
        Self::at(0, 0, width, height)
    }

    /// Columns; 0 when empty.
    pub fn width(&self) -> usize {
        (self.x1 - self.x0).max(0) as usize
    }

    /// Rows; 0 when empty.
    pub fn height(&self) -> usize {
        (self.y1 - self.y0).max(0) as usize
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        self.width() * self.height()
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        self.x1 <= self.x0 || self.y1 <= self.y0
    }

    /// The common part; empty rectangles are normalised to zero size.
    #[must_use]
    pub fn intersect(&self, other: &Rect) -> Rect {
        let x0 = self.x0.max(other.x0);
        let y0 = self.y0.max(other.y0);
        Rect { x0, y0, x1: self.x1.min(other.x1).max(x0), y1: self.y1.min(other.y1).max(y0) }
    }

    /// The smallest rectangle around both; an empty one adds nothing.
    #[must_use]
    pub fn around(&self, other: &Rect) -> Rect {
        if self.is_empty() || other.is_empty() {
            return if self.is_empty() { *other } else { *self };
        }
        Rect {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// Whether `other` lies wholly inside.
    pub fn contains(&self, other: &Rect) -> bool {
        other.is_empty()
            || (self.x0 <= other.x0 && self.y0 <= other.y0 && other.x1 <= self.x1 && other.y1 <= self.y1)
    }

    /// Grown by `n` pixels on every side (shrunk when negative).
    #[must_use]
    pub fn grow(&self, n: i64) -> Rect {
        Rect { x0: self.x0 - n, y0: self.y0 - n, x1: self.x1 + n, y1: self.y1 + n }
    }

    /// Moved.
    #[must_use]
    pub fn shift(&self, dx: i64, dy: i64) -> Rect {
        Rect { x0: self.x0 + dx, y0: self.y0 + dy, x1: self.x1 + dx, y1: self.y1 + dy }
    }

    /// On a grid `n` times finer.
    #[must_use]
    pub fn scale_up(&self, n: i64) -> Rect {
        Rect { x0: self.x0 * n, y0: self.y0 * n, x1: self.x1 * n, y1: self.y1 * n }
    }

    /// On a grid `n` times coarser: the smallest rectangle that covers this one.
    #[must_use]
    pub fn scale_down_cover(&self, n: i64) -> Rect {
        let up = |v: i64| -(-v).div_euclid(n);
        Rect { x0: self.x0.div_euclid(n), y0: self.y0.div_euclid(n), x1: up(self.x1), y1: up(self.y1) }
    }
}

impl fmt::Display for Rect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x {}..{}, y {}..{}", self.x0, self.x1, self.y0, self.y1)
    }
}
