//! Running cases on devices, and how far results may be apart.

use std::sync::Arc;

use swath::cuda::Precision;
use swath::graph::{Builder, Graph, Mode};
use swath::passes::optimise;
use swath::plan::{compile, Device, Plan};
use swath::tensor::DType;

use super::cases::Case;
use super::golden::{Golden, Tensor};

pub fn graph(case: &Case, golden: &Golden) -> Graph {
    let b = Builder::new(Mode::Infer);
    let input = |(k, t): (usize, &Tensor)| match t.samples {
        true => b.input_of_samples(&format!("x{k}"), &t.shape, DType::U8),
        false => b.input(&format!("x{k}"), &t.shape),
    };
    let x: Vec<_> = golden.x.iter().enumerate().map(input).collect();
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
        session.fill(k, &t.data);
    }
    session.run().unwrap();
    session.wait().unwrap();
    (session.numbers(0), plan)
}

/// How far f32 may be from the exact result.
pub fn tolerance(plan: &Plan) -> f32 {
    swath::engine::tolerance::tolerance(&plan.steps, Precision::F32)
}
