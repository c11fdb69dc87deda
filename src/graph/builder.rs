//! Building a graph: inputs, parameters by checkpoint name, scopes, and the first mistake.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;

use super::var::Var;
use super::{Graph, Node, Role, Value, ValueId};
use crate::ops::Op;
use crate::tensor::{DType, Shape, TensorSpec};
use crate::{Error, Result};

/// What the graph is built for. Read only by layers that behave differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Computing results.
    Infer,
    /// Computing results whose gradients are wanted.
    Train,
}

/// Collects a graph. Methods of [`Var`] append to it; [`Builder::finish`] hands the graph over.
///
/// The first illegal call is kept with its operator, extents, scope and source line and becomes
/// the error of `finish`; calls after it do nothing.
#[derive(Debug)]
pub struct Builder {
    mode: Mode,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    graph: Graph,
    names: HashMap<String, ValueId>,
    scope: String,
    error: Option<Error>,
}

/// A scope in force until dropped; names declared meanwhile are prefixed by it.
#[derive(Debug)]
#[must_use = "a scope ends when it is dropped"]
pub struct Scope<'b> {
    builder: &'b Builder,
    outer: usize,
}

impl Builder {
    /// An empty graph.
    pub fn new(mode: Mode) -> Self {
        Self { mode, state: RefCell::default() }
    }

