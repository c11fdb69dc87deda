//! Which memory a network takes: the process's, a GPU's, or one that is both.

use super::budget::Budget;
use crate::engine::{Engine, LoadedModel};
use crate::error::Result;
use crate::models::InputSize;

/// Sessions of a network on a GPU: while one runs, the host fills the other's input and takes its result.
const TURNS: usize = 2;

/// What a network takes, by consumer.
pub(super) struct Needs {
    /// Sessions that take turns.
    pub depth: usize,
    /// Of the process's memory.
    pub host: Vec<(&'static str, u64)>,
    /// Of a GPU's, where it runs on one.
    pub gpu: Option<Budget>,
}

impl Needs {
    /// What a network of that size takes on an engine; `ceiling` is that of a GPU's memory.
    ///
    /// # Errors
    /// As [`Engine::plan`]; what the device says.
    pub fn of(engine: &Engine, model: &LoadedModel, size: InputSize, ceiling: Option<u64>) -> Result<Self> {
        let plan = engine.plan(model, size, &[])?.memory();
        let pool = engine.pool()?;
        let depth = if pool.is_some() { TURNS } else { 1 };
        let activations = (depth * plan.per_session()) as u64;
        let network = [("network weights", plan.params as u64), ("network activations", activations)];
        let Some(pool) = pool else { return Ok(Self { depth, host: network.to_vec(), gpu: None }) };
        let exact = match engine.unrounded() {
            Some(exact) => exact.plan(model, size, &[])?.memory(),
            None => Default::default(),
        };
        let lines = network.into_iter().chain([("network in f32", exact.total() as u64)]);
        let mut host = vec![
            ("pinned input and output", (depth * plan.io + exact.io) as u64),
            // As they are in the file, and packed.
            ("weights while loading", 2 * plan.params.max(exact.params) as u64),
        ];
        if pool.unified {
            host.extend(lines.clone());
        }
        let gpu = lines.fold(Budget::of_gpu(pool.free, ceiling), |gpu, (what, bytes)| gpu.with(what, bytes));
        Ok(Self { depth, host, gpu: Some(gpu) })
    }
}
