//! What is done with images beside convolutions: sizes, samples, boxes.

use super::Cases;
use crate::graph::{Builder, Var};
use crate::kernel::resize::ResizeMode;
use crate::kernel::samples::ChannelScale;
use crate::ops::{Anchors, BoxDecode, Nms, Pool2d, RoiAlign};
use crate::tensor::DType;

pub(super) fn all(all: &mut Cases) {
    images(all);
    boxes(all);
    samples(all);
}

fn images(all: &mut Cases) {
    for mode in [ResizeMode::Nearest, ResizeMode::Bilinear, ResizeMode::Bicubic] {
        for size in [[1, 1], [7, 129], [40, 3]] {
            all.push(format!("{mode:?} to {size:?}"), |b| b.input("x", &[2, 3, 9, 20]).resize(mode, size));
        }
    }
    all.push("kornia", |b| b.input("x", &[2, 3, 37, 41]).resize_kornia([9, 10]));
    all.push("kornia of one plane", |b| b.input("x", &[1, 1, 37, 41]).resize_kornia([9, 10]));
    for kernel in [5, 8, 9] {
        let windows = Pool2d { stride: [1, 2], ..Pool2d::square(kernel) };
        all.push(format!("small max pool {kernel}"), |b| b.input("x", &[1, 1, 11, 13]).max_pool2d(windows));
        all.push(format!("small mean pool {kernel}"), |b| b.input("x", &[1, 1, 11, 13]).avg_pool2d(windows));
    }
    for kernel in [2, 5] {
        let windows = Pool2d { stride: [2, 3], padding: [kernel / 2; 2], ..Pool2d::square(kernel) };
        all.push(format!("max pool {kernel}"), |b| b.input("x", &[2, 3, 11, 140]).max_pool2d(windows));
        all.push(format!("mean pool {kernel}"), |b| b.input("x", &[2, 3, 11, 140]).avg_pool2d(windows));
    }
    all.push("shuffles", |b| {
        let x = b.input("x", &[3, 18, 5, 7]).pixel_shuffle(3);
        x.permute(&[3, 0, 2, 1]).relu().permute(&[1, 3, 2, 0]).pixel_shuffle(1).sigmoid()
    });
    all.push("maps", |b| {
        let x = b.input("x", &[2, 3, 130, 5]);
        let slopes = b.param("s", &[3]);
        let norm = |name: &str| b.param(name, &[3]);
        let y = x.prelu(slopes).mul(x.gelu()).maximum(x.scale(0.5));
        y.batch_norm(norm("weight"), norm("bias"), norm("mean"), norm("var"), 1e-5).slice(3, 1..4).sigmoid()
    });
}

/// A detector's steps: boxes decoded from anchors, those that stand apart, their share of two maps.
fn boxes(all: &mut Cases) {
    let nms = Nms { iou: 0.3, score_above: 0.1, min_side: 0.5, capacity: 33 };
    all.push("boxes decoded", decoded);
    all.push("boxes suppressed", |b| decoded(b).nms(Nms { capacity: 200, ..nms }));
    all.push("boxes pooled", |b| {
        let maps = [b.input("fine", &[2, 5, 20, 24]), b.input("coarse", &[2, 5, 10, 12])];
        decoded(b).nms(nms).roi_align(&maps, RoiAlign { size: 3, samples: 2, image: [40, 48] })
    });
    // The first row may be the best.
    all.push("suppression among three", |b| b.input("x", &[40, 3, 6]).nms(Nms { capacity: 2, ..nms }));
    all.push("pooling from one map", |b| {
        let map = b.input("map", &[2, 3, 8, 10]);
        b.input("x", &[2, 7, 6]).roi_align(&[map], RoiAlign { size: 3, samples: 2, image: [32, 40] })
    });
    for (rows, m, k) in [(2, 1, 1), (3, 33, 32), (1, 300, 129)] {
        all.push(format!("best {k} of {rows}x{m}"), |b| b.input("x", &[rows, m]).top_k(k));
        all.push(format!("entries of {rows}x{m}"), |b| {
            let index = b.input("x", &[rows, m]).top_k(k);
            b.input("table", &[rows, m, 7]).gather(index)
        });
    }
}

/// Boxes of the 90 anchors of two images, in two classes.
fn decoded(b: &Builder) -> Var<'_> {
    let cell = [[-4.0, -2.0, 4.0, 2.0], [-3.0, -3.0, 3.0, 3.0], [-2.0, -6.0, 2.0, 6.0]];
    let decode = BoxDecode { first: 1, label: 0, weights: [10.0, 10.0, 5.0, 5.0], size: [40, 48] };
    let anchors = b.constant(Anchors { map: [5, 6], stride: [8, 8], cell });
    let scores = b.input("scores", &[2, 90, 3]).softmax(2);
    anchors.box_decode(b.input("deltas", &[2, 90, 12]), scores, decode)
}

/// Samples in and out, at the ends of their types, about the 128 threads of a block.
fn samples(all: &mut Cases) {
    let clipped = ChannelScale { zero: 100.0, gain: 1.0 / 8160.0, least: 0.0, most: 1.0 };
    let open = ChannelScale { zero: 0.0, gain: 1.0 / 255.0, least: f32::NEG_INFINITY, most: f32::INFINITY };
    for (samples, factor) in [(DType::U8, 60.0), (DType::U16, 9000.0)] {
        for (n, h, w) in [(1, 1, 1), (2, 3, 43), (3, 1, 128), (1, 5, 129)] {
            all.push(format!("{samples} samples of {n} of {h}x{w}"), |b| {
                b.input_of_samples("x", &[n, 6, h, w], samples).normalise(&[clipped, open, clipped])
            });
            all.push(format!("rounded to {samples}, {n} of {h}x{w}"), |b| {
                b.input("x", &[n, 3, h, w]).to_samples(samples, factor)
            });
        }
    }
    all.push("what is no number has no sample", |b| {
        let x = b.input("x", &[3, 7]);
        x.scale(0.0).mul(x.scale(f32::INFINITY)).to_samples(DType::U8, 1.0)
    });
}
