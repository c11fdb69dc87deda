//! One set of weights out of a checkpoint: the wrapper chosen, prefixes stripped, names as the network's own.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::limits::within;
use crate::tensor::TensorInfo;
use crate::value::{Dict, Value};

/// Wrappers looked for when none is named, in order of preference.
const WRAPPERS: &[&str] = &["params_ema", "params", "state_dict", "model_state_dict", "model"];

/// What data-parallel training and compilation put before every name.
const PREFIXES: &[&str] = &["module.", "_orig_mod."];

/// Wrappers followed one inside the other (`{"model": {"state_dict": …}}`).
const MAX_WRAPPERS: usize = 8;

/// Named tensors of one network.
pub struct StateDict<'a> {
    checkpoint: &'a Checkpoint,
    tensors: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
    wrapper: String,
}

impl<'a> StateDict<'a> {
    /// Chooses the set of weights.
    ///
    /// With a `key`: that entry (dots reach inside: `model.ema`); if it is missing, `params`, as BasicSR
    /// does; if that is missing too and the file's root holds tensors itself (a plain state dict, a
    /// safetensors file), the root. Without: the first of `params_ema`, `params`, `state_dict`,
    /// `model_state_dict`, `model`; else the root if it holds tensors; else the only entry that does.
    ///
    /// Prefixes `module.` and `_orig_mod.` are stripped from every name. Dictionaries inside are
    /// flattened with dots, entries that are no tensors are left out.
    pub(crate) fn select(checkpoint: &'a Checkpoint, key: Option<&str>) -> Result<Self> {
        let root = checkpoint.root();
        let (mut wrapper, mut dict) = match (root.as_dict(), key) {
            (None, _) => return Err(Error::missing("the checkpoint holds no named tensors")),
            (Some(dict), Some(key)) => requested(root, dict, key)?,
            (Some(dict), None) => (String::new(), dict),
        };
        for _ in 0..MAX_WRAPPERS {
            let Some((name, inner)) = unwrap(dict)? else { break };
            wrapper = if wrapper.is_empty() { name } else { format!("{wrapper}.{name}") };
            dict = inner;
        }
        let mut state = Self { checkpoint, tensors: Vec::new(), by_name: HashMap::new(), wrapper };
        state.collect(dict, "", 0)?;
        if state.tensors.is_empty() {
            return Err(Error::missing("the checkpoint holds no tensors"));
        }
        Ok(state)
    }

    /// Tensors in file order, names stripped of wrapper and prefixes.
    pub fn tensors(&self) -> std::slice::Iter<'_, TensorInfo> {
        self.tensors.iter()
    }

    /// Names in file order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(|t| t.name.as_str())
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are no tensors; never so for a set that was selected.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The wrapper that was chosen (`params_ema`); empty for a plain state dict.
    pub fn wrapper(&self) -> &str {
        &self.wrapper
    }

    /// The checkpoint the tensors are in.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).and_then(|&i| self.tensors.get(i))
    }

    /// The shape of the tensor of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.get(name).map(|t| t.shape.as_slice())
    }

    /// Elements widened to `f32`, row-major; see [`Checkpoint::read_f32`].
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        self.checkpoint.f32_of(self.require(name)?)
    }

    /// Elements of a tensor of whole numbers or booleans.
    pub fn read_i64(&self, name: &str) -> Result<Vec<i64>> {
        self.checkpoint.i64_of(self.require(name)?)
    }

    /// Little-endian elements in row-major order.
    pub fn read_bytes(&self, name: &str) -> Result<Cow<'a, [u8]>> {
        self.checkpoint.bytes_of(self.require(name)?)
    }

    fn require(&self, name: &str) -> Result<&TensorInfo> {
        self.get(name).ok_or_else(|| {
            let error = Error::missing(format!("there is no tensor {name}"));
            match self.checkpoint.path() {
                Some(path) => error.in_file(path),
                None => error,
            }
        })
    }

    fn collect(&mut self, dict: &Dict, path: &str, depth: usize) -> Result<()> {
        within("nesting of", depth as u64, 64)?;
        for (key, value) in dict.iter() {
            let Some(key) = key.key_name() else { continue };
            let name = if path.is_empty() { key } else { format!("{path}.{key}") };
            match value {
                Value::Tensor(index) => self.add(strip(&name), *index)?,
                Value::Dict(inner) => self.collect(inner, &name, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, index: usize) -> Result<()> {
        let Some(info) = self.checkpoint.tensor_at(index) else { return Ok(()) };
        if self.by_name.insert(name.to_string(), self.tensors.len()).is_some() {
            return Err(Error::format(format!("two tensors are called {name} once prefixes are stripped")));
        }
        self.tensors.push(TensorInfo { name: name.to_string(), ..info.clone() });
        Ok(())
    }
}

fn strip(mut name: &str) -> &str {
    while let Some(rest) = PREFIXES.iter().find_map(|p| name.strip_prefix(p)) {
        name = rest;
    }
    name
}

/// The entry of that key, or what stands in for it.
fn requested<'v>(root: &'v Value, dict: &'v Dict, key: &str) -> Result<(String, &'v Dict)> {
    let found = dict.get(key).or_else(|| key.split('.').try_fold(root, |value, part| value.get(part)));
    if let Some(inner) = found.and_then(Value::as_dict) {
        return Ok((key.to_string(), inner));
    }
    if let Some(inner) = dict.get("params").and_then(Value::as_dict) {
        return Ok(("params".to_string(), inner));
    }
    if dict.holds_tensors() {
        return Ok((String::new(), dict));
    }
    Err(Error::missing(format!("there is no weights key {key}; {}", choices(dict))))
}

/// The dictionary one wrapper further in; `None` where `dict` is itself the state dict.
fn unwrap(dict: &Dict) -> Result<Option<(String, &Dict)>> {
    for &name in WRAPPERS {
        if let Some(inner) = dict.get(name).and_then(Value::as_dict).filter(|d| leads_to_tensors(d)) {
            return Ok(Some((name.to_string(), inner)));
        }
    }
    if dict.holds_tensors() {
        return Ok(None);
    }
    let mut holding = dict
        .iter()
        .filter_map(|(k, v)| Some((k.as_str()?, v.as_dict()?)))
        .filter(|(_, d)| leads_to_tensors(d));
    match (holding.next(), holding.next()) {
        (Some((name, inner)), None) => Ok(Some((name.to_string(), inner))),
        (Some(_), Some(_)) => {
            Err(Error::missing(format!("several sets of weights; name one: {}", choices(dict))))
        }
        _ => Ok(None),
    }
}

/// Whether a dictionary holds tensors itself or one level further in.
fn leads_to_tensors(dict: &Dict) -> bool {
    dict.holds_tensors() || dict.iter().any(|(_, v)| v.as_dict().is_some_and(Dict::holds_tensors))
}

fn choices(dict: &Dict) -> String {
    let names: Vec<&str> = dict
        .iter()
        .filter_map(|(k, v)| Some((k.as_str()?, v.as_dict()?)))
        .filter(|(_, d)| leads_to_tensors(d))
        .map(|(k, _)| k)
        .take(16)
        .collect();
    if names.is_empty() {
        "the file holds no dictionary of tensors".to_string()
    } else {
        format!("the file holds {}", names.join(", "))
    }
}
