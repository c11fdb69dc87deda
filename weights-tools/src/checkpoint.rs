//! A checkpoint on disk: opened by content, mapped, its tensors listed by name and read on request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

use crate::dtype::{self, DType};
use crate::error::{Error, Result};
use crate::limits::{within, Limits};
use crate::pickle::TensorClaim;
use crate::source::{Contents, Source, Storage};
use crate::state_dict::StateDict;
use crate::tensor::{gather, TensorInfo};
use crate::value::Value;
use crate::{archive, legacy, safetensors};

/// The container a checkpoint is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.pth` of PyTorch 1.6 and later.
    PthZip,
    /// `.pth` of PyTorch before 1.6.
    PthLegacy,
    /// safetensors.
    Safetensors,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Format::PthZip => "pth (zip)",
            Format::PthLegacy => "pth (legacy)",
            Format::Safetensors => "safetensors",
        })
    }
}

/// An open checkpoint. Opening reads the structure; tensor data is read when asked for.
pub struct Checkpoint {
    source: Source,
    path: Option<PathBuf>,
    format: Format,
    root: Value,
    storages: Vec<Storage>,
    /// The table that [`Value::Tensor`] indexes.
    table: Vec<TensorInfo>,
    /// Tensors by whole path in the order of the file; one under two names is in here twice.
    listed: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
    metadata: Vec<(String, String)>,
}

impl Checkpoint {
    /// Opens a `.pth`, `.pt` or `.safetensors` file; the content decides, not the extension.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Limits::default())
    }

    /// [`open`](Self::open) with other bounds.
    pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let path = path.as_ref();
        let mut checkpoint = Self::read(Source::map(path)?, limits).map_err(|e| e.in_file(path))?;
        checkpoint.path = Some(path.to_path_buf());
        Ok(checkpoint)
    }

    /// Reads a checkpoint that is in memory.
    pub fn from_bytes(bytes: Vec<u8>, limits: &Limits) -> Result<Self> {
        Self::read(Source::Memory(bytes), limits)
    }

    fn read(source: Source, limits: &Limits) -> Result<Self> {
        let bytes = source.bytes();
        let format = recognise(bytes)?;
        let Contents { root, storages, tensors, metadata } = match format {
            Format::PthZip => archive::read(bytes, limits)?,
            Format::PthLegacy => legacy::read(bytes, limits)?,
            Format::Safetensors => safetensors::read(bytes, limits)?,
        };
        let table: Vec<_> = tensors.into_iter().map(|claim| unnamed(claim, &storages)).collect();
        let mut names = Names { table: &table, limits, listed: Vec::new(), visited: 0, path: String::new() };
        names.walk(&root)?;
        let listed = names.listed;
        check_expansion(&listed, bytes.len(), limits)?;
        let mut by_name = HashMap::with_capacity(listed.len());
        for (index, info) in listed.iter().enumerate() {
            by_name.entry(info.name.clone()).or_insert(index);
        }
        Ok(Self { source, path: None, format, root, storages, table, listed, by_name, metadata })
    }

    /// The container.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The file, if it was opened from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Length of the file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.source.bytes().len() as u64
    }

    /// The structure around the tensors.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Text that came with the tensors (safetensors' `__metadata__`), in no particular order.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// The metadata under `key`.
    pub fn metadata_get(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Every tensor in file order, under its whole path (`params_ema.conv_first.weight`).
    pub fn tensors(&self) -> std::slice::Iter<'_, TensorInfo> {
        self.listed.iter()
    }

    /// The tensor of that whole path.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo> {
        self.by_name
            .get(name)
            .and_then(|&i| self.listed.get(i))
            .ok_or_else(|| self.located(Error::missing(format!("there is no tensor {name}"))))
    }

    /// The tensor that a [`Value::Tensor`] of this checkpoint stands for; its name is not set.
    pub fn tensor_at(&self, index: usize) -> Option<&TensorInfo> {
        self.table.get(index)
    }

    /// The set of weights to load; see [`StateDict`].
    pub fn select(&self, key: Option<&str>) -> Result<StateDict<'_>> {
        StateDict::select(self, key).map_err(|e| self.located(e))
    }

    /// Elements of the tensor of that whole path, widened (`f64`: rounded) to `f32`, row-major.
    /// Tensors of whole numbers are an error.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        self.f32_of(self.tensor(name)?)
    }

    /// Elements of a tensor of whole numbers or booleans, row-major.
    pub fn read_i64(&self, name: &str) -> Result<Vec<i64>> {
        self.i64_of(self.tensor(name)?)
    }

    /// Little-endian elements in row-major order, borrowed from the file where they lie so.
    pub fn read_bytes(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        self.bytes_of(self.tensor(name)?)
    }

    /// [`read_f32`](Self::read_f32) of a tensor of this checkpoint.
    pub fn f32_of(&self, info: &TensorInfo) -> Result<Vec<f32>> {
        dtype::to_f32(info.dtype, &self.bytes_of(info)?).map_err(|e| self.named(e, info))
    }

    /// [`read_i64`](Self::read_i64) of a tensor of this checkpoint.
    pub fn i64_of(&self, info: &TensorInfo) -> Result<Vec<i64>> {
        dtype::to_i64(info.dtype, &self.bytes_of(info)?).map_err(|e| self.named(e, info))
    }

    /// [`read_bytes`](Self::read_bytes) of a tensor of this checkpoint.
    pub fn bytes_of(&self, info: &TensorInfo) -> Result<Cow<'_, [u8]>> {
        let storage = self.storages.get(info.storage);
        let storage =
            storage.ok_or_else(|| self.located(Error::missing("the tensor is of another checkpoint")))?;
        storage.bytes(&self.source).and_then(|bytes| gather(info, bytes)).map_err(|e| self.located(e))
    }

    /// Lets the system take back the memory that the tensor's part of a mapped file takes since it was read; reading
    /// the tensor again brings it back.
    pub fn let_go(&self, info: &TensorInfo) {
        if let Some(storage) = self.storages.get(info.storage) {
            storage.let_go(&self.source);
        }
    }

    /// The elements in place, for a gapless `f32` tensor that lies on a multiple of four bytes.
    pub fn view_f32(&self, info: &TensorInfo) -> Option<&[f32]> {
        if info.dtype != DType::F32 || cfg!(target_endian = "big") {
            return None;
        }
        match self.bytes_of(info).ok()? {
            Cow::Borrowed(bytes) => bytemuck::try_cast_slice(bytes).ok(),
            Cow::Owned(_) => None,
        }
    }

    fn named(&self, e: Error, info: &TensorInfo) -> Error {
        self.located(Error::unsupported(format!("tensor {} {}", info.name, e.message())))
    }

    fn located(&self, e: Error) -> Error {
        match &self.path {
            Some(path) => e.in_file(path),
            None => e,
        }
    }
}

