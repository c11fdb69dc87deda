//! What a case is: a graph, and numbers for its parameters and inputs.

use half::bf16;

use crate::graph::Graph;
use crate::passes;
use crate::tensor::{DType, MemoryStore, TensorSpec};
use crate::Result;

/// A graph of one layer or network, and what it is computed from.
pub struct Case {
    /// What it is.
    pub name: String,
    /// Its graph, with one output.
    pub graph: Graph,
    /// Its parameters.
    pub weights: MemoryStore,
    /// Its inputs.
    pub inputs: Vec<Vec<f32>>,
}

impl Case {
    /// A graph with parameters and inputs of noise, in numbers that bf16 holds.
    ///
    /// # Errors
    /// `Shape` for a parameter that is declared with two shapes.
    pub fn new(name: impl Into<String>, mut graph: Graph) -> Result<Self> {
        let (weights, inputs) = (weights(&graph)?, inputs(&graph));
        passes::optimise(&mut graph)?;
        Ok(Self { name: name.into(), graph, weights, inputs })
    }
}

/// Reproducible values between -1 and 1, times a factor.
fn noise(seed: usize, n: usize, factor: f32) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Numbers that bf16 holds, so that rounding to it changes nothing.
    let coarse = |v: f32| bf16::from_f32(v).to_f32();
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        coarse(((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * factor)
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Weights that keep values about as large as they come.
fn weights(graph: &Graph) -> Result<MemoryStore> {
    let mut store = MemoryStore::new();
    for (k, (name, value)) in graph.params().enumerate() {
        let shape = value.spec.shape;
        let fan_in: usize = shape.iter().skip(1).product();
        let mut data = noise(k + 1, shape.numel(), (3.0 / fan_in as f32).sqrt());
        if name.ends_with("var") {
            data.iter_mut().for_each(|v| *v = v.abs() + 0.5);
        }
        store.insert(name, &shape, data)?;
    }
    Ok(store)
}

/// One tensor of noise per input.
fn inputs(graph: &Graph) -> Vec<Vec<f32>> {
    let specs = graph.inputs.iter().map(|id| graph.value(*id).spec).enumerate();
    let of = |(k, spec): (usize, TensorSpec)| {
        let mut values = noise(1000 + k, spec.shape.numel(), 2.0);
        match spec.dtype {
            DType::F32 => {}
            DType::U8 => values.iter_mut().for_each(|v| *v = (*v * 80.0 + 128.0).floor()),
            DType::U16 => values.iter_mut().for_each(|v| *v = (*v * 20_000.0 + 32_768.0).floor()),
        }
        values
    };
    specs.map(of).collect()
}
