//! Results are laid out for products by whoever makes them, where that saves something, and no bit changes.

use std::collections::BTreeMap;

use swath::cuda::{Cuda, Precision};
use swath::engine::proof::{cases, Case};
use swath::graph::{Builder, Mode};
use swath::models::{ResNet, ResNetLayer, Swin, SwinStage};

use crate::chains::run;
use crate::machine::Launched;

/// A Swin transformer of two stages, of which the first has more than the 256 columns that warpgroups take.
fn swin(v2: bool, [h, w]: [usize; 2]) -> Case {
    let stage = |width| SwinStage { width, heads: width / 32, depth: 2, hidden: 4 * width, bias_hidden: 16 };
    let swin = Swin { v2, channels: 3, window: 4, stages: vec![stage(96), stage(64)] };
    let b = Builder::new(Mode::Infer);
    let maps = swin.build(&b, b.input("x", &[1, 3, h, w]));
    b.output("y", maps[1]);
    Case::new(format!("swin, {v2}, {h}x{w}"), b.finish().unwrap()).unwrap()
}

/// A residual network of two layers.
fn resnet(bottleneck: bool) -> Case {
    let layer = |width| ResNetLayer { depth: 2, inner: 16, width, groups: 1 };
    let layers = vec![layer(if bottleneck { 64 } else { 16 }), layer(32)];
    let b = Builder::new(Mode::Infer);
    let maps = ResNet { channels: 3, stem: 16, bottleneck, layers }.build(&b, b.input("x", &[1, 3, 256, 96]));
    b.output("y", maps[1]);
    Case::new(format!("resnet, {bottleneck}"), b.finish().unwrap()).unwrap()
}

/// Launches by what they do with their results: of those that lay them out, also whether they store them.
fn laying(launched: &[Launched]) -> BTreeMap<(&'static str, bool), usize> {
    let mut laying = BTreeMap::new();
    for launch in launched.iter().filter(|l| l.operands().laid != 0) {
        *laying.entry((launch.entry, launch.operands().y != 0)).or_default() += 1;
    }
    laying
}

#[test]
fn no_bit_changes() {
    let small = |case: &Case| ["chain", "dense", "growth"].iter().any(|name| case.name.starts_with(name));
    let mut all: Vec<Case> = cases().unwrap().into_iter().filter(small).collect();
    all.extend([
        swin(true, [64, 128]),
        swin(false, [64, 128]),
        swin(true, [76, 60]),
        resnet(true),
        resnet(false),
    ]);
    for case in all {
        // Convolutions lay nothing out before 8.0.
        let older: &[u32] = if case.name.starts_with("swin") { &[75, 72] } else { &[] };
        let newer = [(90, Precision::Bf16), (80, Precision::Bf16), (90, Precision::F16)];
        for (capability, precision) in newer.into_iter().chain(older.iter().map(|c| (*c, Precision::F16))) {
            let name = format!("{} in {precision} on {capability}", case.name);
            let (full, plain) = run(&case, capability, precision, Cuda::in_full);
            let (short, launched) = run(&case, capability, precision, |cuda| cuda);
            assert!(full == short, "{name}");
            assert!(laying(&plain).is_empty(), "{name}: {:?}", laying(&plain));
            assert!(!laying(&launched).is_empty(), "{name}");
        }
    }
}
