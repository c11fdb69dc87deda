//! Every operator by one table of cases: devices against PyTorch's results and against each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod compare;
mod golden;

use std::collections::BTreeSet;

use cases::CASES;
use compare::{graph, optimised, run, tolerance};
use swath::cpu::Cpu;
use swath::engine::tolerance::difference;
use swath::ops::Op;
use swath::reference::Reference;

#[test]
fn reference_equals_pytorch() {
    let goldens = golden::load();
    for case in CASES {
        let golden = &goldens[case.name];
        let graph = graph(case, golden);
        let shape = graph.value(graph.outputs[0].1).spec.shape;
        assert_eq!(*shape, golden.y.shape, "{}", case.name);
        for graph in [optimised(&graph), graph] {
            let (y, _) = run(&Reference::<f64>::new(), &graph, golden);
            let d = difference(&y, &golden.y.data);
            assert!(d < 2e-7, "{}: {d} of range\n{graph}", case.name);
        }
    }
}

#[test]
fn cpu_equals_pytorch_on_any_number_of_threads() {
    let goldens = golden::load();
    let devices = [1, 3].map(|threads| Cpu::new(threads).unwrap());
    for case in CASES {
        let golden = &goldens[case.name];
        let graph = graph(case, golden);
        for graph in [optimised(&graph), graph] {
            let [(one, plan), (three, _)] = [0, 1].map(|k| run(&devices[k], &graph, golden));
            assert_eq!(one, three, "{}", case.name);
            let (d, allowed) = (difference(&one, &golden.y.data), tolerance(&plan));
            assert!(d <= allowed, "{}: {d} of range, {allowed} allowed\n{plan}", case.name);
        }
    }
}

#[test]
fn every_operator_and_golden_has_a_case() {
    let goldens = golden::load();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for case in CASES {
        let graph = graph(case, &goldens[case.name]);
        for graph in [optimised(&graph), graph] {
            used.extend(graph.nodes.iter().map(|n| n.op.name()));
        }
    }
    let missing: Vec<_> = Op::NAMES.iter().filter(|n| !used.contains(*n)).collect();
    assert!(missing.is_empty(), "operators without a case: {missing:?}");
    let named: BTreeSet<_> = CASES.iter().map(|c| c.name).collect();
    let unused: Vec<_> = goldens.keys().filter(|k| !named.contains(k.as_str())).collect();
    assert!(unused.is_empty(), "goldens without a case: {unused:?}");
}
