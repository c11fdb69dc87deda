//! Values people type: sizes, rectangles, key=value pairs, overlaps.

use std::str::FromStr;

use crate::error::{Error, Result};

/// A number of bytes: `512M`, `1G`, `1.5GiB`, `800000000`. Units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(lower.len());
        let (number, unit) = lower.split_at(digits);
        let shift = match unit.trim().trim_end_matches("ib").trim_end_matches('b') {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err(Error::usage(format!("\"{text}\" is not a size; write 512M or 2G"))),
        };
        let number: f64 = number
            .parse()
            .map_err(|_| Error::usage(format!("\"{text}\" is not a size; write 512M or 2G")))?;
        let bytes = number * (1u64 << shift) as f64;
        if !(1.0..=(1u64 << 60) as f64).contains(&bytes) {
            return Err(Error::usage(format!("a size of \"{text}\" is out of range")));
        }
        Ok(Self(bytes as u64))
    }
}

/// Rows and columns: `128x96`, or `128` for a square.
///
/// # Errors
/// `Usage` when it is neither.
pub fn extents(text: &str) -> Result<[usize; 2]> {
    let (rows, columns) = text.split_once('x').unwrap_or((text, text));
    match (rows.trim().parse(), columns.trim().parse()) {
        (Ok(rows), Ok(columns)) if rows > 0 && columns > 0 => Ok([rows, columns]),
        _ => Err(Error::usage(format!("\"{text}\" is not a size in pixels; write 128 or 128x96"))),
    }
}

/// Bytes for people: `1.5 GiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `N` comma- or space-separated numbers.
pub fn numbers<const N: usize>(text: &str) -> Result<[f64; N]> {
    let parts: Vec<f64> = text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|p| !p.is_empty())
        .map(|p| p.parse::<f64>().ok().filter(|v| v.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| Error::usage(format!("\"{text}\" should be {N} numbers separated by commas")))?;
    <[f64; N]>::try_from(parts.as_slice()).map_err(|_| {
        Error::usage(format!("\"{text}\" has {} numbers; {N} separated by commas are wanted", parts.len()))
    })
}

/// A number from 0 to 1.
pub fn share(text: &str) -> Result<f32> {
    let share = text.trim().parse().ok().filter(|share: &f32| (0.0..=1.0).contains(share));
    share.ok_or_else(|| Error::usage(format!("\"{text}\" should be a number from 0 to 1")))
}

/// `key=value`.
pub fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Error::usage(format!("\"{text}\" should be key=value")))?;
    Ok((key.trim().to_string(), value.trim().to_string()))
}

/// An EPSG code: `32631` or `EPSG:32631`.
pub fn epsg(text: &str) -> Result<u32> {
    let digits = text.trim().to_ascii_uppercase();
    let digits = digits.strip_prefix("EPSG:").unwrap_or(&digits);
    digits.parse().map_err(|_| Error::usage(format!("\"{text}\" is not an EPSG code; write EPSG:32631")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_usual_units() {
        for (text, bytes) in [("1G", 1 << 30), ("512m", 512 << 20), ("1.5GiB", 3 << 29), ("4096", 4096)] {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes), "{text}");
        }
        for bad in ["", "x", "-1G", "1Q", "1e400G", "0"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
        assert_eq!(human_bytes(3 << 29), "1.5 GiB");
    }

    #[test]
    fn rectangles_need_four_finite_numbers() {
        assert_eq!(numbers::<4>("1,2, 3.5,-4").unwrap(), [1.0, 2.0, 3.5, -4.0]);
        assert!(numbers::<4>("1,2,3").is_err());
        assert!(numbers::<4>("1,2,3,nan").is_err());
    }
}
