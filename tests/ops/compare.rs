//! Running cases on devices, and how far results may be apart.

use std::sync::Arc;

use swath::cuda::Precision;
use swath::graph::{Builder, Graph, Mode};
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

/// How far f32 may be from the exact result.
pub fn tolerance(plan: &Plan) -> f32 {
    swath::engine::tolerance::tolerance(&plan.steps, Precision::F32)
}
