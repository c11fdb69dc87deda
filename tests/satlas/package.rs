//! Networks of the reference's package for backbones: its own names for pyramid, enlargement and head.

use std::path::Path;

use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::models::{
    smallest_graph, Aggregation, Backbone, Fpn, Head, HeadKind, Satlas, Swin, SwinStage, Task, Upsample,
    ANCHORS,
};
use swath::util::npy;

use crate::fixtures::{fixtures, Fixture};
use crate::weights;

/// The small network of the cases; `depth` is how many wrappers its backbone has.
pub fn network(depth: usize, head: Option<(HeadKind, Task)>) -> Satlas {
    let stage =
        |s: usize| SwinStage { width: 16 << s, heads: 1 << s, depth: 2, hidden: 64 << s, bias_hidden: 512 };
    let swin = Swin { v2: true, channels: 3, window: 8, stages: (0..4).map(stage).collect() };
    let neck = head.is_some();
    let upsample = Upsample { widths: vec![128; 2], inner: vec![128; 2], skip: false };
    let head = head.map(|(kind, task)| Head {
        index: 0,
        scope: "head".to_string(),
        kind,
        task,
        name: String::new(),
        categories: Vec::new(),
        exclusive: false,
        anchors: ANCHORS.to_vec(),
    });
    Satlas {
        backbone_prefix: "backbone.".repeat(depth),
        backbone: Backbone::Swin(swin),
        aggregation: (String::new(), Aggregation::Max),
        groups: Vec::new(),
        images: Some(1),
        bands: Vec::new(),
        fpn: neck.then(|| ("fpn.fpn.".to_string(), Fpn { channels: 128, levels: 4, keeps: false })),
        upsample: neck.then(|| ("upsample.".to_string(), upsample)),
        heads: head.into_iter().collect(),
        masks_in_rows: false,
    }
}

/// Writes weights by the formula under the network's names.
pub fn write(network: &Satlas, salt: &str, file: &Path) {
    let graph = smallest_graph(network).unwrap();
    let keys: Vec<(String, Vec<usize>)> =
        graph.params().map(|(name, value)| (name.to_string(), value.spec.shape.to_vec())).collect();
    weights::write(file, salt, &keys, |_, values| values);
}

/// Runs a case from a file of the network's names.
fn run(fixture: &Fixture, network: &Satlas, tasks: Option<&str>) -> Vec<(String, npy::Array)> {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("weights.pth");
    write(network, fixture.salt(), &file);
    let set: Vec<_> = tasks.iter().map(|tasks| ("tasks".to_string(), tasks.to_string())).collect();
    let model = LoadedModel::open(&file, ModelOptions { set: &set, ..ModelOptions::default() }).unwrap();
    let input = npy::read_image(&fixture.folder.join("input.npy")).unwrap();
    forward(&Engine::new(DevicePick::Cpu, 2).unwrap(), &model, &input, &[], None).unwrap()
}

#[test]
fn networks_of_the_package() {
    let Some(fixtures) = fixtures("spm", 10) else { return };
    let dense = |outputs| HeadKind::Dense { layers: 1, outputs };
    let largest = HeadKind::Largest { layers: 1, outputs: 4 };
    for (name, depth, head, tasks) in [
        ("backbone_only_si", 2, None, None),
        ("backbone_only_mi", 3, None, None),
        ("segment", 3, Some((dense(3), Task::Segment)), None),
        ("binsegment", 2, Some((dense(3), Task::BinSegment)), Some("bin_segment")),
        ("regress", 2, Some((dense(1), Task::Regress)), Some("regress")),
        ("classify", 2, Some((largest.clone(), Task::Classification)), None),
        ("multiclassify", 2, Some((largest, Task::MultiLabel)), Some("multi-label-classification")),
    ] {
        let fixture = fixtures.iter().find(|f| f.name == name).unwrap();
        let outputs = run(fixture, &network(depth, head), tasks);
        // Cases record no error of the reference's own: that of its other cases of this size.
        match fixture.array("out.npy") {
            Some(wanted) => fixture.compare("head0", Fixture::result(&outputs, "head0"), &wanted, 3e-7),
            None => {
                for level in 0..4 {
                    let wanted = fixture.array(&format!("out{level}.npy")).unwrap();
                    let feature = format!("feat{level}");
                    fixture.compare(&feature, Fixture::result(&outputs, &feature), &wanted, 5e-6);
                }
            }
        }
    }
}

/// Its detectors look at the enlarged map and three of the pyramid's four, as they were trained.
#[test]
fn detectors_of_the_package() {
    let Some(fixtures) = fixtures("spm", 10) else { return };
    for (name, classes, masks) in [("detect", 3, false), ("instance", 2, true)] {
        let fixture = fixtures.iter().find(|f| f.name == name).unwrap();
        let task = if masks { Task::Instance } else { Task::Detect };
        let run = run(fixture, &network(2, Some((HeadKind::Detector { classes, masks }, task))), None);
        // Cases record no error of the reference's own.
        fixture.compare_detections(&run, "head0_img0", "det", [0.05, 1e-4], 1e-6);
    }
}
