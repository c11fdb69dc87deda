//! Metrics against cases that `tests/data/metrics/make.py` computed with other libraries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use swath::dataset::fill;
use swath::metrics::{
    line_counts, point_counts, polygon_counts, ClassMaps, Counts, Matching, Object, Objects, Prediction,
    Rules,
};

fn case(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/metrics/cases.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    all[name].clone()
}

fn get<T: DeserializeOwned>(value: &Value, key: &str) -> T {
    serde_json::from_value(value[key].clone()).unwrap()
}

fn triple(counts: Counts) -> [u64; 3] {
    [counts.tp, counts.fp, counts.fn_]
}

#[test]
fn objects_are_assigned_and_counted() {
    let case = case("detect");
    let mut objects = Objects::new(3, None, Matching::Centre, Rules::Meant);
    for image in case["images"].as_array().unwrap() {
        let boxed = |boxes: &str, categories: &str| -> Vec<Object> {
            let categories: Vec<usize> = get(image, categories);
            let boxes = get::<Vec<[f32; 4]>>(image, boxes).into_iter().zip(categories);
            boxes.map(|(bounds, category)| Object { bounds, category }).collect()
        };
        let scores: Vec<f32> = get(image, "scores");
        let predictions = boxed("boxes", "found").into_iter().zip(scores);
        let predictions: Vec<Prediction> =
            predictions.map(|(object, score)| Prediction { object, score }).collect();
        objects.add(&boxed("labels", "categories"), &predictions);
    }
    let wanted: Vec<Vec<[u64; 3]>> = get(&case, "counts");
    for (curve, wanted) in objects.curves[1..].iter().zip(&wanted) {
        let got: Vec<[u64; 3]> = curve.points.iter().map(|(_, counts)| triple(*counts)).collect();
        assert_eq!(got, *wanted);
    }
    assert!((objects.f1().unwrap() - get::<f64>(&case, "f1")).abs() < 1e-9);
}

#[test]
fn points_lines_and_polygons_are_matched() {
    let points = case("points");
    let counts =
        point_counts(&get::<Vec<_>>(&points, "labels"), &get::<Vec<_>>(&points, "predictions"), 128.0);
    assert_eq!(triple(counts.unwrap()), get::<[u64; 3]>(&points, "counts"));
    let lines = case("lines");
    let drawn = |side: &str| get::<Vec<Vec<[i32; 2]>>>(&lines, side);
    let counts = line_counts(&drawn("labels"), &drawn("predictions"), get(&lines, "side"));
    assert_eq!(triple(counts), get::<[u64; 3]>(&lines, "counts"));
    let polygons = case("polygons");
    let shapes = |side: &str| get::<Vec<Vec<Vec<[f64; 2]>>>>(&polygons, side);
    let found = polygon_counts(&shapes("labels"), &shapes("predictions"), 8192.0);
    assert_eq!(triple(found.counts), get::<[u64; 3]>(&polygons, "counts"));
    let iou: f64 = get(&polygons, "iou");
    assert!((found.iou.unwrap() - iou).abs() < 1e-6, "{:?}, {iou} wanted", found.iou);
}

#[test]
fn rings_are_filled() {
    for case in case("rings").as_array().unwrap() {
        let wanted: Vec<String> = get(case, "rows");
        let mut plane = vec![b'0'; 24 * 24];
        fill(&get::<Vec<[i32; 2]>>(case, "ring"), 24, 24, &mut plane, b'1');
        let got: Vec<&[u8]> = plane.chunks(24).collect();
        assert_eq!(got, wanted.iter().map(|row| row.as_bytes()).collect::<Vec<_>>());
    }
}

#[test]
fn maps_are_scored_batch_by_batch_like_the_reference() {
    let case = case("maps");
    let mut maps = ClassMaps::new(3, None, Rules::Compat, get(&case, "batch"));
    for image in case["images"].as_array().unwrap() {
        let (labels, known): (Vec<u8>, Vec<bool>) = (get(image, "labels"), get(image, "known"));
        maps.add(&labels, &known, &get::<Vec<f32>>(image, "probabilities"));
    }
    let wanted: Vec<Vec<[u64; 3]>> = get(&case, "counts");
    for (curve, wanted) in maps.curves.iter().zip(&wanted) {
        let got: Vec<[u64; 3]> = curve.points.iter().map(|(_, counts)| triple(*counts)).collect();
        assert_eq!(got, *wanted);
    }
    let scores = [maps.f1(), maps.accuracy(), maps.log_probability(), maps.mean_iou()];
    for (got, key) in scores.into_iter().zip(["f1", "accuracy", "logprob", "mIou"]) {
        let wanted: f64 = get(&case, key);
        assert!((got.unwrap() - wanted).abs() < 1e-6, "{key}: {got:?}, {wanted} wanted");
    }
}
