//! The region detector of a head, Faster R-CNN or Mask R-CNN with torchvision's constants: proposals out
//! of a pyramid, classified and moved, and masks of what is left. Every count has a fixed capacity.

use super::super::build::MAX_DETECTIONS;
use super::super::layers::{conv, linear};
use crate::error::Error;
use crate::graph::{Builder, Var};
use crate::ops::{Anchors, BoxDecode, Conv2d, ConvTranspose2d, Nms, RoiAlign};

/// Anchors and the region of an image are measured in multiples of this.
const PADDING: usize = 32;
/// Heights over widths of a cell's anchors.
const ASPECTS: [f64; 3] = [0.5, 1.0, 2.0];
/// Anchors that go on per map, and proposals per image.
const PROPOSALS: usize = 2000;
/// Channels of the mask branch.
const MASK_CHANNELS: usize = 256;
/// Channels of the box branch.
const BOX_CHANNELS: usize = 1024;
/// Samples of a bin along either side.
const SAMPLES: usize = 2;

/// Suppression of proposals, map by map.
const PROPOSAL_NMS: Nms =
    Nms { iou: 0.7, score_above: f32::NEG_INFINITY, min_side: 1e-3, capacity: PROPOSALS };
/// Suppression of detections, class by class.
const DETECTION_NMS: Nms = Nms { iou: 0.5, score_above: 0.05, min_side: 1e-2, capacity: MAX_DETECTIONS };

/// What a detector gives.
pub struct Detections<'b> {
    /// Rows of boxes, (n, 100, 6): box in input pixels, score, label.
    pub rows: Var<'b>,
    /// The boxes' masks, (n, 100, 28, 28), in the boxes' own coordinates.
    pub masks: Option<Var<'b>>,
}

/// The maps a detector looks at, finest first.
pub struct Maps<'b> {
    /// Those that anchors lie on.
    anchored: Vec<Var<'b>>,
    /// Those that boxes are looked up in.
    pooled: Vec<Var<'b>>,
}

impl<'b> Maps<'b> {
    /// A pyramid.
    pub fn of(pyramid: &[Var<'b>]) -> Self {
        Self { anchored: pyramid.to_vec(), pooled: pyramid.to_vec() }
    }

    /// The first `count` of maps whose first is four times as fine as the second. Boxes are looked up by the powers
    /// of two between the finest and the coarsest, one more than there are maps: the largest find zeros.
    pub fn enlarged(maps: &[Var<'b>], count: usize) -> Self {
        let anchored = maps[..count.min(maps.len())].to_vec();
        let zeros = anchored.last().map(|map| map.scale(0.0));
        Self { pooled: anchored.iter().copied().chain(zeros).collect(), anchored }
    }
}

/// Detections in images of `size` (rows, columns), each map that anchors lie on with anchors of one side. Parameters
/// are asked for within the current scope.
pub fn build<'b>(
    b: &'b Builder,
    maps: &Maps<'b>,
    size: [usize; 2],
    classes: usize,
    masks: bool,
    anchors: &[f64],
) -> Option<Detections<'b>> {
    let size = size.map(|extent| extent.next_multiple_of(PADDING));
    let proposals = proposals(b, &maps.anchored, size, anchors)?;
    let _scope = b.scope("roi_heads");
    let pooled = proposals.roi_align(&maps.pooled, RoiAlign { size: 7, samples: SAMPLES, image: size });
    let flat: usize = pooled.shape().iter().skip(1).product();
    let x = pooled.reshape(&[proposals.dim(0), proposals.dim(1), flat]);
    let x = linear(b, "box_head.fc6", x, BOX_CHANNELS).relu();
    let x = linear(b, "box_head.fc7", x, BOX_CHANNELS).relu();
    let scores = linear(b, "box_predictor.cls_score", x, classes).softmax(2);
    let deltas = linear(b, "box_predictor.bbox_pred", x, 4 * classes);
    let decode = BoxDecode { first: 1, label: 0, weights: [10.0, 10.0, 5.0, 5.0], size };
    let rows = proposals.box_decode(deltas, scores, decode).nms(DETECTION_NMS);
    Some(Detections { rows, masks: masks.then(|| self::masks(b, rows, &maps.pooled, size, classes)) })
}

