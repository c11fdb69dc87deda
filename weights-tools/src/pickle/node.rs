//! What the pickle machine builds: nodes in an arena, and their conversion to a [`Value`] tree.

use std::collections::HashMap;
use std::sync::Arc;

use super::globals::Global;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::limits::{within, Limits};
use crate::tensor::Layout;
use crate::value::{Dict, Object, Value};

/// Index of a node in the arena.
pub(super) type Id = u32;

/// One Python value. Containers hold indices, so that a pickle may share and extend them.
#[derive(Debug, Clone)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global, Arc<str>),
    Storage(usize),
    Tensor(usize),
    NumpyDType(DType),
    Object { class: Arc<str>, args: Id, state: Id },
}

/// A storage as the pickle claims it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StorageClaim {
    /// Its name: `data/<key>` in a zip, an address in the legacy format.
    pub key: String,
    /// Elements' type ([`DType::U8`] where untyped).
    pub dtype: DType,
    /// Bytes claimed.
    pub bytes: u64,
}

/// A tensor as the pickle claims it.
#[derive(Debug, Clone)]
pub(crate) struct TensorClaim {
    /// Index into the storages.
    pub storage: usize,
    /// Claimed layout, checked against the claimed size of the storage.
    pub layout: Layout,
}

/// The outcome of one pickle stream.
#[derive(Debug)]
pub(crate) struct Program {
    /// The top value.
    pub root: Value,
    /// Storages in order of their first mention.
    pub storages: Vec<StorageClaim>,
    /// Tensors in the order they were built; [`Value::Tensor`] indexes them.
    pub tensors: Vec<TensorClaim>,
}

/// Converts arena nodes to values, each once; refuses cycles and deep nesting.
pub(super) struct Finisher<'a> {
    nodes: &'a [Node],
    done: HashMap<Id, Value>,
    limits: &'a Limits,
}

impl<'a> Finisher<'a> {
    pub fn new(nodes: &'a [Node], limits: &'a Limits) -> Self {
        Self { nodes, done: HashMap::new(), limits }
    }

    /// The value of node `id`. A cycle never ends, so it is met as nesting over the limit.
    pub fn value(&mut self, id: Id, depth: usize) -> Result<Value> {
        within("nesting (or a value that contains itself) of", depth as u64, self.limits.depth as u64)?;
        if let Some(value) = self.done.get(&id) {
            return Ok(value.clone());
        }
        let Some(node) = self.nodes.get(id as usize) else {
            return Err(Error::format("the pickle refers to a value it has not made"));
        };
        let value = self.convert(node, depth + 1)?;
        self.done.insert(id, value.clone());
        Ok(value)
    }

    fn convert(&mut self, node: &Node, depth: usize) -> Result<Value> {
        Ok(match node {
            Node::None => Value::None,
            Node::Bool(v) => Value::Bool(*v),
            Node::Int(v) => Value::Int(*v),
            Node::Float(v) => Value::Float(*v),
            Node::Str(v) => Value::Str(v.clone()),
            Node::Bytes(v) => Value::Bytes(v.clone()),
            Node::List(items) => Value::List(self.values(items, depth)?.into()),
            Node::Tuple(items) => Value::Tuple(self.values(items, depth)?.into()),
            Node::Dict(entries) => Value::Dict(Arc::new(self.dict(entries, depth)?)),
            Node::Tensor(index) => Value::Tensor(*index),
            Node::Global(_, name) => object(name, Vec::new(), Value::None),
            Node::NumpyDType(dtype) => {
                object("numpy.dtype", vec![Value::Str(dtype.torch_name().into())], Value::None)
            }
            Node::Storage(_) => object("torch.Storage", Vec::new(), Value::None),
            Node::Object { class, args, state } => {
                let args = match self.value(*args, depth)? {
                    Value::Tuple(items) => items.to_vec(),
                    Value::None => Vec::new(),
                    single => vec![single],
                };
                object(class, args, self.value(*state, depth)?)
            }
        })
    }

    fn values(&mut self, ids: &[Id], depth: usize) -> Result<Vec<Value>> {
        ids.iter().map(|&id| self.value(id, depth)).collect()
    }

    /// As in Python, a key met again keeps its first place and takes the last value.
    fn dict(&mut self, entries: &[(Id, Id)], depth: usize) -> Result<Dict> {
        let mut out: Vec<(Value, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for &(key, value) in entries {
            let (key, value) = (self.value(key, depth)?, self.value(value, depth)?);
            if let Value::Str(text) = &key {
                within("a key of length", text.len() as u64, self.limits.name_bytes as u64)?;
            }
            let name = key
                .key_name()
                .map(|name| format!("{}{name}", if key.as_str().is_some() { 's' } else { 'i' }));
            match name.as_ref().and_then(|name| places.get(name)).and_then(|&at| out.get_mut(at)) {
                Some(entry) => entry.1 = value,
                None => {
                    if let Some(name) = name {
                        places.insert(name, out.len());
                    }
                    out.push((key, value));
                }
            }
        }
        Ok(Dict::new(out))
    }
}

fn object(class: &str, args: Vec<Value>, state: Value) -> Value {
    Value::Object(Arc::new(Object { class: class.to_string(), args, state }))
}
