//! The value graph: what a network computes, written once, for every device and use.
//!
//! [`Builder`] and [`Var`] append nodes; [`Graph`] is the result, which passes rewrite and a plan
//! is made from. Nodes are in an order in which they can run.

mod builder;
mod dump;
mod halo;
mod var;

pub use builder::{Builder, Mode, RootScope, Scope};
pub use halo::{halo, Halo};
pub use var::Var;

use crate::kernel::levels::Calibration;
use crate::ops::{Cost, Op};
use crate::tensor::TensorSpec;
use crate::{Error, Result};

/// A value's place in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// The place as an index into [`Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Given at each run.
    Input,
    /// Read from a checkpoint under its name.
    Param,
    /// Read from a checkpoint under its name, changed by training (running statistics).
    State,
    /// Computed by a node.
    Temp,
}

/// A tensor of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Element type and extents.
    pub spec: TensorSpec,
    /// Where it comes from.
    pub role: Role,
    /// Name with its scope, as in checkpoints; computed values may have none.
    pub name: Option<String>,
}

/// One operator applied to values.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The operator with its attributes.
    pub op: Op,
    /// What it reads.
    pub ins: Vec<ValueId>,
    /// What it computes.
    pub out: ValueId,
    /// The scope it was written in.
    pub scope: String,
}

/// What a network computes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// All tensors.
    pub values: Vec<Value>,
    /// All operators, each after those it reads from.
    pub nodes: Vec<Node>,
    /// Values given at each run, in the order they were declared.
    pub inputs: Vec<ValueId>,
    /// Results by name, in the order they were declared.
    pub outputs: Vec<(String, ValueId)>,
    /// Levels of what products by these parameters multiply, for devices that multiply bytes.
    pub calibration: Calibration,
}

impl Graph {
    /// The tensor at that place.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The specs of some tensors.
    pub fn specs(&self, ids: &[ValueId]) -> Vec<TensorSpec> {
        ids.iter().map(|&id| self.value(id).spec).collect()
    }

    /// The value of that name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        let at = self.values.iter().position(|v| v.name.as_deref() == Some(name))?;
        Some(ValueId(at as u32))
    }

    /// Makes a named value an output under its name, so that it can be read after a run. To be
    /// called before passes run: what they fuse away has no memory to read.
    ///
    /// # Errors
    /// `Usage` when no value has that name; the message lists names that begin alike.
    pub fn tap(&mut self, name: &str) -> Result<()> {
        let Some(id) = self.find(name) else {
            let stem = &name[..name.find('.').unwrap_or(name.len())];
            let alike =
                |v: &&Value| v.role == Role::Temp && v.name.as_ref().is_some_and(|n| n.starts_with(stem));
            let names: Vec<_> =
                self.values.iter().filter(alike).filter_map(|v| v.name.as_deref()).take(8).collect();
            return Err(Error::usage(format!("no value named {name} to tap; there are {names:?}")));
        };
        if !self.outputs.iter().any(|(n, _)| n == name) {
            self.outputs.push((name.to_string(), id));
        }
        Ok(())
    }

    /// Parameters and states with their names, in the order they were declared.
    pub fn params(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .iter()
            .filter(|v| matches!(v.role, Role::Param | Role::State))
            .filter_map(|v| Some((v.name.as_deref()?, v)))
    }

    /// The node that computes each value, by the value's index.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut at = vec![None; self.values.len()];
        for (k, node) in self.nodes.iter().enumerate() {
            at[node.out.index()] = Some(k);
        }
        at
    }

    /// How often each value is read by nodes or is an output, by the value's index.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let read = self.nodes.iter().flat_map(|n| &n.ins);
        for id in read.chain(self.outputs.iter().map(|(_, id)| id)) {
            uses[id.index()] += 1;
        }
        uses
    }

    /// Whether each value depends on parameters only, so that it can be computed once at load.
    pub fn constants(&self) -> Vec<bool> {
        let mut constant: Vec<bool> =
            self.values.iter().map(|v| matches!(v.role, Role::Param | Role::State)).collect();
        for node in &self.nodes {
            constant[node.out.index()] = node.ins.iter().all(|id| constant[id.index()]);
        }
        constant
    }

    /// Work of one run, without what is computed once at load.
    pub fn cost(&self) -> Cost {
        let constant = self.constants();
        let run = self.nodes.iter().filter(|n| !constant[n.out.index()]);
        run.fold(Cost::default(), |sum, n| {
            let cost = n.op.cost(&self.specs(&n.ins), &self.value(n.out).spec);
            Cost { flops: sum.flops + cost.flops, bytes: sum.bytes + cost.bytes }
        })
    }

    /// Appends a computed value without a node; for passes.
    pub(crate) fn push_value(&mut self, spec: TensorSpec) -> ValueId {
        self.values.push(Value { spec, role: Role::Temp, name: None });
        ValueId((self.values.len() - 1) as u32)
    }
}