    /// What the graph is built for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A tensor given at each run. Its name is not prefixed by scopes.
    #[track_caller]
    pub fn input(&self, name: &str, dims: &[usize]) -> Var<'_> {
        let at = Location::caller();
        let var = self.declare(name.to_string(), Role::Input, dims, at);
        if let Some(id) = var.id {
            self.state.borrow_mut().graph.inputs.push(id);
        }
        var
    }

    /// The same of samples, which [`Var::normalise`] alone reads.
    #[track_caller]
    pub fn input_of_samples(&self, name: &str, dims: &[usize], dtype: DType) -> Var<'_> {
        let var = self.input(name, dims);
        if let Some(id) = var.id {
            self.state.borrow_mut().graph.values[id.index()].spec.dtype = dtype;
        }
        var
    }

    /// A tensor of the checkpoint, named within the current scope. Asking again for the same name
    /// gives the same tensor.
    #[track_caller]
    pub fn param(&self, name: &str, dims: &[usize]) -> Var<'_> {
        self.declare(self.path(name), Role::Param, dims, Location::caller())
    }

    /// A tensor of the checkpoint that training changes without a gradient (running statistics).
    #[track_caller]
    pub fn state(&self, name: &str, dims: &[usize]) -> Var<'_> {
        self.declare(self.path(name), Role::State, dims, Location::caller())
    }

    /// A tensor that depends on nothing, such as anchors; computed once at load.
    #[track_caller]
    pub fn constant(&self, op: impl Into<Op>) -> Var<'_> {
        self.push(op.into(), &[], Location::caller())
    }

    /// Prefixes names declared until the returned guard is dropped; scopes join with dots.
    pub fn scope(&self, name: &str) -> Scope<'_> {
        let path = self.path(name);
        let outer = std::mem::replace(&mut self.state.borrow_mut().scope, path);
        Scope { builder: self, outer: outer.len() }
    }

    /// The same with no scope around it: names are prefixed by `name` alone.
    pub fn root_scope(&self, name: &str) -> RootScope<'_> {
        RootScope {
            builder: self,
            outer: std::mem::replace(&mut self.state.borrow_mut().scope, name.to_string()),
        }
    }

    /// Declares a result.
    #[track_caller]
    pub fn output(&self, name: &str, var: Var<'_>) {
        let at = Location::caller();
        let Some(id) = var.id else { return };
        let mut state = self.state.borrow_mut();
        if state.graph.outputs.iter().any(|(n, _)| n == name) {
            state.fail("output", &[], at, Error::shape(format!("two outputs are named {name}")));
            return;
        }
        state.graph.outputs.push((name.to_string(), id));
    }

    /// Records that a network cannot be built as configured; kept if it is the first mistake.
    #[track_caller]
    pub fn fail(&self, error: Error) {
        let at = Location::caller();
        self.state.borrow_mut().fail("network", &[], at, error);
    }

    /// The graph.
    ///
    /// # Errors
    /// The first illegal call, or `Shape` when no output was declared.
    pub fn finish(self) -> Result<Graph> {
        let state = self.state.into_inner();
        match state.error {
            Some(error) => Err(error),
            None if state.graph.outputs.is_empty() => Err(Error::shape("a graph without outputs")),
            None => Ok(state.graph),
        }
    }

    /// `name` within the current scope; the scope itself when `name` is empty.
    pub(super) fn path(&self, name: &str) -> String {
        let state = self.state.borrow();
        match (state.scope.as_str(), name) {
            ("", name) => name.to_string(),
            (scope, "") => scope.to_string(),
            (scope, name) => format!("{scope}.{name}"),
        }
    }

    fn declare(&self, name: String, role: Role, dims: &[usize], at: &'static Location<'static>) -> Var<'_> {
        let mut state = self.state.borrow_mut();
        let id = match Shape::new(dims) {
            Err(error) => state.fail("declare", &[], at, error.while_doing(&name)),
            Ok(shape) => state.declare(name, role, shape, at),
        };
        Var { b: self, id }
    }

    pub(super) fn spec(&self, id: ValueId) -> TensorSpec {
        self.state.borrow().graph.value(id).spec
    }

    /// Appends a node unless an input is void or illegal.
    pub(super) fn push(&self, op: Op, ins: &[Var<'_>], at: &'static Location<'static>) -> Var<'_> {
        let ids: Option<Vec<ValueId>> = ins.iter().map(|v| v.id).collect();
        let id = ids.and_then(|ids| self.state.borrow_mut().push(op, ids, at));
        Var { b: self, id }
    }

    /// Records an illegal call and gives a void value.
    pub(super) fn refuse(
        &self,
        op: &str,
        ins: &[Var<'_>],
        at: &'static Location<'static>,
        error: Error,
    ) -> Var<'_> {
        let ids: Vec<ValueId> = ins.iter().filter_map(|v| v.id).collect();
        Var { b: self, id: self.state.borrow_mut().fail(op, &ids, at, error) }
    }

    pub(super) fn name(&self, id: ValueId, name: &str, at: &'static Location<'static>) {
        let path = self.path(name);
        let mut state = self.state.borrow_mut();
        if state.names.contains_key(&path) {
            state.fail("name", &[id], at, Error::shape(format!("two values are named {path}")));
            return;
        }
        state.names.insert(path.clone(), id);
        let value = &mut state.graph.values[id.index()];
        if value.role == Role::Temp {
            value.name = Some(path);
        }
    }
}

impl State {
    fn declare(
        &mut self,
        name: String,
        role: Role,
        shape: Shape,
        at: &'static Location<'static>,
    ) -> Option<ValueId> {
        if self.error.is_some() {
            return None;
        }
        if let Some(&id) = self.names.get(&name) {
            let known = self.graph.value(id);
            if known.role == role && role != Role::Input && known.spec.shape == shape {
                return Some(id);
            }
            let what = format!(
                "{name} is declared as {:?} {} and as {role:?} {shape}",
                known.role, known.spec.shape
            );
            return self.fail("declare", &[], at, Error::shape(what));
        }
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { spec: TensorSpec::f32(shape), role, name: Some(name.clone()) });
        self.names.insert(name, id);
        Some(id)
    }

    fn push(&mut self, op: Op, ins: Vec<ValueId>, at: &'static Location<'static>) -> Option<ValueId> {
        if self.error.is_some() {
            return None;
        }
        let specs = self.graph.specs(&ins);
        let samples = specs.iter().find(|spec| spec.dtype != DType::F32);
        let inferred = match samples.filter(|_| !matches!(op, Op::Normalise(_))) {
            Some(spec) => Err(Error::shape(format!("f32 wanted, {} given", spec.dtype))),
            None => op.infer(&specs),
        };
        match inferred {
            Err(error) => self.fail(op.name(), &ins, at, error),
            Ok(spec) => {
                let out = self.graph.push_value(spec);
                self.graph.nodes.push(Node { op, ins, out, scope: self.scope.clone() });
                Some(out)
            }
        }
    }

    fn fail(
        &mut self,
        op: &str,
        ins: &[ValueId],
        at: &'static Location<'static>,
        error: Error,
    ) -> Option<ValueId> {
        if self.error.is_none() {
            let dims: Vec<String> =
                ins.iter().map(|&id| self.graph.value(id).spec.shape.to_string()).collect();
            let of = if dims.is_empty() { String::new() } else { format!(" of {}", dims.join(", ")) };
            let scope = if self.scope.is_empty() { String::new() } else { format!("{}: ", self.scope) };
            let line = format!(" ({}:{})", at.file(), at.line());
            self.error = Some(Error::new(error.kind(), format!("{scope}{op}{of}: {error}{line}")));
        }
        None
    }
}

