//! Single parts of the networks, as the reference's own layers computed them.

use swath::graph::{Builder, Var};
use swath::models::{Swin, SwinStage};
use swath::ops::{Anchors, BoxDecode, ConvTranspose2d, Nms, Pool2d, RoiAlign};
use swath::tensor::{MemoryStore, Shape};
use swath::util::npy::Array;
use swath::weights::Weights;

use crate::fixtures::{evaluate, fixtures, Fixture};

fn part(name: &str) -> Option<Fixture> {
    fixtures("ops", 10)?.into_iter().find(|fixture| fixture.name == name)
}

fn array(dims: &[usize], data: Vec<f32>) -> Array {
    Array { shape: Shape::new(dims).unwrap(), data }
}

fn swin(width: usize, heads: usize) -> (Swin, SwinStage) {
    let stage = SwinStage { width, heads, depth: 1, hidden: 4 * width, bias_hidden: 512 };
    (Swin { v2: true, channels: 3, window: 8, stages: vec![stage.clone()] }, stage)
}

/// A part with weights of its own on each of its inputs.
fn check(fixture: &Fixture, suffix: &str, build: impl for<'b> Fn(&'b Builder, Var<'b>) -> Var<'b>) {
    let weights = Weights::open(&fixture.folder.join("weights.pth"), None).unwrap();
    let file = |what: &str| fixture.array(&format!("{what}{suffix}.npy")).unwrap();
    let got = evaluate(&[file("x")], &weights, |b, x| vec![build(b, x[0])]);
    fixture.compare(suffix, &got[0], &file("y"), 1e-6);
}

#[test]
fn windows_of_every_fit_and_shift() {
    let Some(fixture) = part("window_attention_v2") else { return };
    let (swin, stage) = swin(32, 4);
    for size in ["16x16", "8x8", "12x20", "5x24", "3x3", "8x17"] {
        for (shift, shifted) in [("s0", false), ("s4", true)] {
            check(&fixture, &format!("_{shift}_{size}"), |b, x| swin.attention(b, x, &stage, shifted));
        }
    }
}

