//! Metrics against the numbers that the reference computed.

use std::sync::atomic::AtomicBool;

use serde_json::Value;
use swath::evaluation::{benchmark, Benchmark, TaskScores, MODALITIES};
use swath::metrics::{Matching, Object, Objects, Prediction, Rules};
use swath::pipeline::{Progress, ProgressMode};

use crate::fixtures::{fixtures, Fixture};

fn json(fixture: &Fixture, file: &str) -> Value {
    // Python writes what is no number as NaN.
    let text = std::fs::read_to_string(fixture.folder.join(file)).unwrap().replace("NaN", "null");
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn objects(fixture: &Fixture, side: &str, image: usize) -> Vec<Object> {
    let array = |what: &str| fixture.array(&format!("{side}{image}_{what}.npy")).unwrap();
    let (boxes, labels) = (array("boxes"), array("labels"));
    let bounds = boxes.data.chunks(4).map(|b| b.try_into().unwrap());
    bounds.zip(&labels.data).map(|(bounds, label)| Object { bounds, category: *label as usize }).collect()
}

#[test]
fn detections() {
    let Some(fixtures) = fixtures("metrics", 2) else { return };
    let fixture = fixtures.iter().find(|f| f.name == "detect_f1").unwrap();
    let mut cases = 0;
    for result in json(fixture, "results.json").as_array().unwrap() {
        let given = result["params_in"].as_array().map(|_| numbers(&result["params_in"]));
        let mut scores = Objects::new(3, given.as_deref(), Matching::Centre, Rules::Compat);
        for image in 0..4 {
            let scored = fixture.array(&format!("pred{image}_scores.npy")).unwrap().data;
            let predictions = objects(fixture, "pred", image).into_iter().zip(scored);
            let predictions: Vec<Prediction> =
                predictions.map(|(object, score)| Prediction { object, score }).collect();
            scores.add(&objects(fixture, "gt", image), &predictions);
        }
        for (category, curve) in scores.curves.iter().enumerate().skip(1) {
            for (k, (_, counts)) in curve.points.iter().enumerate() {
                let wanted =
                    ["tp", "fp", "fn"].map(|what| result[what][category][k].as_f64().unwrap() as u64);
                assert_eq!([counts.tp, counts.fp, counts.fn_], wanted, "category {category}, threshold {k}");
            }
            let best = curve.best(scores.floor()).threshold;
            assert_eq!(best, result["thresholds"][category].as_f64().unwrap());
        }
        assert!((scores.f1().unwrap() - result["score"].as_f64().unwrap()).abs() < 1e-12);
        cases += 1;
    }
    assert_eq!(cases, 2);
}

/// The recorded tile twice, so that categories have labels enough for the mean.
#[test]
fn a_benchmark() {
    let Some(fixtures) = fixtures("metrics", 2) else { return };
    let fixture = fixtures.iter().find(|f| f.name == "benchmark").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for (side, name) in [("gt", "labels"), ("pred", "predictions")] {
        for tile in ["1434_3312", "1435_3312", "1436_3312"] {
            let folder = scratch.path().join(name).join(tile);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::copy(fixture.folder.join(format!("{side}_vector.json")), folder.join("vector.json"))
                .unwrap();
            for picture in std::fs::read_dir(fixture.folder.join(format!("{side}_raster"))).unwrap() {
                let picture = picture.unwrap();
                std::fs::copy(picture.path(), folder.join(picture.file_name())).unwrap();
            }
        }
    }
    let split = scratch.path().join("split.json");
    std::fs::write(&split, "[[1434, 3312], [1435, 3312], [9, 9]]").unwrap();
    let job = Benchmark {
        labels: scratch.path().join("labels"),
        predictions: scratch.path().join("predictions"),
        modalities: MODALITIES.to_vec(),
        events: false,
        split: Some(split),
        low_resolution: false,
        rules: Rules::Compat,
    };
    let progress = Progress::new(ProgressMode::None, "tiles", 0);
    let report = benchmark(&job, &progress, &AtomicBool::new(false)).unwrap();
    let expected = json(fixture, "expected.json");
    let tasks: Vec<(&str, &TaskScores)> = report.tasks.iter().map(|t| (t.name.as_str(), t)).collect();
    assert!(tasks.iter().all(|(_, task)| task.examples == 2));
    let mut compared = 0;
    for (name, task) in tasks {
        let wanted = expected[format!("{name}_scores_two_tiles")].as_array().unwrap();
        // Reported as (name, value); the name begins with the modality, or with what is measured.
        let values: Vec<Option<f64>> = wanted.iter().map(|pair| pair[1].as_f64()).collect();
        let mut scores: Vec<Option<f64>> = task.scores.iter().map(|(_, value)| *value).collect();
        if name == "raster" {
            scores.reverse();
        }
        assert_eq!(scores.len(), values.len(), "{name}");
        for (got, wanted) in scores.iter().zip(&values) {
            assert_eq!(got.is_some(), wanted.is_some(), "{name}");
            let difference = got.unwrap_or(0.0) - wanted.unwrap_or(0.0);
            assert!(difference.abs() < 1e-6, "{name}: {got:?}, {wanted:?} wanted");
        }
        for (category, counts) in expected[format!("{name}_counts")].as_object().into_iter().flatten() {
            let found = task.categories.iter().find(|c| *c.name == *category.trim_end_matches("_f1"));
            let Some(found) = found.filter(|found| found.counts.is_some()) else {
                assert_eq!(category, "tree_cover_error");
                continue;
            };
            let wanted = numbers(counts).iter().map(|v| 2 * *v as u64).collect::<Vec<_>>();
            assert_eq!(found.counts.unwrap().to_vec(), wanted, "{category}");
            compared += 1;
        }
    }
    assert_eq!(compared, 15, "categories with counts");
    let iou = report.tasks[1].categories.iter().find(|c| c.name == "solar_farm").unwrap();
    assert_eq!(iou.counts.unwrap(), [26, 18, 22]);
}
