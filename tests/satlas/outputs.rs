//! Outputs as the reference writes and draws them.

use serde_json::Value;
use swath::evaluation::{
    box_list, bytes, class_bits, class_map, decode_bits, encode_bits, polygons, surest, Canvas,
};
use swath::metrics::{Object, Prediction};

use crate::fixtures::{fixtures, Fixture};

fn fixture(name: &str) -> Option<Fixture> {
    fixtures("post", 3)?.into_iter().find(|f| f.name == name)
}

fn read_json(fixture: &Fixture, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture.folder.join(file)).unwrap()).unwrap()
}

fn data(fixture: &Fixture, file: &str) -> Vec<f32> {
    fixture.array(&format!("{file}.npy")).unwrap().data
}

fn small(fixture: &Fixture, file: &str) -> Vec<u8> {
    data(fixture, file).iter().map(|v| *v as u8).collect()
}

/// An array of unsigned 64-bit numbers.
fn wide(fixture: &Fixture, file: &str) -> Vec<u64> {
    let bytes = std::fs::read(fixture.folder.join(format!("{file}.npy"))).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert!(String::from_utf8_lossy(&bytes[..start]).contains("<u8"));
    bytes[start..].chunks(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The rings of a polygon, each begun at its least point, holes in order.
fn normal(rings: &[Vec<[i32; 2]>]) -> Vec<Vec<[i32; 2]>> {
    let turned = |ring: &Vec<[i32; 2]>| {
        let mut ring = ring[..ring.len() - 1].to_vec();
        let least = (0..ring.len()).min_by_key(|at| ring[*at]).unwrap();
        ring.rotate_left(least);
        ring
    };
    let mut rings: Vec<Vec<[i32; 2]>> = rings.iter().map(turned).collect();
    rings[1..].sort();
    rings
}

#[test]
fn masks_become_polygons() {
    let Some(fixture) = fixture("polygonize") else { return };
    let (masks, boxes) = (data(&fixture, "masks"), data(&fixture, "boxes"));
    let wanted: Vec<Vec<Vec<Vec<[i32; 2]>>>> =
        serde_json::from_value(read_json(&fixture, "polygons.json")).unwrap();
    let mut compared = 0;
    for (k, wanted) in wanted.iter().enumerate() {
        let mask = &masks[k * 784..(k + 1) * 784];
        let bounds: [f32; 4] = boxes[4 * k..4 * k + 4].try_into().unwrap();
        let mut got: Vec<_> = polygons(mask, 28, bounds).unwrap().iter().map(|rings| normal(rings)).collect();
        let mut wanted: Vec<_> = wanted.iter().map(|rings| normal(rings)).collect();
        if mask.iter().all(|v| *v > 0.5) {
            assert_eq!((got.len(), wanted.len()), (1, 0), "a mask without an edge is its box");
            continue;
        }
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "mask {k}");
        compared += wanted.len();
    }
    assert!(compared >= 10, "{compared} polygons");
}

#[test]
fn bits_are_encoded() {
    let Some(fixture) = fixture("util") else { return };
    // Pixels come first, classes last.
    let (bits, encoded) = (data(&fixture, "bits"), wide(&fixture, "encoded"));
    let planes: Vec<bool> =
        (0..5).flat_map(|class| bits.iter().skip(class).step_by(5).map(|v| *v != 0.0)).collect();
    assert_eq!(encode_bits(5, &planes), encoded);
    assert_eq!(decode_bits(5, &encoded), planes);
    assert_eq!(data(&fixture, "decoded"), bits);
}

#[test]
fn outputs_are_written_and_drawn() {
    let Some(fixture) = fixture("visualize") else { return };
    let (w, h) = (20, 16);
    let segment = data(&fixture, "segment_probs");
    let palette = [[0, 0, 0], [255, 0, 0], [0, 255, 0]];
    for (name, given) in [("argmax", None), ("thr", Some(&[0.1, 0.4, 0.5][..]))] {
        let classes = class_map(3, &segment, given);
        assert_eq!(classes, small(&fixture, &format!("segment_{name}_out")));
        let vis = Canvas::of_classes(w, h, &classes, &palette);
        assert_eq!(vis.data, small(&fixture, &format!("segment_{name}_vis")));
    }
    let probabilities = data(&fixture, "bin_probs");
    for (name, given) in [("half", None), ("thr", Some(&[0.2, 0.5, 0.8][..]))] {
        let bits = class_bits(3, &probabilities, given);
        assert_eq!(encode_bits(3, &bits), wide(&fixture, &format!("bin_{name}_out")), "{name}");
        let vis = Canvas::of_bits(w, h, &bits, &palette);
        assert_eq!(vis.data, small(&fixture, &format!("bin_{name}_vis")), "{name}");
    }
    assert_eq!(bytes(&data(&fixture, "regress_in")), small(&fixture, "regress_out"));
    let (boxes, scores, labels) =
        (data(&fixture, "det_boxes"), data(&fixture, "det_scores"), data(&fixture, "det_labels"));
    let predictions: Vec<Prediction> = (0..3)
        .map(|k| Prediction {
            object: Object {
                bounds: boxes[4 * k..4 * k + 4].try_into().unwrap(),
                category: labels[k] as usize,
            },
            score: scores[k],
        })
        .collect();
    let categories = ["background", "x", "y"].map(String::from);
    let colours = [[0, 0, 0], [255, 255, 0], [0, 255, 255]];
    for (name, given) in [("all", None), ("thr", Some(&[0.5, 0.5, 0.5][..]))] {
        let kept = surest(&predictions, given);
        assert_eq!(box_list(&kept, &categories), read_json(&fixture, &format!("det_{name}_out.json")));
        let mut vis = Canvas { width: w, height: h, data: small(&fixture, "det_image") };
        // The reference gives a box that is left the colour of the box that was at its place before.
        let objects = kept.iter().enumerate();
        let objects: Vec<Object> =
            objects.map(|(at, (_, p))| Object { category: labels[at] as usize, ..p.object }).collect();
        vis.outline(&objects, &colours);
        assert_eq!(vis.data, small(&fixture, &format!("det_{name}_vis")), "{name}");
    }
}
