//! Contracts of detectors' boxes: anchors, decoding, and suppression of those that overlap.
//!
//! A box is (x1, y1, x2, y2). Boxes that compete lie in rows of [`ROW`] numbers: box, score, label; a
//! row whose score is minus infinity holds none. There is always room for as many rows as there can be.

use bytemuck::{Pod, Zeroable};

/// Numbers of a row: x1, y1, x2, y2, score, label.
pub const ROW: usize = 6;

/// The score of a row without a box.
pub const NO_BOX: f32 = f32::NEG_INFINITY;

/// Largest logarithm of a factor on a box's side: that of 1000/16.
pub const MAX_LOG_SIDE: f64 = 4.135_166_556_742_356;

/// Most anchors of a cell.
pub const MAX_CELL: usize = 3;

/// Parameters of the anchors of a feature map; no operands. y is (rows · columns · count, 4), rows first.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct AnchorsParams {
    /// Rows of the map.
    pub rows: u32,
    /// Columns of the map.
    pub columns: u32,
    /// Image pixels per row and column of the map.
    pub stride: [u32; 2],
    /// Anchors of a cell.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// The anchors of the first cell.
    pub cell: [[f32; 4]; MAX_CELL],
}

impl AnchorsParams {
    /// The anchor of that index.
    pub fn anchor(&self, index: usize) -> [f32; 4] {
        let (count, columns) = (self.count as usize, self.columns as usize);
        let place = index / count;
        let x = (place % columns * self.stride[1] as usize) as f32;
        let y = (place / columns * self.stride[0] as usize) as f32;
        let [x1, y1, x2, y2] = self.cell[index % count];
        [x1 + x, y1 + y, x2 + x, y2 + y]
    }

    /// Anchors of the map.
    pub fn len(&self) -> usize {
        self.rows as usize * self.columns as usize * self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Parameters of decoding: reference boxes moved and scaled by what a network says of each class.
///
/// Operands: references (k boxes, of `width` numbers each, for every item of the batch or, if `shared`,
/// for all), deltas (batch, k, 4 · classes), scores (batch, k, classes). y is rows (batch, k · (classes -
/// first), 6): with weights w and a reference's centre and sides, `c' = dx / wx · side + c` and `side' =
/// exp(min(ds / ws, ln(1000 / 16))) · side`, cut at the image. References in rows without a box give none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct BoxDecodeParams {
    /// Items.
    pub batch: u32,
    /// References of an item.
    pub k: u32,
    /// Classes.
    pub classes: u32,
    /// The first class that counts.
    pub first: u32,
    /// Label of class 0.
    pub label: u32,
    /// Numbers of a reference: 4, or 6 for rows.
    pub width: u32,
    /// 1 if all items have the same references.
    pub shared: u32,
    /// Zero.
    pub reserved: u32,
    /// Weights of dx, dy, dw, dh.
    pub weights: [f32; 4],
    /// Rows and columns of the image.
    pub size: [f32; 2],
}

/// Parameters of suppression. Operand: rows (batch, rows, 6). Of the rows with a score above
/// `score_above` and both sides at least `min_side`, the best `capacity` that no better one of the same
/// label overlaps by more than `iou` of their union; best first, of equals the earlier. y is (batch,
/// capacity, 6).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct NmsParams {
    /// Items.
    pub batch: u32,
    /// Rows of an item.
    pub rows: u32,
    /// Rows of an item of y.
    pub capacity: u32,
    /// Largest overlap.
    pub iou: f32,
    /// Scores must be above this.
    pub score_above: f32,
    /// Least side.
    pub min_side: f32,
}

/// The pattern of a row of y without a box.
pub const EMPTY_ROW: [f32; ROW] = [0.0, 0.0, 0.0, 0.0, NO_BOX, 0.0];