/// The best anchors of each map, moved, (n, 2000, 6).
fn proposals<'b>(b: &'b Builder, maps: &[Var<'b>], size: [usize; 2], anchors: &[f64]) -> Option<Var<'b>> {
    let _scope = b.scope("rpn.head");
    if anchors.len() != maps.len() {
        b.fail(Error::usage(format!("{} sides of anchors for {} maps", anchors.len(), maps.len())));
        return None;
    }
    let of_map = |(level, (&map, &side)): (usize, (&Var<'b>, &f64))| {
        let [n, h, w] = [0, 2, 3].map(|axis| map.dim(axis));
        let count = ASPECTS.len();
        let x = conv(b, "conv.0.0", map, map.dim(1), 3, Conv2d::same(3)).relu();
        let scores = conv(b, "cls_logits", x, count, 1, Conv2d::default());
        let deltas = conv(b, "bbox_pred", x, 4 * count, 1, Conv2d::default());
        let best = scores.permute(&[0, 2, 3, 1]).reshape(&[n, h * w * count]).top_k(PROPOSALS);
        let deltas = deltas.reshape(&[n, count, 4, h, w]).permute(&[0, 3, 4, 1, 2]);
        let deltas = deltas.reshape(&[n, h * w * count, 4]).gather(best);
        let stride = [size[0] / h.max(1), size[1] / w.max(1)];
        let anchors = b.constant(Anchors { map: [h, w], stride, cell: cell(side) }).gather(best);
        let decode = BoxDecode { first: 0, label: level, weights: [1.0; 4], size };
        anchors.box_decode(deltas, best.slice(2, 0..1).sigmoid(), decode)
    };
    let rows: Vec<Var<'b>> = maps.iter().zip(anchors).enumerate().map(of_map).collect();
    let (first, others) = rows.split_first()?;
    Some(first.concat(others, 1).nms(PROPOSAL_NMS))
}

/// A cell's anchors of a side, rounded to whole pixels.
fn cell(side: f64) -> [[f32; 4]; ASPECTS.len()] {
    ASPECTS.map(|aspect| {
        let [w, h] = [side / aspect.sqrt(), side * aspect.sqrt()];
        let half = |side: f64| (side / 2.0).round_ties_even() as f32;
        [-half(w), -half(h), half(w), half(h)]
    })
}

/// The mask of each detection for its own label.
fn masks<'b>(b: &'b Builder, rows: Var<'b>, maps: &[Var<'b>], size: [usize; 2], classes: usize) -> Var<'b> {
    let x = rows.roi_align(maps, RoiAlign { size: 14, samples: SAMPLES, image: size });
    let x = (0..4)
        .fold(x, |x, k| conv(b, &format!("mask_head.{k}.0"), x, MASK_CHANNELS, 3, Conv2d::same(3)).relu());
    let _scope = b.scope("mask_predictor");
    let w = b.param("conv5_mask.weight", &[MASK_CHANNELS, MASK_CHANNELS, 2, 2]);
    let bias = b.param("conv5_mask.bias", &[MASK_CHANNELS]);
    let x = x.conv_transpose2d(w, Some(bias), ConvTranspose2d { stride: 2, padding: 0 }).relu();
    let all = conv(b, "mask_fcn_logits", x, classes, 1, Conv2d::default()).sigmoid();
    let [boxes, h, w] = [0, 2, 3].map(|axis| all.dim(axis));
    let own = all.reshape(&[boxes, classes, h * w]).gather(rows.reshape(&[boxes, 1, rows.dim(2)]));
    own.reshape(&[rows.dim(0), rows.dim(1), h, w])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_whole_pixels() {
        assert_eq!(cell(32.0)[0], [-23.0, -11.0, 23.0, 11.0]);
        assert_eq!(cell(64.0)[2], [-23.0, -45.0, 23.0, 45.0]);
        assert_eq!(cell(256.0)[1], [-128.0, -128.0, 128.0, 128.0]);
    }
}
