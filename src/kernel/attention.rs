//! Contract of attention within windows of a token map, as Swin transformers use it.
//!
//! x holds queries, keys and values of every token, (batch, rows, columns, 3 · heads · head_dim), split
//! in that order, each into heads. The map is widened on the right and below to whole windows by
//! tokens that hold `pad` (3 · heads · head_dim), and looked at as if it had been rolled by `shift` up
//! and left; y is the map before both, (batch, rows, columns, heads · head_dim).
//!
//! Within a window, for each head: `softmax(q · kᵀ · s + bias + mask) · v`, where
//! - s is head_dim^-½, or, if `cosine`, exp(min(scale\[head\], ln 100)) with q and k divided by their
//!   lengths (at least 1e-12);
//! - bias is (heads, (2w - 1)²), read at ((yi - yj + w - 1)·(2w - 1) + xi - xj + w - 1) for query i
//!   and key j;
//! - mask is -100 between tokens that the roll brought together from different sides of the map.
//!
//! Operands: x, pad, bias, then scale (heads) if `cosine`. Everything lies gap-free.

use bytemuck::{Pod, Zeroable};

/// The logarithm of the largest factor of cosine attention.
pub const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;

/// Added between tokens that are no neighbours in the map.
pub const MASKED: f32 = -100.0;

/// Parameters of one window attention; pairs as (vertical, horizontal).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct WindowAttentionParams {
    /// Maps.
    pub batch: u32,
    /// Rows and columns of a map.
    pub size: [u32; 2],
    /// Heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Side of a window, w.
    pub window: u32,
    /// The roll, below `window`.
    pub shift: [u32; 2],
    /// 1 for cosine attention.
    pub cosine: u32,
    /// Zero.
    pub reserved: u32,
}

impl WindowAttentionParams {
    /// Windows along both axes.
    pub fn windows(&self) -> [usize; 2] {
        self.size.map(|extent| extent.div_ceil(self.window.max(1)) as usize)
    }

    /// Tokens of a window.
    pub fn tokens(&self) -> usize {
        self.window as usize * self.window as usize
    }

    /// Tokens of all maps.
    pub fn map_tokens(&self) -> usize {
        self.batch as usize * self.size[0] as usize * self.size[1] as usize
    }

    /// Elements of a token of y.
    pub fn channels(&self) -> usize {
        self.heads as usize * self.head_dim as usize
    }

    /// Elements of the bias of one head.
    pub fn bias_len(&self) -> usize {
        let side = 2 * self.window as usize - 1;
        side * side
    }

    /// Row or column of the map that index `i` of a rolled, widened axis shows; `None` for padding.
    pub fn source(&self, axis: usize, i: usize) -> Option<usize> {
        let extent = self.windows()[axis] * self.window as usize;
        let at = (i + self.shift[axis] as usize) % extent.max(1);
        (at < self.size[axis] as usize).then_some(at)
    }

    /// The region of a rolled, widened axis that index `i` lies in: tokens of different regions
    /// are masked from each other.
    pub fn region(&self, axis: usize, i: usize) -> u32 {
        let (window, shift) = (self.window as usize, self.shift[axis] as usize);
        let extent = self.windows()[axis] * window;
        if shift == 0 || i + window < extent {
            0
        } else if i + shift < extent {
            1
        } else {
            2
        }
    }

    /// Place of a query's and a key's bias in a head's, by their rows and columns in the window.
    pub fn bias_at(&self, query: [usize; 2], key: [usize; 2]) -> usize {
        let w = self.window as usize;
        (query[0] + w - 1 - key[0]) * (2 * w - 1) + query[1] + w - 1 - key[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolled_axis_shows_the_map_and_its_padding() {
        let p = WindowAttentionParams {
            batch: 1,
            size: [5, 8],
            heads: 1,
            head_dim: 1,
            window: 4,
            shift: [2, 0],
            cosine: 0,
            reserved: 0,
        };
        assert_eq!(p.windows(), [2, 2]);
        let rows: Vec<_> = (0..8).map(|i| p.source(0, i)).collect();
        assert_eq!(rows, [Some(2), Some(3), Some(4), None, None, None, Some(0), Some(1)]);
        assert_eq!((0..8).map(|i| p.region(0, i)).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 2, 2]);
        assert!((0..8).all(|i| p.region(1, i) == 0 && p.source(1, i) == Some(i)));
        assert_eq!(p.bias_at([0, 0], [3, 3]), 0);
        assert_eq!(p.bias_at([3, 3], [0, 0]), 48);
    }
}
