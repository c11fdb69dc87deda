//! Networks of type `classify`: torchvision's own classifiers, shared out to tasks; results by
//! `tests/data/satlas/make.py`.

use std::path::Path;

use serde_json::{json, Value};
use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::tensor::Shape;
use swath::util::npy::Array;

use crate::weights;

fn config(folder: &Path, categories: [&[&str]; 2]) -> std::path::PathBuf {
    let task = |name: &str, kind: &str, categories: &[&str]| json!({"Name": name, "Task": {"type": kind, "categories": categories}});
    let config = json!({
        "Model": {"Name": "classify", "Backbone": "any"},
        "Tasks": [
            task("one", "classification", categories[0]),
            task("any", "multi-label-classification", categories[1]),
        ],
    });
    let path = folder.join("config.txt");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
fn classifiers_are_shared_out_to_tasks() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/satlas/classify.json");
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let engine = Engine::new(DevicePick::Cpu, 2).unwrap();
    for (arch, case) in cases.as_object().unwrap() {
        let scratch = tempfile::tempdir().unwrap();
        let weights = scratch.path().join("w.pth");
        let keys: Vec<(String, Vec<usize>)> = serde_json::from_value(case["keys"].clone()).unwrap();
        weights::write(&weights, arch, &keys, |_, values| values);
        let config = config(scratch.path(), [&["a", "b", "c"], &["d", "e"]]);
        let options = ModelOptions { config: Some(&config), ..ModelOptions::default() };
        let model = LoadedModel::open(&weights, options).unwrap();
        let dims: Vec<usize> = serde_json::from_value(case["input"].clone()).unwrap();
        let input = Array { shape: Shape::new(&dims).unwrap(), data: weights::values(arch, "x", &dims) };
        let outputs = forward(&engine, &model, &input, &[], None).unwrap();
        assert_eq!(outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["head0", "head1"]);
        for ((_, got), key) in outputs.iter().zip(["softmax", "sigmoid"]) {
            let wanted: Vec<f32> = serde_json::from_value(case[key].clone()).unwrap();
            assert_eq!(got.data.len(), wanted.len());
            let worst = got.data.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-5, "{arch} {key}: {worst}");
        }
    }
}

#[test]
fn categories_must_be_as_many_as_the_classifier_has_outputs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/satlas/classify.json");
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let weights = scratch.path().join("w.pth");
    let keys: Vec<(String, Vec<usize>)> = serde_json::from_value(cases["resnet18"]["keys"].clone()).unwrap();
    weights::write(&weights, "x", &keys, |_, values| values);
    let config = config(scratch.path(), [&["a", "b"], &["c"]]);
    let options = ModelOptions { config: Some(&config), ..ModelOptions::default() };
    let message = LoadedModel::open(&weights, options).err().unwrap().to_string();
    assert!(message.contains("5 outputs") && message.contains("2, ") && message.contains(" 1"), "{message}");
}
