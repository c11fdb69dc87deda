//! A network on two devices, value by value.

use super::model::LoadedModel;
use super::session::Engine;
use super::tolerance::{difference, tolerance};
use crate::error::Result;
use crate::graph::{Graph, Role};
use crate::kernel::precision::Precision;
use crate::models::{graph, InputSize};
use crate::plan::{Plan, Region};
use crate::tensor::Shape;

/// What a whole network may differ by, of a value's range.
const MOST: f32 = 1e-4;
/// The same where factors are rounded.
const MOST_ROUNDED: f32 = 1e-2;
/// The same where they are bytes.
const MOST_INT8: f32 = 1e-1;

/// One of a network's values on two devices; differences are of the value's range.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its extents.
    pub shape: Shape,
    /// How far the two are apart.
    pub difference: f32,
    /// How far they may be.
    pub allowed: f32,
}

impl Layer {
    /// Whether they are near enough.
    pub fn agrees(&self) -> bool {
        self.difference <= self.allowed
    }
}

/// Runs a network on both engines and compares every value that has a name, in the order in which `tested`
/// computes them. `allowed` replaces what the kernels' contracts allow.
///
/// # Errors
/// As [`Engine::compile`], within `budget` bytes for each engine; what the devices say.
pub fn check(
    model: &LoadedModel,
    size: InputSize,
    input: &[f32],
    [exact, tested]: [&Engine; 2],
    allowed: Option<f32>,
    budget: Option<u64>,
) -> Result<Vec<Layer>> {
    let taps = names(&graph(model.network(), size)?);
    let mut wanted = exact.compile(model, size, &taps, budget)?;
    wanted.run(input)?;
    let mut got = tested.compile(model, size, &taps, budget)?;
    got.run(input)?;
    let mut layers = Vec::new();
    for (port, (name, shape, values)) in got.outputs().enumerate() {
        let at = last_writer(got.plan(), port);
        let exact = wanted.outputs().find(|(n, ..)| *n == name).map_or(&[][..], |(_, _, values)| values);
        let by_contract = || most(&got.plan().steps[..at], tested.setup().precision);
        let (difference, allowed) = (difference(values, exact), allowed.unwrap_or_else(by_contract));
        layers.push((at, Layer { name: name.to_string(), shape, difference, allowed }));
    }
    layers.sort_by_key(|(at, _)| *at);
    Ok(layers.into_iter().map(|(_, layer)| layer).collect())
}

/// What is computed in each run and has a name.
fn names(graph: &Graph) -> Vec<String> {
    let constant = graph.constants();
    let values = graph.values.iter().zip(constant);
    let computed = values.filter(|(value, constant)| value.role == Role::Temp && !constant);
    computed.filter_map(|(value, _)| value.name.clone()).collect()
}

/// Steps until an output is complete.
fn last_writer(plan: &Plan, port: usize) -> usize {
    let writes = |region| matches!(region, Region::Output(k) if k == port);
    plan.steps.iter().rposition(|step| writes(step.y.region)).map_or(plan.steps.len(), |at| at + 1)
}

fn most(steps: &[crate::plan::Step], precision: Precision) -> f32 {
    let cap = match precision {
        Precision::F32 => MOST,
        Precision::Int8 => MOST_INT8,
        _ => MOST_ROUNDED,
    };
    tolerance(steps, precision).min(cap)
}
