//! Dates stream through the backbone one at a time: a plan's memory hardly grows with their number.

use swath::cpu::Cpu;
use swath::models::{
    graph, Aggregation, Backbone, Fpn, Head, HeadKind, InputSize, Satlas, Swin, SwinStage, Task, Upsample,
    ANCHORS,
};
use swath::passes::optimise;
use swath::plan::{compile, Device};

const SIDE: usize = 512;
/// Memory for four dates over that for one.
const BOUND: f64 = 1.15;

/// The published networks of nine channels, with one head.
fn network(kind: HeadKind, task: Task, aggregation: Aggregation) -> Satlas {
    let depths = [2, 2, 18, 2];
    let stage = |s: usize| SwinStage {
        width: 128 << s,
        heads: 4 << s,
        depth: depths[s],
        hidden: 512 << s,
        bias_hidden: 512,
    };
    let head = Head {
        index: 0,
        scope: "heads.0".to_string(),
        kind,
        task,
        name: String::new(),
        categories: Vec::new(),
        exclusive: false,
        anchors: ANCHORS.to_vec(),
    };
    let upsample = Upsample { widths: vec![128; 2], inner: vec![128; 2], skip: false };
    Satlas {
        backbone_prefix: "backbone.backbone.backbone.".to_string(),
        backbone: Backbone::Swin(Swin {
            v2: true,
            channels: 9,
            window: 8,
            stages: (0..4).map(stage).collect(),
        }),
        aggregation: (String::new(), aggregation),
        groups: Vec::new(),
        images: Some(4),
        bands: Vec::new(),
        fpn: Some(("intermediates.0.fpn.".to_string(), Fpn { channels: 128, levels: 4, keeps: false })),
        upsample: Some(("intermediates.1.".to_string(), upsample)),
        heads: vec![head],
        masks_in_rows: false,
    }
}

/// Bytes for so many dates.
fn memory(network: &Satlas, frames: usize) -> f64 {
    let mut graph = graph(network, InputSize { batch: 1, frames, height: SIDE, width: SIDE }).unwrap();
    optimise(&mut graph).unwrap();
    compile(&graph, Cpu::new(2).unwrap().kernels()).unwrap().memory().total() as f64
}

#[test]
fn memory_does_not_grow_with_the_dates() {
    let dense = HeadKind::Dense { layers: 1, outputs: 1 };
    let detector = HeadKind::Detector { classes: 2, masks: false };
    for (kind, task) in [(dense, Task::BinSegment), (detector, Task::Detect)] {
        for aggregation in [Aggregation::Max, Aggregation::Mean] {
            let network = network(kind.clone(), task, aggregation.clone());
            let [one, four] = [1, 4].map(|dates| memory(&network, dates));
            let ratio = four / one;
            eprintln!(
                "{} over {}: {:.0} MiB for one date, {:.0} for four, {ratio:.3} times",
                task.name(),
                aggregation.name(),
                one / f64::from(1 << 20),
                four / f64::from(1 << 20)
            );
            assert!(ratio <= BOUND, "{ratio}");
        }
    }
}
