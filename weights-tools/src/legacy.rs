//! The legacy format of `.pth` (PyTorch before 1.6): five pickles, then each storage with its length.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::pickle::{Machine, StorageClaim};
use crate::source::{Contents, Place, Storage};
use crate::value::Value;

/// How a legacy file begins: protocol 2, then the long integer `0x1950a86a20f9469cfc6c`.
pub(crate) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Reads structure and places of all storages; tensor data stays untouched.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Contents> {
    let mut machine = Machine::new(limits);
    let mut at = MAGIC.len();
    let mut next = |at: &mut usize| {
        let rest = bytes.get(*at..).unwrap_or_default();
        let (program, used) = machine.run(rest)?;
        *at += used;
        Ok::<_, Error>(program)
    };
    let protocol = next(&mut at)?.root;
    if protocol != Value::Int(1001) {
        return Err(Error::unsupported("a legacy checkpoint of a protocol other than 1001"));
    }
    let system = next(&mut at)?.root;
    if system.get("little_endian") == Some(&Value::Bool(false)) {
        return Err(Error::unsupported("byte order \"big\"; only little-endian is read"));
    }
    let program = next(&mut at)?;
    let keys = next(&mut at)?.root;
    let keys = keys.as_list().ok_or_else(|| Error::format("the list of storages is no list"))?;
    let places = places(bytes, at, keys, &program.storages)?;
    let storages = program.storages.iter().map(|claim| match places.get(claim.key.as_str()) {
        Some(range) => Ok(Storage { key: claim.key.clone(), place: Place::File(range.clone()) }),
        None => Err(Error::format(format!("storage {} is missing", claim.key))),
    });
    let storages = storages.collect::<Result<_>>()?;
    Ok(Contents { root: program.root, storages, tensors: program.tensors, metadata: Vec::new() })
}

/// Walks the storages: an element count of 8 bytes each, then the elements.
fn places<'a>(
    bytes: &[u8],
    mut at: usize,
    keys: &'a [Value],
    claims: &[StorageClaim],
) -> Result<HashMap<&'a str, std::ops::Range<usize>>> {
    let claims: HashMap<&str, &StorageClaim> = claims.iter().map(|c| (c.key.as_str(), c)).collect();
    let mut places = HashMap::with_capacity(keys.len());
    for key in keys {
        let key =
            key.as_str().ok_or_else(|| Error::format("the list of storages has a key that is no text"))?;
        let Some(claim) = claims.get(key) else {
            return Err(Error::format(format!("storage {key:?} is listed, but never mentioned before")));
        };
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|b| u64::from_le_bytes(*b));
        let held = count.and_then(|n| n.checked_mul(claim.dtype.size() as u64));
        if held.is_some_and(|held| held != claim.bytes) {
            return Err(Error::format(format!(
                "storage {key} holds {} bytes, but {} are claimed",
                held.unwrap_or(0),
                claim.bytes
            )));
        }
        let start = at.saturating_add(8);
        let end = held.and_then(|held| start.checked_add(usize::try_from(held).ok()?));
        let Some(end) = end.filter(|&end| end <= bytes.len()) else {
            return Err(Error::format(format!(
                "storage {key} reaches outside the file: truncated at {} bytes",
                bytes.len()
            )));
        };
        if places.insert(key, start..end).is_some() {
            return Err(Error::format(format!("storage {key} is listed twice")));
        }
        at = end;
    }
    Ok(places)
}
