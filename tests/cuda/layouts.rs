//! Results are laid out for products by whoever makes them, where that saves something, and no bit changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use swath::cuda::{Cuda, Precision};
use swath::engine::proof::{cases, Case};
use swath::graph::{Builder, Mode};
use swath::models::{ResNet, ResNetLayer, Swin, SwinStage};
use swath::plan::{compile, Device};

use crate::machine::{Launched, Machine, OnMachine};

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

/// What a case gives, as bits, and what was launched for it, on a device as `change` makes it.
fn run(
    case: &Case,
    capability: u32,
    precision: Precision,
    change: fn(Cuda) -> Cuda,
) -> (Vec<u32>, Vec<Launched>) {
    let machine = Machine::new(capability);
    let cuda = change(Cuda::on(Arc::new(OnMachine(machine.clone()))).with_precision(precision));
    let plan = Arc::new(compile(&case.graph, cuda.kernels()).unwrap());
    let mut session = cuda.load(plan, &case.weights).unwrap();
    machine.launched();
    case.inputs.iter().enumerate().for_each(|(k, x)| session.fill(k, x));
    session.run().unwrap();
    session.wait().unwrap();
    (session.numbers(0).iter().map(|v| v.to_bits()).collect(), machine.launched())
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
    let small = |case: &Case| {
        ["chain", "dense", "growth", "residual blocks"].iter().any(|name| case.name.starts_with(name))
    };
    let mut all: Vec<Case> = cases().unwrap().into_iter().filter(small).collect();
    all.extend([
        swin(true, [64, 128]),
        swin(false, [64, 128]),
        swin(true, [76, 60]),
        resnet(true),
        resnet(false),
    ]);
    for case in all {
        for (capability, precision) in [(90, Precision::Bf16), (80, Precision::Bf16), (90, Precision::F16)] {
            let name = format!("{} in {precision} on {capability}", case.name);
            let (full, plain) = run(&case, capability, precision, Cuda::in_full);
            let (short, launched) = run(&case, capability, precision, |cuda| cuda);
            assert!(full == short, "{name}");
            assert!(laying(&plain).is_empty(), "{name}: {:?}", laying(&plain));
            assert!(!laying(&launched).is_empty(), "{name}");
        }
    }
}

#[test]
fn chains_change_no_bit() {
    let chains = |case: &Case| {
        ["dense block", "growth", "residual blocks"].iter().any(|name| case.name.starts_with(name))
    };
    let cases: Vec<Case> = cases().unwrap().into_iter().filter(chains).collect();
    assert_eq!(cases.len(), 4);
    for case in cases {
        for precision in [Precision::Bf16, Precision::F16] {
            let name = format!("{} in {precision}", case.name);
            let (plain, single) = run(&case, 80, precision, |cuda| cuda);
            let (chained, launched) = run(&case, 80, precision, Cuda::chained);
            assert!(plain == chained, "{name}");
            let are_chains = |l: &&Launched| l.entry.starts_with("conv_chain");
            assert_eq!(single.iter().filter(are_chains).count(), 0, "{name}");
            assert_eq!(launched.iter().filter(are_chains).count(), 1, "{name}");
            assert!(launched.len() < single.len(), "{name}");
        }
    }
}