fn recognise(bytes: &[u8]) -> Result<Format> {
    if bytes.starts_with(b"PK") {
        return Ok(Format::PthZip);
    }
    if bytes.starts_with(legacy::MAGIC) {
        return Ok(Format::PthLegacy);
    }
    if safetensors::recognise(bytes) {
        return Ok(Format::Safetensors);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Err(Error::unsupported(
            "is a tar archive (PyTorch before 0.1.10, or packed by hand); unpack it first",
        ));
    }
    let head: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    Err(Error::format(format!(
        "is neither a PyTorch checkpoint nor safetensors (it begins with {})",
        head.join(" ")
    )))
}

fn unnamed(claim: TensorClaim, storages: &[Storage]) -> TensorInfo {
    let TensorClaim { storage, layout } = claim;
    TensorInfo {
        name: String::new(),
        dtype: layout.dtype,
        shape: layout.shape,
        strides: layout.strides,
        storage,
        storage_key: storages.get(storage).map(|s| s.key.clone()).unwrap_or_default(),
        offset: layout.offset,
    }
}

/// Gives every tensor the path by which the structure reaches it.
struct Names<'a> {
    table: &'a [TensorInfo],
    limits: &'a Limits,
    listed: Vec<TensorInfo>,
    visited: u64,
    path: String,
}

impl Names<'_> {
    /// Shared parts are walked once per path, so the visits are bounded too.
    fn walk(&mut self, value: &Value) -> Result<()> {
        self.visited += 1;
        within("value number", self.visited, self.limits.items)?;
        match value {
            Value::Tensor(index) => self.list(*index),
            Value::List(items) | Value::Tuple(items) => {
                items.iter().enumerate().try_for_each(|(i, item)| self.below(&i, item))
            }
            Value::Dict(_) | Value::Object(_) => {
                let Some(dict) = value.as_dict() else { return Ok(()) };
                dict.iter().try_for_each(|(key, item)| match key {
                    Value::Str(key) => self.below(key, item),
                    Value::Int(key) => self.below(key, item),
                    _ => Ok(()),
                })
            }
            _ => Ok(()),
        }
    }

    fn below(&mut self, part: &dyn Display, value: &Value) -> Result<()> {
        let length = self.path.len();
        let dot = if length == 0 { "" } else { "." };
        // Writing to a string cannot fail.
        let _ = write!(self.path, "{dot}{part}");
        self.walk(value)?;
        self.path.truncate(length);
        Ok(())
    }

    fn list(&mut self, index: usize) -> Result<()> {
        within("a tensor name of length", self.path.len() as u64, self.limits.name_bytes as u64)?;
        within("tensor number", self.listed.len() as u64 + 1, self.limits.tensors as u64)?;
        if let Some(info) = self.table.get(index) {
            self.listed.push(TensorInfo { name: self.path.clone(), ..info.clone() });
        }
        Ok(())
    }
}

/// Shared and expanded storages may hold more than the file, within a bound.
fn check_expansion(tensors: &[TensorInfo], file_len: usize, limits: &Limits) -> Result<()> {
    let total = tensors.iter().fold(0u64, |sum, t| sum.saturating_add(t.bytes() as u64));
    let bound = limits.expanded_bytes.saturating_add((file_len as u64).saturating_mul(16));
    within("tensors that ask together for bytes", total, bound)
}
