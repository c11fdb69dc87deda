//! Conversion of one set of weights between `.pth` and safetensors.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value as Json};

use crate::checkpoint::{Checkpoint, Format};
use crate::error::{Error, Result};
use crate::write::{write_pth, write_safetensors, NamedTensor, TensorSet};

/// Metadata key under which a safetensors file remembers the wrapper its tensors had.
const WRAPPER: &str = "wrapper";

/// What to convert and how.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// Set of weights; see [`Checkpoint::select`].
    pub key: Option<String>,
    /// Key to put a `.pth`'s tensors under; by default the one they came from (also by way of safetensors).
    pub wrapper: Option<String>,
    /// Text for safetensors' metadata, over what the input has.
    pub metadata: Vec<(String, String)>,
    /// Tensors to add: name, extents, elements.
    pub added: Vec<(String, Vec<usize>, Vec<f32>)>,
    /// Tensors whose names begin so are left out, unless they are added.
    pub dropped: Option<String>,
    /// Whether an existing output is replaced.
    pub overwrite: bool,
}

/// What was converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// The file read.
    pub input: PathBuf,
    /// The file written.
    pub output: PathBuf,
    /// The output's container.
    pub format: Format,
    /// Key the tensors were under in the input; empty for none.
    pub read_from: String,
    /// Key they are under in the output; empty for none.
    pub written_to: String,
    /// Tensors converted.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Metadata of the input that the output cannot hold.
    pub dropped_metadata: usize,
}

/// Converts one set of weights to the container the output's extension names
/// (`.safetensors`; `.pth`, `.pt`, `.ckpt`, `.tar`).
///
/// # Errors
/// Whatever reading or writing refuses; `Unsupported` for another extension; `Io` for an output
/// that exists without [`overwrite`](ConvertOptions::overwrite).
pub fn convert(input: &Path, output: &Path, options: &ConvertOptions) -> Result<Conversion> {
    let format = format_by_extension(output)?;
    if !options.overwrite && output.exists() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(Error::io("exists; --overwrite replaces it", exists).in_file(output));
    }
    let checkpoint = Checkpoint::open(input)?;
    let state = checkpoint.select(options.key.as_deref())?;
    let mut tensors = state.named_tensors()?;
    tensors.retain(|t| !options.dropped.as_ref().is_some_and(|start| t.name.starts_with(start)));
    tensors.extend(options.added.iter().map(|(name, shape, data)| NamedTensor::f32(name, shape, data)));
    let came_from = match checkpoint.metadata_get(WRAPPER) {
        Some(wrapper) if state.wrapper().is_empty() => wrapper.to_string(),
        _ => state.wrapper().to_string(),
    };
    let (written_to, dropped_metadata) = match format {
        Format::Safetensors => {
            write_safetensors(output, &tensors, &metadata(&checkpoint, &came_from, options))?;
            (String::new(), 0)
        }
        _ => {
            let wrapper = options.wrapper.clone().unwrap_or(came_from);
            write_pth(output, &[TensorSet { wrapper: &wrapper, tensors: &tensors }])?;
            (wrapper, checkpoint.metadata().len() + options.metadata.len())
        }
    };
    Ok(Conversion {
        input: input.to_path_buf(),
        output: output.to_path_buf(),
        format,
        read_from: state.wrapper().to_string(),
        written_to,
        tensors: tensors.len(),
        bytes: tensors.iter().map(|t| t.bytes.len() as u64).sum(),
        dropped_metadata,
    })
}

fn format_by_extension(output: &Path) -> Result<Format> {
    let extension = output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "safetensors" => Ok(Format::Safetensors),
        "pth" | "pt" | "ckpt" | "tar" => Ok(Format::PthZip),
        _ => Err(Error::unsupported(
            "is neither .safetensors nor .pth; the output's extension says what to write",
        )
        .in_file(output)),
    }
}

/// The input's metadata, then where the tensors came from, then the caller's; later ones win.
fn metadata(checkpoint: &Checkpoint, wrapper: &str, options: &ConvertOptions) -> Vec<(String, String)> {
    let mut out = checkpoint.metadata().to_vec();
    let mut set = |key: &str, value: &str| {
        out.retain(|(k, _)| k != key);
        out.push((key.to_string(), value.to_string()));
    };
    set("format", "pt");
    if !wrapper.is_empty() {
        set(WRAPPER, wrapper);
    }
    for (key, value) in &options.metadata {
        set(key, value);
    }
    out.sort();
    out
}

impl Conversion {
    /// The same as JSON.
    pub fn to_json(&self) -> Json {
        json!({
            "input": self.input.display().to_string(),
            "output": self.output.display().to_string(),
            "format": self.format.to_string(),
            "read_from": self.read_from,
            "written_to": self.written_to,
            "tensors": self.tensors,
            "bytes": self.bytes,
            "dropped_metadata": self.dropped_metadata,
        })
    }
}

impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {} tensors, {} bytes",
            self.output.display(),
            self.format,
            self.tensors,
            self.bytes
        )?;
        if !self.read_from.is_empty() {
            write!(f, ", from {}", super::shown(&self.read_from))?;
        }
        if !self.written_to.is_empty() {
            write!(f, ", under {}", super::shown(&self.written_to))?;
        }
        if self.dropped_metadata > 0 {
            write!(f, "; .pth has no place for {} entries of metadata", self.dropped_metadata)?;
        }
        writeln!(f)
    }
}
