//! Operators of detectors' boxes: anchors, decoding, suppression.

use super::{f32_of, pointwise_cost, u32_of, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::boxes::{AnchorsParams, BoxDecodeParams, NmsParams, MAX_CELL, ROW};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// The anchors of a feature map, (1, rows · columns · count, 4): boxes around each of its cells, in
/// pixels of the image. No inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchors {
    /// Rows and columns of the map.
    pub map: [usize; 2],
    /// Image pixels per row and column of the map.
    pub stride: [usize; 2],
    /// The anchors of the first cell.
    pub cell: [[f32; 4]; MAX_CELL],
}

/// Boxes moved and scaled by what a network says. Inputs: references (n or 1, k, 4) or rows (n, k, 6),
/// deltas (n, k, 4 · classes), scores (n, k, classes). Gives rows (n, k · classes less `first`, 6) of box,
/// score and label, labels being `label` plus the class. See [`crate::kernel::boxes`] for the formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxDecode {
    /// The first class that counts.
    pub first: usize,
    /// Label of class 0.
    pub label: usize,
    /// Weights of dx, dy, dw, dh.
    pub weights: [f32; 4],
    /// Rows and columns of the image boxes are cut at.
    pub size: [usize; 2],
}

/// Of rows (n, k, 6), the best `capacity` that no better one of the same label overlaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nms {
    /// Largest overlap, as intersection over union.
    pub iou: f32,
    /// Scores must be above this.
    pub score_above: f32,
    /// Least side of a box.
    pub min_side: f32,
    /// Rows of the result.
    pub capacity: usize,
}

impl OpDef for Anchors {
    const NAME: &'static str = "anchors";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        if !ins.is_empty() {
            return Err(Error::shape(format!("{} inputs given, none wanted", ins.len())));
        }
        let cells = self.map[0].checked_mul(self.map[1]).and_then(|cells| cells.checked_mul(MAX_CELL));
        f32_of(&[1, cells.ok_or_else(|| Error::limit("a map of too many cells"))?, 4])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, _ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let params = AnchorsParams {
            rows: u32_of(self.map[0])?,
            columns: u32_of(self.map[1])?,
            stride: [u32_of(self.stride[0])?, u32_of(self.stride[1])?],
            count: MAX_CELL as u32,
            reserved: 0,
            cell: self.cell,
        };
        Ok(vec![Call::of(Kernel::Anchors(params), [])])
    }
}

impl BoxDecode {
    fn params(&self, ins: &[[usize; 3]; 3]) -> Result<BoxDecodeParams> {
        let [references, deltas, scores] = *ins;
        let [batch, k, classes] = scores;
        let shared = references[0] == 1 && batch != 1;
        let fits = (references[0] == batch || shared)
            && [references[1], deltas[1]] == [k; 2]
            && deltas[0] == batch
            && Some(deltas[2]) == classes.checked_mul(4)
            && (references[2] == 4 || references[2] == ROW)
            && self.first < classes;
        if !fits {
            return Err(Error::shape(format!("boxes {references:?} decoded by {deltas:?} and {scores:?}")));
        }
        Ok(BoxDecodeParams {
            batch: u32_of(batch)?,
            k: u32_of(k)?,
            classes: u32_of(classes)?,
            first: u32_of(self.first)?,
            label: u32_of(self.label)?,
            width: u32_of(references[2])?,
            shared: u32::from(shared),
            reserved: 0,
            weights: self.weights,
            size: [self.size[0] as f32, self.size[1] as f32],
        })
    }
}

/// The three extents of each of `N` inputs.
pub(super) fn triples<const N: usize>(shapes: &[&[usize]]) -> Result<[[usize; 3]; N]> {
    let triple = |dims: &&[usize]| <[usize; 3]>::try_from(*dims).ok();
    let all: Option<Vec<[usize; 3]>> = shapes.iter().map(triple).collect();
    all.and_then(|all| all.try_into().ok())
        .ok_or_else(|| Error::shape(format!("{shapes:?} are no {N} tensors of rank three")))
}

impl OpDef for BoxDecode {
    const NAME: &'static str = "box_decode";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let shapes: Vec<&[usize]> = ins.iter().map(|s| &*s.shape).collect();
        let shapes = triples::<3>(&shapes)?;
        self.params(&shapes)?;
        let [batch, k, classes] = shapes[2];
        f32_of(&[batch, k * (classes - self.first), ROW])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let shapes: Vec<&[usize]> = ins.iter().map(|l| &*l.shape).collect();
        Ok(vec![Call::of(Kernel::BoxDecode(self.params(&triples::<3>(&shapes)?)?), 0..3)])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(4, ins, out)
    }
}

impl OpDef for Nms {
    const NAME: &'static str = "nms";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let shapes: Vec<&[usize]> = ins.iter().map(|s| &*s.shape).collect();
        let [[batch, rows, width]] = triples::<1>(&shapes)?;
        if width != ROW || self.capacity == 0 {
            return Err(Error::shape(format!("{} of rows of {width} numbers (of {ROW})", self.capacity)));
        }
        f32_of(&[batch, self.capacity.min(rows), ROW])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let params = NmsParams {
            batch: u32_of(ins[0].shape[0])?,
            rows: u32_of(ins[0].shape[1])?,
            capacity: u32_of(y.shape[1])?,
            iou: self.iou,
            score_above: self.score_above,
            min_side: self.min_side,
        };
        Ok(vec![Call::of(Kernel::Nms(params), [0])])
    }
}
