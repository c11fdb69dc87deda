//! Which input pixels an output pixel needs: the algebra tiles' halos are derived from.

/// One axis: output pixel o needs the input pixels floor((o·step + first) / div) to
/// floor((o·step + last) / div), both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisReach {
    /// Input pixels per output pixel, times `div`.
    pub step: i64,
    /// Denominator; positive.
    pub div: i64,
    /// Offset of the first pixel needed, times `div`.
    pub first: i64,
    /// Offset of the last pixel needed, times `div`.
    pub last: i64,
}

impl AxisReach {
    /// Each output pixel needs the input pixel at its own place.
    pub const SAME: Self = Self { step: 1, div: 1, first: 0, last: 0 };

    /// A sliding window of `kernel` taps.
    pub fn window(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Self {
        let (k, s, p, d) = (kernel as i64, stride as i64, padding as i64, dilation as i64);
        Self { step: s, div: 1, first: -p, last: d * (k - 1) - p }
    }

    /// Each input pixel is copied to `factor` output pixels.
    pub fn finer(factor: usize) -> Self {
        Self { step: 1, div: factor as i64, first: 0, last: 0 }
    }

    /// Each output pixel is made of a block of `factor` input pixels.
    pub fn coarser(factor: usize) -> Self {
        Self { step: factor as i64, div: 1, first: 0, last: factor as i64 - 1 }
    }

    /// Input pixels (first, one past the last) that output pixels `from..to` need.
    pub fn needs(&self, from: i64, to: i64) -> (i64, i64) {
        let first = (from * self.step + self.first).div_euclid(self.div);
        let last = ((to - 1) * self.step + self.last).div_euclid(self.div);
        (first, last + 1)
    }
}

/// What an operator needs along the last two axes (rows, columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A window that slides with the output pixel.
    Window([AxisReach; 2]),
    /// The whole image, or something that does not slide.
    Global,
}

impl Reach {
    /// Pixel by pixel.
    pub const SAME: Self = Reach::Window([AxisReach::SAME; 2]);

    /// Pixel by pixel unless the axis is one of the last two of a tensor of that rank.
    pub fn across(axis: usize, rank: usize) -> Self {
        if axis + 2 < rank {
            Self::SAME
        } else {
            Self::Global
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_by_their_taps() {
        assert_eq!(AxisReach::window(3, 1, 1, 1).needs(10, 20), (9, 21));
        assert_eq!(AxisReach::window(3, 2, 1, 2).needs(10, 20), (19, 42));
        assert_eq!(AxisReach::finer(2).needs(-3, 7), (-2, 4));
        assert_eq!(AxisReach::coarser(4).needs(2, 3), (8, 12));
    }
}
