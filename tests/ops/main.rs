//! Every operator by one table of cases: devices against PyTorch's results and against each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod golden;

use std::collections::BTreeSet;
use std::sync::Arc;

use cases::CASES;
use golden::Golden;
use swath::cpu::Cpu;
use swath::graph::{Builder, Graph, Mode};
use swath::kernel::Accuracy;
use swath::ops::Op;
use swath::passes::optimise;
use swath::plan::{compile, Device, Plan};
use swath::reference::Reference;

fn graph(case: &cases::Case, golden: &Golden) -> Graph {
    let b = Builder::new(Mode::Infer);
    let x: Vec<_> = golden.x.iter().enumerate().map(|(k, t)| b.input(&format!("x{k}"), &t.shape)).collect();
    let param = |name: &str| b.param(name, &golden.params[name].shape);
    b.output("y", (case.build)(&x, &param));
    b.finish().unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

fn optimised(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    optimise(&mut graph).unwrap();
    graph
}

fn run(device: &dyn Device, graph: &Graph, golden: &Golden) -> (Vec<f32>, Arc<Plan>) {
    let plan = Arc::new(compile(graph, device.kernels()).unwrap());
    let mut session = device.load(plan.clone(), &golden.store()).unwrap();
    for (k, t) in golden.x.iter().enumerate() {
        session.input(k).copy_from_slice(&t.data);
    }
    session.run().unwrap();
    session.wait().unwrap();
    (session.output(0).to_vec(), plan)
}

/// How far f32 may be from the exact result, relative to its range: what each step's contract allows.
fn tolerance(plan: &Plan) -> f32 {
    let step = |accuracy| match accuracy {
        Accuracy::Exact => 0.0,
        Accuracy::Ulp(n) => n as f32,
        Accuracy::Sum { k } => 4.0 * (k as f32).sqrt(),
        Accuracy::Transcendental => 8.0,
    };
    let rounding_of_goldens = 1.0;
    f32::EPSILON
        * plan.steps.iter().map(|s| step(s.kernel.accuracy())).fold(rounding_of_goldens, |a, b| a + b)
}

/// Largest difference over the largest absolute value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let range = b.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() }).fold(0.0, |m, d| {
        assert!(!d.is_nan());
        f32::max(m, d)
    }) / range
}

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