#[test]
fn a_block_and_merging() {
    let Some(fixture) = part("swin_block_v2") else { return };
    let (net, stage) = swin(16, 2);
    let shifted = evaluate_block(&fixture, &net, &stage, true);
    let plain = evaluate_block(&fixture, &net, &stage, false);
    let wanted = fixture.array("y.npy").unwrap();
    let distance =
        |got: &Array| got.data.iter().zip(&wanted.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(distance(&shifted).min(distance(&plain)) < 1e-4);
    let Some(fixture) = part("patch_merging_v2") else { return };
    let (net, _) = swin(12, 1);
    for size in ["8x8", "7x6", "5x3", "1x1"] {
        check(&fixture, &format!("_{size}"), |b, x| net.merge(b, "", x, 24));
    }
}

fn evaluate_block(fixture: &Fixture, net: &Swin, stage: &SwinStage, shifted: bool) -> Array {
    let weights = Weights::open(&fixture.folder.join("weights.pth"), None).unwrap();
    let x = fixture.array("x.npy").unwrap();
    evaluate(&[x], &weights, |b, x| vec![net.block(b, "", x[0], stage, shifted)]).remove(0)
}

#[test]
fn anchors_of_every_map() {
    let Some(fixture) = part("anchors") else { return };
    let cells = [0, 1, 2, 3].map(|level| fixture.array(&format!("cell_{level}.npy")).unwrap());
    // Maps of an image, and of one of 740 pixels that is padded.
    let whole = [4, 8, 16, 32].map(|stride| [128 / stride, 160 / stride]);
    let padded = [185, 93, 47, 24].map(|side| [side; 2]);
    for (maps, file, every) in [(whole, "anchors_128x160", 1), (padded, "anchors_768x768_every97", 97)] {
        let wanted = fixture.array(&format!("{file}.npy")).unwrap();
        let got = evaluate(&[array(&[1], vec![0.0])], &MemoryStore::new(), |b, x| {
            let constant = |level: usize| {
                let cell = std::array::from_fn(|k| std::array::from_fn(|i| cells[level].data[4 * k + i]));
                b.constant(Anchors { map: maps[level], stride: [4 << level; 2], cell })
            };
            let all: Vec<Var<'_>> = (0..4).map(constant).collect();
            vec![all[0].concat(&all[1..], 1).scale(1.0), x[0].scale(1.0)]
        });
        let kept: Vec<f32> = got[0].data.chunks(4).step_by(every).flatten().copied().collect();
        assert!(kept == wanted.data, "{file}");
    }
}

#[test]
fn boxes_are_decoded() {
    let Some(fixture) = part("box_coder") else { return };
    let file = |name: &str| fixture.array(&format!("{name}.npy")).unwrap();
    for (codes, decoded, weights) in
        [("codes_rpn", "decoded_rpn", [1.0; 4]), ("codes_roi", "decoded_roi", [10.0, 10.0, 5.0, 5.0])]
    {
        let inputs = [
            array(&[1, 50, 4], file("proposals").data),
            array(&[1, 50, 8], file(codes).data),
            array(&[1, 50, 2], vec![1.0; 100]),
        ];
        // Boxes are cut at an image; this one is large, and zero is an edge.
        let size = [1 << 20; 2];
        let got = evaluate(&inputs, &MemoryStore::new(), |_, x| {
            let decode = BoxDecode { first: 0, label: 0, weights, size };
            vec![x[0].box_decode(x[1], x[2], decode).slice(2, 0..4)]
        });
        let wanted = file(decoded).data.iter().map(|v| v.max(0.0)).collect();
        fixture.compare(decoded, &got[0], &array(&[1, 100, 4], wanted), 1e-6);
    }
}

#[test]
fn suppression_keeps_what_the_reference_keeps() {
    let Some(fixture) = part("nms") else { return };
    let file = |name: &str| fixture.array(&format!("{name}.npy")).unwrap();
    for (prefix, kept, labelled, iou) in [
        ("", "nms_3", false, 0.3),
        ("", "nms_5", false, 0.5),
        ("", "nms_7", false, 0.7),
        ("", "batched_nms_3", true, 0.3),
        ("", "batched_nms_5", true, 0.5),
        ("", "batched_nms_7", true, 0.7),
        ("big_", "big_batched_nms_7", true, 0.7),
        ("tie_", "tie_keep_5", false, 0.5),
    ] {
        let (boxes, scores) = (file(&format!("{prefix}boxes")), file(&format!("{prefix}scores")));
        let labels = match labelled {
            true => file(&format!("{prefix}labels")).data,
            false => vec![0.0; scores.data.len()],
        };
        let row = |k: usize| [&boxes.data[4 * k..4 * k + 4], &[scores.data[k], labels[k]]].concat();
        let rows: Vec<f32> = (0..labels.len()).flat_map(row).collect();
        let input = array(&[1, labels.len(), 6], rows);
        let nms = Nms { iou, score_above: f32::NEG_INFINITY, min_side: 0.0, capacity: labels.len() };
        let got = evaluate(&[input], &MemoryStore::new(), |_, x| vec![x[0].nms(nms)]);
        let wanted: Vec<f32> = file(kept).data.iter().flat_map(|&k| row(k as usize)).collect();
        let found = got[0].data.chunks(6).take_while(|row| row[4] > f32::NEG_INFINITY).count();
        assert_eq!(found * 6, wanted.len(), "{kept}");
        assert_eq!(got[0].data[..wanted.len()], wanted, "{kept}");
    }
}

#[test]
fn boxes_are_pooled_out_of_a_pyramid() {
    let Some(fixture) = part("multiscale_roi_align") else { return };
    let file = |name: &str| fixture.array(&format!("{name}.npy")).unwrap();
    let boxes = [file("boxes_img0"), file("boxes_img1")];
    let most = boxes[0].shape[0];
    let mut rows = Vec::new();
    for boxes in &boxes {
        boxes.data.chunks(4).for_each(|b| rows.extend([b, &[1.0, 0.0]].concat()));
        (boxes.shape[0]..most).for_each(|_| rows.extend([0.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY, 0.0]));
    }
    let mut inputs = vec![array(&[2, most, 6], rows)];
    inputs.extend((0..4).map(|k| file(&format!("feat{k}"))));
    let got = evaluate(&inputs, &MemoryStore::new(), |_, x| {
        vec![x[0].roi_align(&x[1..], RoiAlign { size: 7, samples: 2, image: [256, 320] })]
    });
    let wanted = file("pooled7");
    let (all, bins) = (boxes.iter().map(|b| b.shape[0]).sum::<usize>(), 4 * 7 * 7);
    let held = array(&[all, 4, 7, 7], got[0].data[..all * bins].to_vec());
    fixture.compare("pooled7", &held, &wanted, 1e-6);
    assert!(got[0].data[all * bins..].iter().all(|&v| v == 0.0));
}

/// Boxes of two images out of one map of a quarter of their side.
#[test]
fn boxes_are_pooled_out_of_one_map() {
    let Some(fixture) = part("roi_align") else { return };
    let file = |name: &str| fixture.array(&format!("{name}.npy")).unwrap();
    let rois = file("rois");
    let of_image = |image: usize| -> Vec<(usize, &[f32])> {
        rois.data.chunks(5).enumerate().filter(|(_, roi)| roi[0] as usize == image).collect()
    };
    let images = [of_image(0), of_image(1)];
    let most = images.iter().map(Vec::len).max().unwrap();
    let mut rows = Vec::new();
    for rois in &images {
        rois.iter().for_each(|(_, roi)| rows.extend([&roi[1..], &[1.0, 0.0]].concat()));
        (rois.len()..most).for_each(|_| rows.extend([0.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY, 0.0]));
    }
    let inputs = [array(&[2, most, 6], rows), file("feat")];
    for size in [7, 14] {
        let got = evaluate(&inputs, &MemoryStore::new(), |_, x| {
            vec![x[0].roi_align(&x[1..], RoiAlign { size, samples: 2, image: [80, 120] })]
        });
        let wanted = file(&format!("out{size}_s025_r2"));
        let bins = 3 * size * size;
        let mut compared = 0;
        for (image, rois) in images.iter().enumerate() {
            for (k, (at, _)) in rois.iter().enumerate() {
                let part =
                    |array: &Array, k: usize| self::array(&[bins], array.data[k * bins..][..bins].to_vec());
                fixture.compare("roi", &part(&got[0], image * most + k), &part(&wanted, *at), 1e-6);
                compared += 1;
            }
        }
        assert_eq!(compared, rois.shape[0]);
    }
}

#[test]
fn enlargement_and_pooling() {
    use swath::kernel::resize::ResizeMode::Nearest;
    let Some(fixture) = part("misc") else { return };
    let file = |name: &str| fixture.array(&format!("{name}.npy")).unwrap();
    let mut store = MemoryStore::new();
    for name in ["w4", "b4", "w2"] {
        let weight = file(name);
        store.insert(name, &weight.shape, weight.data).unwrap();
    }
    let got = evaluate(&[file("x"), file("gelu_x")], &store, |b, x| {
        let apart = ConvTranspose2d { stride: 2, padding: 0 };
        let bias = Some(b.param("b4", &[4]));
        let pool = Pool2d { stride: [2; 2], padding: [1; 2], ..Pool2d::square(3) };
        let mut results = vec![
            x[0].conv_transpose2d(b.param("w4", &[3, 4, 4, 4]), bias, ConvTranspose2d::doubling()),
            x[0].conv_transpose2d(b.param("w2", &[3, 4, 2, 2]), bias, apart),
            x[0].max_pool2d(pool),
            x[1].gelu(),
        ];
        results.extend([[10, 14], [9, 13], [11, 20]].map(|size| x[0].resize(Nearest, size)));
        results
    });
    let names = [
        "convT_k4s2p1",
        "convT_k2s2",
        "maxpool3s2p1",
        "gelu_y",
        "nearest_10x14",
        "nearest_9x13",
        "nearest_11x20",
    ];
    for (name, got) in names.into_iter().zip(&got) {
        fixture.compare(name, got, &file(name), 1e-6);
    }
}
