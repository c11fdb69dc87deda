//! Contract of pooling boxes out of a pyramid of feature maps (RoIAlign, not aligned by half a pixel).
//!
//! Operands: rows (batch, rois, 6) as in [`super::boxes`], then the maps (batch, channels, h, w), finest
//! first. y is (batch · rois, channels, size, size). A box is looked up in the map whose scale is nearest
//! to 2^-k, k = floor(4 + log2(√area / 224) + 1e-6). Its corners times the scale span size² bins, at least
//! one pixel a side in all; a bin is the mean of `samples`² bilinear samples spread evenly. A sample more
//! than a pixel outside of the map is zero, others are moved to its edge. Rows without a box give zeros.

use bytemuck::{Pod, Zeroable};

/// Most maps of a pyramid.
pub const MAX_LEVELS: usize = 5;

/// Parameters of one pooling.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct RoiAlignParams {
    /// Items.
    pub batch: u32,
    /// Boxes of an item.
    pub rois: u32,
    /// Channels of the maps.
    pub channels: u32,
    /// Bins along either side.
    pub size: u32,
    /// Samples of a bin along either side.
    pub samples: u32,
    /// Maps.
    pub levels: u32,
    /// Rows and columns of each map.
    pub maps: [[u32; 2]; MAX_LEVELS],
    /// Each map's scale as the negative exponent of two.
    pub shifts: [u32; MAX_LEVELS],
    /// Zero.
    pub reserved: u32,
}

impl RoiAlignParams {
    /// The map a box of that area is looked up in.
    pub fn level(&self, area: f64) -> usize {
        const CANONICAL_SIDE: f64 = 224.0;
        const CANONICAL_LEVEL: f64 = 4.0;
        let k = (CANONICAL_LEVEL + (area.sqrt() / CANONICAL_SIDE).log2() + 1e-6).floor();
        let last = (self.levels as usize).saturating_sub(1);
        let (least, most) = (f64::from(self.shifts[0]), f64::from(self.shifts[last]));
        let k = k.clamp(least, most.max(least));
        // Also where a box has no area or k is no number.
        (k - least).max(0.0) as usize % (last + 1)
    }

    /// Elements of a map of all items.
    pub fn map_len(&self, level: usize) -> usize {
        let [h, w] = self.maps[level];
        self.batch as usize * self.channels as usize * h as usize * w as usize
    }
}
