//! JSON files with a bound on their size, and what is looked up in them.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, InFile, Result};

/// Largest JSON file read.
const MAX_BYTES: u64 = 64 << 20;

/// A JSON file.
///
/// # Errors
/// `Io`; `Limit` above 64 MiB; `Format` when it is no JSON.
pub fn read(path: &Path) -> Result<Value> {
    let text = read_text(path, MAX_BYTES)?;
    serde_json::from_str(&text).map_err(|e| Error::format(format!("no JSON: {e}"))).in_file(path)
}

/// A text file of at most `most` bytes.
///
/// # Errors
/// `Io`, `Limit`.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    let cannot = |e| Error::io("cannot read", e);
    let bytes = std::fs::metadata(path).map_err(cannot).in_file(path)?.len();
    if bytes > most {
        return Err(Error::limit(format!("{bytes} bytes; at most {most} are read")).in_file(path));
    }
    std::fs::read_to_string(path).map_err(cannot).in_file(path)
}

/// The elements of an array; none of anything else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A finite number.
///
/// # Errors
/// `Format` for anything else.
pub fn number(value: &Value) -> Result<f64> {
    let found = value.as_f64().filter(|v| v.is_finite());
    found.ok_or_else(|| Error::format(format!("{} is no number", short(value))))
}

/// A whole number within the bounds of i32; fractions are cut off.
///
/// # Errors
/// `Format` for anything else.
pub fn whole(value: &Value) -> Result<i32> {
    let found = number(value)?.trunc();
    match (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&found) {
        true => Ok(found as i32),
        false => Err(Error::format(format!("{found} is out of range"))),
    }
}

/// A pair of numbers.
///
/// # Errors
/// `Format` for anything else.
pub fn pair<T>(value: &Value, part: fn(&Value) -> Result<T>) -> Result<[T; 2]> {
    match list(value) {
        [x, y] => Ok([part(x)?, part(y)?]),
        _ => Err(Error::format(format!("{} is no pair of numbers", short(value)))),
    }
}

/// The start of a value's text, for messages.
pub fn short(value: &Value) -> String {
    const MOST: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
