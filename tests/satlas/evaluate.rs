//! `swath evaluate` on a small dataset and a small network, against the same numbers put together by hand.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{json, Value};
use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::metrics::{LabelMaps, Rules};
use swath::models::{HeadKind, Task};
use swath::raster::{png, Samples};
use swath::tensor::Shape;
use swath::util::npy::Array;

use crate::package;

const SIDE: usize = 64;
const CLASSES: usize = 2;

/// Bytes that look like nothing in particular, the same ones each time.
fn noise(seed: usize, count: usize) -> Vec<u8> {
    (0..count).map(|at| ((at * 2_654_435_761 + seed * 40_503) >> 7) as u8).collect()
}

/// Labels of squares of eight pixels.
fn squares(seed: usize) -> Vec<u8> {
    let squares = noise(seed, 64);
    (0..SIDE * SIDE).map(|at| squares[at / SIDE / 8 * 8 + at % SIDE / 8] & 3).collect()
}

fn dataset(root: &Path) {
    for example in 0..3 {
        let folder = root.join("fields").join(format!("7_{example}"));
        let image = folder.join("images/2024-06");
        std::fs::create_dir_all(&image).unwrap();
        png::write(&image.join("tci.png"), SIDE, SIDE, 3, &Samples::U8(noise(example, SIDE * SIDE * 3)))
            .unwrap();
        png::write(&folder.join("gt.png"), SIDE, SIDE, 1, &Samples::U8(squares(example))).unwrap();
    }
    std::fs::create_dir(root.join("splits")).unwrap();
    std::fs::write(root.join("splits/test.json"), "[[7, 0], [7, 1]]").unwrap();
    let config = json!({
        "Channels": ["tci", "fake", "fake"], "ChipSize": SIDE, "BatchSize": 2,
        "Model": {"Name": "multihead4", "Backbone": {"Name": "swin", "Arch": "any"}, "Heads": [{"Name": "simple"}]},
        "Tasks": [{
            "Name": "fields", "Metric": "f1", "TestSplit": "elsewhere/splits/test.json",
            "Task": {"type": "bin_segment", "categories": ["a", "b"], "colors": [[255, 0, 0], [0, 0, 255]]},
        }],
    });
    std::fs::write(root.join("config.txt"), config.to_string()).unwrap();
}

fn weights(root: &Path) {
    let head = HeadKind::Dense { layers: 1, outputs: CLASSES };
    package::write(&package::network(2, Some((head, Task::BinSegment))), "evaluate", &root.join("w.pth"));
}

fn evaluate(root: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.arg("evaluate").arg(root).args(["-m", "w.pth", "--config", "config.txt", "--threads", "2"]);
    command.args(more).current_dir(root).output().unwrap()
}

/// The F1 that the library's parts come to.
fn by_hand(root: &Path) -> f64 {
    let config = root.join("config.txt");
    let options = ModelOptions { config: Some(&config), ..ModelOptions::default() };
    let model = LoadedModel::open(&root.join("w.pth"), options).unwrap();
    let engine = Engine::new(DevicePick::Cpu, 2).unwrap();
    let mut scores = LabelMaps::new(CLASSES, None, Rules::Meant, 1);
    for example in 0..2 {
        let bytes = noise(example, SIDE * SIDE * 3);
        let plane = |band: usize| bytes.iter().skip(band).step_by(3).map(|v| f32::from(*v) / 255.0);
        let input =
            Array { shape: Shape::new(&[1, 3, SIDE, SIDE]).unwrap(), data: (0..3).flat_map(plane).collect() };
        let outputs = forward(&engine, &model, &input, &[], None).unwrap();
        let labels: Vec<u8> =
            (0..CLASSES).flat_map(|c| squares(example).into_iter().map(move |v| v >> c & 1)).collect();
        scores.add(&labels, &[true; SIDE * SIDE], &outputs[0].1.data);
    }
    scores.f1().unwrap()
}

#[test]
fn a_network_is_scored_and_drawn() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    dataset(root);
    weights(root);
    let output = evaluate(root, &["--json", "scores.json", "--visualise", "pictures", "--outputs", "raw"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("fields (bin_segment), 2 labelled: f1* 0."), "{table}");
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("scores.json")).unwrap()).unwrap();
    let score = report["tasks"][0]["score"].as_f64().unwrap();
    assert!((score - by_hand(root)).abs() < 1e-9 && score > 0.1, "{score}");
    for what in ["im", "out", "gt"] {
        let picture =
            swath::raster::Picture::read(&root.join(format!("pictures/7_1_fields_{what}.png"))).unwrap();
        assert_eq!((picture.width, picture.height, picture.bands), (SIDE, SIDE, 3), "{what}");
    }
    assert!(!root.join("pictures/7_2_fields_im.png").exists(), "of another split");
    let bytes = std::fs::read(root.join("raw/7_0_fields.npy")).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("'<u8'") && bytes.len() == 128 + SIDE * SIDE * 8);
    let again = evaluate(root, &["--split", "all", "--compat"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("3 labelled"));
}

#[test]
fn what_does_not_fit_is_said_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    dataset(root);
    weights(root);
    let text = std::fs::read_to_string(root.join("config.txt")).unwrap();
    let wrong = text
        .replace(r#"["a","b"]"#, r#"["a","b","c"]"#)
        .replace(r#"["tci","fake","fake"]"#, r#"["tci","fake","fake","b05"]"#);
    assert_ne!(wrong, text);
    std::fs::write(root.join("config.txt"), wrong).unwrap();
    let message = |more: &[&str]| {
        let output = evaluate(root, more);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let both = message(&[]);
    assert!(
        both.contains("3 categories, its head 2 outputs") && both.contains("1 images of 4 channels"),
        "{both}"
    );
    std::fs::write(root.join("config.txt"), text).unwrap();
    std::fs::write(root.join("fields/7_1/gt.png"), b"broken").unwrap();
    assert!(message(&[]).contains("7_1/gt.png"));
    assert!(message(&["--split", "val"]).contains("--split all"));
}

/// Predictions equal to labels, and none.
#[test]
fn files_are_scored() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    let silo =
        |at: usize| json!({"Geometry": {"Type": "polygon", "Polygon": [[[at, 0], [at + 90, 0], [at, 90]]]}});
    let tower = |at: usize| json!({"Geometry": {"Type": "point", "Point": [at, 4096]}, "Properties": {}});
    let vector = json!({
        "silo": (0..21).map(|k| silo(k * 300)).collect::<Vec<_>>(),
        "water_tower": (0..25).map(|k| tower(k * 300)).collect::<Vec<_>>(),
    });
    for side in ["labels", "found"] {
        std::fs::create_dir_all(root.join(side).join("3_4")).unwrap();
        std::fs::write(root.join(side).join("3_4/vector.json"), vector.to_string()).unwrap();
    }
    std::fs::create_dir_all(root.join("labels/3_5")).unwrap();
    std::fs::write(root.join("labels/3_5/vector.json"), json!({"water_tower": [tower(5)]}).to_string())
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.args([
        "evaluate",
        "labels",
        "--predictions",
        "found",
        "--modality",
        "point,polygon",
        "--json",
        "s.json",
    ]);
    let output = command.current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("point: 1 files are not predicted"));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(root.join("s.json")).unwrap()).unwrap();
    let [points, polygons] = [0, 1].map(|k| &report["tasks"][k]);
    assert_eq!(points["categories"][0]["counts"], json!([25, 0, 1]));
    let iou = polygons["categories"][0]["iou"].as_f64().unwrap();
    assert!(polygons["score"] == json!(1.0) && (iou - 1.0).abs() < 1e-9);
}
