//! The safetensors writer: the JSON header padded so that tensor data starts at a multiple of 256 bytes.

use std::io::Write;
use std::path::Path;

use serde_json::{json, Map, Value as Json};

use super::{atomic, check_all, NamedTensor};
use crate::dtype::DType;
use crate::error::{Error, Result};

/// Where the first tensor starts: a multiple of this many bytes, for mapped loads into vector units.
const ALIGNMENT: usize = 256;

/// Writes tensors and `metadata` (text by key, kept in the file's `__metadata__`).
///
/// Tensors are ordered by element size, then as given, so that each lies on a multiple of its own.
///
/// # Errors
/// `Format` for sizes that contradict shapes or names met twice, `Unsupported` for `complex128`,
/// `Io`, after which neither the file nor a part of it is left.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[NamedTensor<'_>],
    metadata: &[(String, String)],
) -> Result<()> {
    let path = path.as_ref();
    check_all(tensors).map_err(|e| e.in_file(path))?;
    let mut order: Vec<&NamedTensor<'_>> = tensors.iter().collect();
    order.sort_by_key(|t| std::cmp::Reverse(t.dtype.size()));
    let header = header(&order, metadata).map_err(|e| e.in_file(path))?;
    atomic::write(path, |sink| {
        sink.write_all(&(header.len() as u64).to_le_bytes())?;
        sink.write_all(header.as_bytes())?;
        order.iter().try_for_each(|t| sink.write_all(&t.bytes))
    })
}

fn header(order: &[&NamedTensor<'_>], metadata: &[(String, String)]) -> Result<String> {
    let mut map = Map::new();
    if !metadata.is_empty() {
        let text = metadata.iter().map(|(k, v)| (k.clone(), Json::from(v.as_str())));
        map.insert("__metadata__".to_string(), Json::Object(text.collect()));
    }
    let mut at = 0u64;
    for tensor in order {
        if tensor.dtype == DType::C128 {
            return Err(Error::unsupported(format!(
                "tensor {} is complex128, which safetensors lacks",
                tensor.name
            )));
        }
        let end = at + tensor.bytes.len() as u64;
        let entry = json!({
            "dtype": tensor.dtype.safetensors_name(),
            "shape": tensor.shape,
            "data_offsets": [at, end],
        });
        if tensor.name == "__metadata__" {
            return Err(Error::unsupported("a tensor called __metadata__"));
        }
        map.insert(tensor.name.to_string(), entry);
        at = end;
    }
    let mut header = Json::Object(map).to_string();
    let padding = (8 + header.len()).next_multiple_of(ALIGNMENT) - 8 - header.len();
    header.extend(std::iter::repeat_n(' ', padding));
    Ok(header)
}
