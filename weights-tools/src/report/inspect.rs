//! What is in a checkpoint: container, wrappers, plain values, metadata, and a table of tensors.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value as Json};

use super::{extents, shown};
use crate::checkpoint::{Checkpoint, Format};
use crate::dtype::{self, DType};
use crate::error::Result;
use crate::tensor::TensorInfo;
use crate::value::Value;

/// Plain values listed at most.
const MAX_VALUES: usize = 200;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct InspectOptions {
    /// Set of weights to list; see [`Checkpoint::select`]. Without one, and where the file holds
    /// several, all tensors are listed under their whole paths.
    pub key: Option<String>,
    /// Whether tensor data is read for minimum, mean and maximum.
    pub statistics: bool,
}

/// A checkpoint's contents.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The file.
    pub file: PathBuf,
    /// Its container.
    pub format: Format,
    /// Its length.
    pub file_bytes: u64,
    /// Tensors in the whole file.
    pub all_tensors: usize,
    /// Key whose tensors are listed; empty for the file's root.
    pub wrapper: String,
    /// The listed tensors in file order.
    pub tensors: Vec<TensorRow>,
    /// Numbers, truth values and text around the tensors, by path.
    pub values: Vec<(String, String)>,
    /// safetensors' metadata.
    pub metadata: Vec<(String, String)>,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorRow {
    /// Layout and name.
    pub info: TensorInfo,
    /// Another listed tensor over the same storage, if there is one before this.
    pub shares_with: Option<String>,
    /// Minimum, mean and maximum, where they were asked for and the type has them.
    pub statistics: Option<[f64; 3]>,
}

/// Looks into a checkpoint. Tensor data is read only for statistics.
///
/// # Errors
/// Whatever opening refuses; `Missing` for a key that is not there.
pub fn inspect(path: &Path, options: &InspectOptions) -> Result<Inspection> {
    let checkpoint = Checkpoint::open(path)?;
    let selected = checkpoint.select(options.key.as_deref());
    let (wrapper, infos): (String, Vec<TensorInfo>) = match (selected, &options.key) {
        (Ok(state), _) => (state.wrapper().to_string(), state.tensors().cloned().collect()),
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => (String::new(), checkpoint.tensors().cloned().collect()),
    };
    let mut owners: BTreeMap<usize, String> = BTreeMap::new();
    let mut tensors = Vec::with_capacity(infos.len());
    for info in infos {
        let shares_with = owners.get(&info.storage).cloned();
        owners.entry(info.storage).or_insert_with(|| info.name.clone());
        let statistics = if options.statistics { statistics(&checkpoint, &info)? } else { None };
        tensors.push(TensorRow { info, shares_with, statistics });
    }
    let mut values = Vec::new();
    collect_values(checkpoint.root(), "", &mut values);
    Ok(Inspection {
        file: path.to_path_buf(),
        format: checkpoint.format(),
        file_bytes: checkpoint.file_bytes(),
        all_tensors: checkpoint.tensors().len(),
        wrapper,
        tensors,
        values,
        metadata: checkpoint.metadata().to_vec(),
    })
}

fn statistics(checkpoint: &Checkpoint, info: &TensorInfo) -> Result<Option<[f64; 3]>> {
    let bytes = checkpoint.bytes_of(info)?;
    let Ok(values) = dtype::to_f64(info.dtype, &bytes) else { return Ok(None) };
    if values.is_empty() {
        return Ok(None);
    }
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Ok(Some([min, values.iter().sum::<f64>() / values.len() as f64, max]))
}

