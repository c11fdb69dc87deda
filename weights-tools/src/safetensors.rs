//! The safetensors format: eight bytes of length, a JSON header, then all tensors without gaps.
//!
//! The header is read here rather than by the `safetensors` crate so that every number is checked
//! against [`Limits`] before it is added or multiplied and every error names its tensor.

use serde_json::{Map, Value as Json};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::limits::{within, Limits};
use crate::pickle::TensorClaim;
use crate::source::{Contents, Place, Storage};
use crate::tensor::{row_major, Layout};
use crate::value::{Dict, Value};

/// Whether the bytes begin like a safetensors file: a plausible length, then `{`.
pub(crate) fn recognise(bytes: &[u8]) -> bool {
    header_length(bytes).is_some_and(|n| (2..1 << 40).contains(&n)) && bytes.get(8) == Some(&b'{')
}

fn header_length(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}

/// Reads the header; tensor data stays untouched.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Contents> {
    let length = header_length(bytes).ok_or_else(|| Error::format("the safetensors header is cut off"))?;
    within("a safetensors header of bytes", length, limits.header_bytes)?;
    let start = 8 + length as usize;
    let Some(header) = bytes.get(8..start) else {
        return Err(Error::format(format!(
            "the safetensors header of {length} bytes is cut off: file truncated"
        )));
    };
    let header: Map<String, Json> = serde_json::from_slice(header)
        .map_err(|e| Error::format(format!("the safetensors header is not JSON ({e})")))?;
    within("tensor number", header.len() as u64, limits.tensors as u64)?;
    let mut contents =
        Contents { root: Value::None, storages: Vec::new(), tensors: Vec::new(), metadata: Vec::new() };
    let mut names = Vec::new();
    for (name, item) in &header {
        within("a tensor name of length", name.len() as u64, limits.name_bytes as u64)?;
        if name == "__metadata__" {
            contents.metadata = metadata(item)?;
            continue;
        }
        let (storage, claim) = tensor(name, item, start, bytes.len(), contents.storages.len(), limits)
            .map_err(|e| Error::format(format!("tensor {name}: {e}")))?;
        names.push((Value::Str(name.as_str().into()), Value::Tensor(contents.tensors.len())));
        contents.storages.push(storage);
        contents.tensors.push(claim);
    }
    check_cover(&contents.storages, start, bytes.len())?;
    // JSON has no order to keep; the file's order is that of the data.
    names.sort_by_key(|(_, value)| match value {
        Value::Tensor(i) => contents.storages.get(*i).map_or(0, first_byte),
        _ => 0,
    });
    contents.root = Value::Dict(std::sync::Arc::new(Dict::new(names)));
    Ok(contents)
}

fn metadata(item: &Json) -> Result<Vec<(String, String)>> {
    let broken = || Error::format("the safetensors metadata is no map of strings");
    let map = item.as_object().ok_or_else(broken)?;
    map.iter().map(|(k, v)| Ok((k.clone(), v.as_str().ok_or_else(broken)?.to_string()))).collect()
}

fn tensor(
    name: &str,
    item: &Json,
    start: usize,
    file_len: usize,
    index: usize,
    limits: &Limits,
) -> Result<(Storage, TensorClaim)> {
    let dtype = item.get("dtype").and_then(Json::as_str).ok_or_else(|| Error::format("has no dtype"))?;
    let dtype =
        DType::from_safetensors(dtype).ok_or_else(|| Error::unsupported(format!("dtype {dtype:?}")))?;
    let shape = numbers(item.get("shape")).ok_or_else(|| Error::format("has no shape"))?;
    let offsets = numbers(item.get("data_offsets"));
    let Some([from, to]) = offsets.as_deref() else { return Err(Error::format("has no data_offsets")) };
    let range =
        start.checked_add(*from).zip(start.checked_add(*to)).filter(|(a, b)| a <= b && *b <= file_len);
    let Some((from, to)) = range else {
        return Err(Error::format(format!("bytes {from}..{to} reach outside the file")));
    };
    let layout = Layout { dtype, strides: row_major(&shape), shape, offset: 0 };
    layout.check((to - from) as u64, limits)?;
    if layout.shape.iter().product::<usize>() * dtype.size() != to - from {
        return Err(Error::format(format!("shape {:?} does not fill its {} bytes", layout.shape, to - from)));
    }
    let storage = Storage { key: name.to_string(), place: Place::File(from..to) };
    Ok((storage, TensorClaim { storage: index, layout }))
}

fn numbers(item: Option<&Json>) -> Option<Vec<usize>> {
    item?.as_array()?.iter().map(|v| usize::try_from(v.as_u64()?).ok()).collect()
}

fn first_byte(storage: &Storage) -> usize {
    match &storage.place {
        Place::File(range) => range.start,
        Place::Memory(_) => 0,
    }
}

/// Tensors must follow each other without gap or overlap up to the file's end.
fn check_cover(storages: &[Storage], start: usize, file_len: usize) -> Result<()> {
    let mut ranges: Vec<_> = storages
        .iter()
        .filter_map(|s| match &s.place {
            Place::File(range) => Some((range.clone(), &s.key)),
            Place::Memory(_) => None,
        })
        .collect();
    ranges.sort_by_key(|(range, _)| (range.start, range.end));
    let mut at = start;
    for (range, key) in ranges {
        if range.start != at {
            let what = if range.start < at { "overlaps another" } else { "leaves a gap before it" };
            return Err(Error::format(format!("tensor {key} {what}")));
        }
        at = range.end;
    }
    if at != file_len {
        return Err(Error::format(format!("the tensors end at byte {at}, the file at {file_len}")));
    }
    Ok(())
}
