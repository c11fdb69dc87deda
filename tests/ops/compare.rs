//! Running cases on devices, and how far results may be apart.

use std::sync::Arc;

use swath::graph::{Builder, Graph, Mode};
use swath::kernel::Accuracy;
use swath::passes::optimise;
use swath::plan::{compile, Device, Plan};

use super::cases::Case;
use super::golden::Golden;

pub fn graph(case: &Case, golden: &Golden) -> Graph {
    let b = Builder::new(Mode::Infer);
    let x: Vec<_> = golden.x.iter().enumerate().map(|(k, t)| b.input(&format!("x{k}"), &t.shape)).collect();
    let param = |name: &str| b.param(name, &golden.params[name].shape);
    b.output("y", (case.build)(&x, &param));
    b.finish().unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

pub fn optimised(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    optimise(&mut graph).unwrap();
    graph
}

pub fn run(device: &dyn Device, graph: &Graph, golden: &Golden) -> (Vec<f32>, Arc<Plan>) {
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
pub fn tolerance(plan: &Plan) -> f32 {
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
pub fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let range = b.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() }).fold(0.0, |m, d| {
        assert!(!d.is_nan());
        f32::max(m, d)
    }) / range
}