fn collect_values(value: &Value, path: &str, out: &mut Vec<(String, String)>) {
    if out.len() >= MAX_VALUES {
        return;
    }
    let text = match value {
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Float(v) => v.to_string(),
        Value::Str(v) => format!("{v:?}"),
        Value::Bytes(v) => format!("{} bytes", v.len()),
        Value::List(items) | Value::Tuple(items) if items.iter().all(|v| v.as_f64().is_some()) => {
            let shown: Vec<String> =
                items.iter().take(8).filter_map(Value::as_f64).map(|v| v.to_string()).collect();
            format!("[{}{}]", shown.join(", "), if items.len() > 8 { ", …" } else { "" })
        }
        Value::List(items) | Value::Tuple(items) => {
            let children = items.iter().enumerate().map(|(i, v)| (i.to_string(), v));
            return children.for_each(|(key, v)| collect_values(v, &format!("{path}.{key}"), out));
        }
        Value::Dict(_) | Value::Object(_) => {
            let children = value.as_dict().into_iter().flat_map(|d| d.iter());
            return children.filter_map(|(k, v)| Some((k.key_name()?, v))).for_each(|(key, v)| {
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                collect_values(v, &path, out);
            });
        }
        Value::None | Value::Tensor(_) => return,
    };
    out.push((path.to_string(), text));
}

impl Inspection {
    /// Elements of the listed tensors, shared ones counted once per tensor.
    pub fn elements(&self) -> u64 {
        self.tensors.iter().map(|t| t.info.numel() as u64).sum()
    }

    /// Element types of the listed tensors and how many tensors have each.
    pub fn dtypes(&self) -> BTreeMap<DType, usize> {
        let mut out = BTreeMap::new();
        for tensor in &self.tensors {
            *out.entry(tensor.info.dtype).or_insert(0) += 1;
        }
        out
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Json {
        let map = |pairs: &[(String, String)]| -> Json {
            Json::Object(pairs.iter().map(|(k, v)| (k.clone(), Json::from(v.as_str()))).collect())
        };
        json!({
            "file": self.file.display().to_string(),
            "format": self.format.to_string(),
            "file_bytes": self.file_bytes,
            "all_tensors": self.all_tensors,
            "wrapper": self.wrapper,
            "elements": self.elements(),
            "tensors": self.tensors.iter().map(TensorRow::to_json).collect::<Vec<_>>(),
            "values": map(&self.values),
            "metadata": map(&self.metadata),
        })
    }
}

impl TensorRow {
    fn to_json(&self) -> Json {
        json!({
            "name": self.info.name,
            "dtype": self.info.dtype.torch_name(),
            "shape": self.info.shape,
            "strides": self.info.strides,
            "storage": self.info.storage_key,
            "offset": self.info.offset,
            "bytes": self.info.bytes(),
            "shares_with": self.shares_with,
            "statistics": self.statistics,
        })
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtypes: Vec<String> = self.dtypes().iter().map(|(d, n)| format!("{d} {n}")).collect();
        writeln!(f, "{}: {}, {} bytes", self.file.display(), self.format, self.file_bytes)?;
        let place =
            if self.wrapper.is_empty() { String::new() } else { format!(" under {}", shown(&self.wrapper)) };
        write!(
            f,
            "{} tensors{place}, {} elements ({})",
            self.tensors.len(),
            self.elements(),
            dtypes.join(", ")
        )?;
        match self.all_tensors - self.tensors.len().min(self.all_tensors) {
            0 => writeln!(f)?,
            rest => writeln!(f, "; {rest} more tensors elsewhere in the file")?,
        }
        for (key, value) in &self.metadata {
            writeln!(f, "  {}: {}", shown(key), shown(value))?;
        }
        for (path, value) in &self.values {
            writeln!(f, "  {} = {}", shown(path), shown(value))?;
        }
        let width = self.tensors.iter().map(|t| shown(&t.info.name).chars().count()).max().unwrap_or(0);
        self.tensors.iter().try_for_each(|tensor| writeln!(f, "{}", tensor.line(width)))
    }
}

impl TensorRow {
    fn line(&self, width: usize) -> String {
        let info = &self.info;
        let mut line = format!(
            "{:width$}  {:8}  {:>16}  {:>12}",
            shown(&info.name),
            info.dtype,
            extents(&info.shape),
            info.bytes()
        );
        if !info.is_contiguous() {
            line.push_str(&format!("  strides {:?}", info.strides));
        }
        if let Some(other) = &self.shares_with {
            line.push_str(&format!("  shares {}", shown(other)));
        }
        if let Some([min, mean, max]) = self.statistics {
            line.push_str(&format!("  {min:.4e} {mean:.4e} {max:.4e}"));
        }
        line
    }
}
