//! The structure around the tensors of a checkpoint: dictionaries, lists, numbers, strings.

use std::sync::Arc;

/// One value of a checkpoint's structure. Cheap to clone; shared parts stay shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Bytes; also whole numbers beyond 64 bits (little-endian two's complement).
    Bytes(Arc<[u8]>),
    /// A list, or a set.
    List(Arc<[Value]>),
    /// A tuple, or a `torch.Size`.
    Tuple(Arc<[Value]>),
    /// A dictionary (`dict`, `OrderedDict`, `Counter`, `defaultdict`) in insertion order.
    Dict(Arc<Dict>),
    /// A tensor, as an index into the checkpoint's table of tensors.
    Tensor(usize),
    /// Something named that is neither made nor run: a dtype, a device, an optimiser's record.
    Object(Arc<Object>),
}

/// A dictionary in insertion order; keys are distinct.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dict {
    entries: Vec<(Value, Value)>,
}

/// A class's name and the values stored with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Full name of the class (`argparse.Namespace`).
    pub class: String,
    /// What it was made from.
    pub args: Vec<Value>,
    /// Its attributes, `None` where it has none.
    pub state: Value,
}

impl Dict {
    pub(crate) fn new(entries: Vec<(Value, Value)>) -> Self {
        Self { entries }
    }

    /// The value under a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// Keys and values in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.entries.iter().map(|(k, v)| (k, v))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any entry is itself a tensor.
    pub fn holds_tensors(&self) -> bool {
        self.entries.iter().any(|(_, v)| matches!(v, Value::Tensor(_)))
    }
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(v) => Some(*v),
            Value::Bool(v) => Some(i64::from(*v)),
            _ => None,
        }
    }

    /// The number, if it is one, whole or not.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(v) => Some(*v),
            Value::Int(v) => Some(*v as f64),
            _ => None,
        }
    }

    /// The dictionary, if it is one; attributes of an [`Object`] count.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Value::Dict(d) => Some(d),
            Value::Object(o) => match &o.state {
                Value::Dict(d) => Some(d),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The value under `key`, for dictionaries.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_dict()?.get(key)
    }

    /// What a dictionary key looks like in a tensor's name.
    pub(crate) fn key_name(&self) -> Option<String> {
        match self {
            Value::Str(s) => Some(s.to_string()),
            Value::Int(v) => Some(v.to_string()),
            _ => None,
        }
    }
}