impl<'b> Scope<'b> {
    /// See [`Builder::param`].
    #[track_caller]
    pub fn param(&self, name: &str, dims: &[usize]) -> Var<'b> {
        self.builder.param(name, dims)
    }

    /// See [`Builder::state`].
    #[track_caller]
    pub fn state(&self, name: &str, dims: &[usize]) -> Var<'b> {
        self.builder.state(name, dims)
    }

    /// See [`Builder::scope`].
    pub fn scope(&self, name: &str) -> Scope<'b> {
        self.builder.scope(name)
    }
}

/// A scope that replaces those around it until dropped.
#[derive(Debug)]
#[must_use = "a scope ends when it is dropped"]
pub struct RootScope<'b> {
    builder: &'b Builder,
    outer: String,
}

impl Drop for RootScope<'_> {
    fn drop(&mut self) {
        self.builder.state.borrow_mut().scope = std::mem::take(&mut self.outer);
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        let mut state = self.builder.state.borrow_mut();
        let outer = self.outer.min(state.scope.len());
        state.scope.truncate(outer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Conv2d;

    #[test]
    fn names_join_scopes_and_are_shared() {
        let b = Builder::new(Mode::Infer);
        let x = b.input("x", &[1, 3, 8, 8]);
        let block = b.scope("body.0");
        let w = block.scope("rdb1").param("conv1.weight", &[4, 3, 3, 3]);
        let y = x.conv2d(w, None, Conv2d::same(3)).relu().name("");
        drop(block);
        let again = b.param("body.0.rdb1.conv1.weight", &[4, 3, 3, 3]);
        assert_eq!(w.id, again.id);
        b.output("y", y);
        let graph = b.finish().unwrap();
        assert_eq!(graph.params().map(|(n, _)| n).collect::<Vec<_>>(), ["body.0.rdb1.conv1.weight"]);
        assert_eq!(graph.find("body.0"), Some(graph.outputs[0].1));
        assert_eq!(&*graph.value(graph.outputs[0].1).spec.shape, &[1, 4, 8, 8]);
    }

    #[test]
    fn the_first_mistake_is_reported_with_its_place() {
        let b = Builder::new(Mode::Infer);
        let x = b.input("x", &[1, 3, 8, 8]);
        let scope = b.scope("body.0");
        let w = b.param("w", &[4, 5, 3, 3]);
        let line = line!() + 1;
        let y = x.conv2d(w, None, Conv2d::same(3)).leaky_relu(0.2);
        y.reshape(&[7]).pixel_shuffle(9);
        drop(scope);
        b.output("y", y);
        let error = b.finish().unwrap_err().to_string();
        for part in ["body.0: conv2d of 1x3x8x8, 4x5x3x3", "weight takes 5", &format!("builder.rs:{line}")] {
            assert!(error.contains(part), "{error}");
        }
    }
}
