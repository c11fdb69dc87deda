//! `swath evaluate` on a small dataset and a small network, against the same numbers put together by hand.

use std::path::{Path, PathBuf};
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

/// The folder of an example, with its image.
fn example(root: &Path, task: &str, number: usize) -> PathBuf {
    let folder = root.join(task).join(format!("7_{number}"));
    let image = folder.join("images/2024-06");
    std::fs::create_dir_all(&image).unwrap();
    let pixels = Samples::U8(noise(number, SIDE * SIDE * 3));
    png::write(&image.join("tci.png"), SIDE, SIDE, 3, &pixels).unwrap();
    folder
}

fn dataset(root: &Path) {
    for example in 0..3 {
        let folder = self::example(root, "fields", example);
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

/// What the network gives for the first examples' images.
fn outputs(root: &Path, examples: usize) -> Vec<Vec<(String, Array)>> {
    let config = root.join("config.txt");
    let options = ModelOptions { config: Some(&config), ..ModelOptions::default() };
    let model = LoadedModel::open(&root.join("w.pth"), options).unwrap();
    let engine = Engine::new(DevicePick::Cpu, 2).unwrap();
    let of = |example: usize| {
        let bytes = noise(example, SIDE * SIDE * 3);
        let plane = |band: usize| bytes.iter().skip(band).step_by(3).map(|v| f32::from(*v) / 255.0);
        let data = (0..3).flat_map(plane).collect();
        let input = Array { shape: Shape::new(&[1, 3, SIDE, SIDE]).unwrap(), data };
        forward(&engine, &model, &input, &[], None).unwrap()
    };
    (0..examples).map(of).collect()
}

/// The F1 that the library's parts come to.
fn by_hand(root: &Path) -> f64 {
    let mut scores = LabelMaps::new(CLASSES, None, Rules::Meant, 1);
    for (example, outputs) in outputs(root, 2).into_iter().enumerate() {
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

/// Labels are what the network itself is surer of than a half; the second example's are then taken away.
#[test]
fn objects_are_scored_and_drawn() {
    const SURE: f32 = 0.5;
    for (kind, task, masks) in [("detect", Task::Detect, false), ("instance", Task::Instance, true)] {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let head = HeadKind::Detector { classes: 2, masks };
        package::write(&package::network(2, Some((head, task))), "objects", &root.join("w.pth"));
        let categories =
            json!({"type": kind, "categories": ["background", "thing"], "colors": [[0, 0, 0], [255, 0, 0]]});
        let config = json!({
            "Channels": ["tci", "fake", "fake"], "ChipSize": SIDE, "BatchSize": 1,
            "Model": {"Name": "multihead4", "Backbone": {"Name": "swin"}, "Heads": [{"Name": "frcnn"}]},
            "Tasks": [{"Name": "things", "Metric": "f1", "MinBoxSize": 0, "Task": categories}],
        });
        std::fs::write(root.join("config.txt"), config.to_string()).unwrap();
        let mut counts = [0; 2];
        for (number, outputs) in outputs(root, 2).iter().enumerate() {
            let part = |what: &str| &outputs.iter().find(|(name, _)| name.ends_with(what)).unwrap().1.data;
            let boxes = part("_boxes").chunks_exact(4).zip(part("_scores"));
            let label = |b: &[f32]| {
                let [x0, y0, x1, y1] = [0, 1, 2, 3].map(|side| b[side] as i32);
                match masks {
                    false => json!([x0, y0, x1, y1, "thing"]),
                    true => json!(["id", [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]], "thing", {}]),
                }
            };
            let labels: Vec<Value> =
                boxes.filter(|(_, score)| **score >= SURE).map(|(b, _)| label(b)).collect();
            counts[number] = labels.len();
            let path = example(root, "things", number).join("gt.json");
            std::fs::write(path, Value::from(labels).to_string()).unwrap();
        }
        assert!(counts.iter().all(|count| *count > 3), "{counts:?}");
        let scores = |more: &[&str]| -> Value {
            let ended = evaluate(root, &[&["--split", "all", "--json", "s.json"], more].concat());
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            let report = std::fs::read_to_string(root.join("s.json")).unwrap();
            let mut report: Value = serde_json::from_str(&report).unwrap();
            let categories = report["tasks"][0]["categories"].as_array_mut().unwrap();
            categories.pop().unwrap()
        };
        let all = scores(&["--visualise", "pictures", "--outputs", "raw"]);
        assert_eq!(
            (&all["name"], &all["f1"], &all["threshold"]),
            (&json!("thing"), &json!(1.0), &json!(0.5))
        );
        assert_eq!(all["counts"], json!([counts[0] + counts[1], 0, 0]), "{kind}");
        let raw: Value =
            serde_json::from_slice(&std::fs::read(root.join("raw/7_0_things.json")).unwrap()).unwrap();
        let found = raw.as_array().unwrap();
        assert!(found.len() >= counts[0] && found[0][if masks { 2 } else { 4 }] == json!("thing"), "{kind}");
        let bytes = |what: &str| std::fs::read(root.join(format!("pictures/7_0_things_{what}.png"))).unwrap();
        assert!(bytes("im") != bytes("gt") && bytes("im") != bytes("out"), "{kind}");

        std::fs::write(root.join("things/7_1/gt.json"), "[]").unwrap();
        let half = scores(&[]);
        let least = 2.0 * counts[0] as f64 / (2 * counts[0] + counts[1]) as f64;
        let f1 = half["f1"].as_f64().unwrap();
        assert!(
            (least..1.0).contains(&f1) && half["counts"][1].as_u64().unwrap() > 0,
            "{kind}: {f1} of {least}"
        );
    }
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
