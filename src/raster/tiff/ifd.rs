//! TIFF directories: classic and BigTIFF, either byte order, every offset and count checked.
//!
//! The `tiff` crate's decoder is one mutable stream, keeps 1 MiB of tag data at the most while it opens a
//! file, drops extra samples of RGB and refuses 1-bit masks; blocks here are decoded from a shared map by
//! many threads, so directories are read here and codecs called directly.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Directories of one file that are followed.
const MAX_DIRECTORIES: usize = 1024;

/// Byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::raster) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    fn number(self, bytes: &[u8]) -> u64 {
        let fold = |n: u64, b: &u8| (n << 8) | u64::from(*b);
        match self {
            Self::Little => bytes.iter().rev().fold(0, fold),
            Self::Big => bytes.iter().fold(0, fold),
        }
    }
}

/// Where a tag's values lie.
#[derive(Debug, Clone)]
struct Entry {
    kind: u16,
    count: usize,
    at: usize,
}

/// One image file directory.
#[derive(Debug, Clone)]
pub(in crate::raster) struct Directory {
    order: ByteOrder,
    entries: BTreeMap<u16, Entry>,
}

/// Byte order and whether offsets have 8 bytes, from the first bytes of a file.
fn signature(bytes: &[u8]) -> Option<(ByteOrder, bool)> {
    match *bytes.get(..4)? {
        [b'I', b'I', 42, 0] => Some((ByteOrder::Little, false)),
        [b'M', b'M', 0, 42] => Some((ByteOrder::Big, false)),
        [b'I', b'I', 43, 0] => Some((ByteOrder::Little, true)),
        [b'M', b'M', 0, 43] => Some((ByteOrder::Big, true)),
        _ => None,
    }
}

/// Whether the bytes start like a TIFF or BigTIFF.
pub fn sniff(bytes: &[u8]) -> bool {
    signature(bytes).is_some()
}

/// All directories of a file, in the order of their chain.
///
/// # Errors
/// `Format` for offsets outside the file, chains in a circle and values that are not all there; `Limit`.
pub(in crate::raster) fn directories(bytes: &[u8]) -> Result<Vec<Directory>> {
    let (order, big) = signature(bytes).ok_or_else(|| Error::format("not a TIFF file"))?;
    let (header, width) = if big { (8, 8) } else { (4, 4) };
    let mut next = field(bytes, order, header, width)?;
    let mut seen = Vec::new();
    let mut out = Vec::new();
    while next != 0 {
        if seen.contains(&next) {
            return Err(Error::format("the chain of TIFF directories goes in a circle"));
        }
        if out.len() == MAX_DIRECTORIES {
            return Err(Error::limit(format!("more than {MAX_DIRECTORIES} TIFF directories")));
        }
        seen.push(next);
        let at = usize::try_from(next).map_err(|_| truncated(usize::MAX))?;
        let (directory, after) = read_directory(bytes, order, big, at)?;
        out.push(directory);
        next = after;
    }
    Ok(out)
}

fn truncated(at: usize) -> Error {
    Error::format(format!("the TIFF is truncated or damaged: byte {at} is not there"))
}

/// An unsigned number of `width` bytes.
fn field(bytes: &[u8], order: ByteOrder, at: usize, width: usize) -> Result<u64> {
    let end = at.checked_add(width).ok_or_else(|| truncated(at))?;
    Ok(order.number(bytes.get(at..end).ok_or_else(|| truncated(at))?))
}

fn read_directory(bytes: &[u8], order: ByteOrder, big: bool, at: usize) -> Result<(Directory, u64)> {
    let (count_width, width) = if big { (8, 8) } else { (2, 4) };
    let entry_bytes = 4 + 2 * width;
    let count = field(bytes, order, at, count_width)? as usize;
    let first = at + count_width;
    let end = count.checked_mul(entry_bytes).and_then(|n| n.checked_add(first)).filter(|e| *e <= bytes.len());
    let end = end.ok_or_else(|| truncated(bytes.len()))?;
    let mut entries = BTreeMap::new();
    for start in (first..end).step_by(entry_bytes) {
        let tag = field(bytes, order, start, 2)? as u16;
        let kind = field(bytes, order, start + 2, 2)? as u16;
        let count = field(bytes, order, start + 4, width)?;
        let Some(size) = size_of(kind) else { continue };
        let total = count.checked_mul(size as u64).filter(|n| *n <= bytes.len() as u64);
        let total =
            total.ok_or_else(|| Error::format(format!("TIFF tag {tag} claims {count} values")))? as usize;
        let inline = start + 4 + width;
        let at = if total <= width { inline } else { field(bytes, order, inline, width)? as usize };
        if at.checked_add(total).is_none_or(|e| e > bytes.len()) {
            return Err(Error::format(format!(
                "the values of TIFF tag {tag} lie outside the file: truncated"
            )));
        }
        entries.insert(tag, Entry { kind, count: count as usize, at });
    }
    // Some writers leave the last directory's link out at the end of the file.
    let next = field(bytes, order, end, width).unwrap_or(0);
    Ok((Directory { order, entries }, next))
}

/// Bytes of a value of a field type; `None` for types that are skipped.
fn size_of(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 | 17 | 18 => Some(8),
        _ => None,
    }
}

impl Directory {
    /// The file's byte order.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// Whether a tag is there.
    pub fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// A tag's values as unsigned numbers; `None` when it is absent or of another type.
    pub fn numbers(&self, bytes: &[u8], tag: u16) -> Option<Vec<u64>> {
        let entry = self.entries.get(&tag)?;
        let size = match entry.kind {
            1 | 3 | 4 | 7 | 13 | 16 | 18 => size_of(entry.kind)?,
            _ => return None,
        };
        let values = bytes.get(entry.at..entry.at + entry.count * size)?;
        Some(values.chunks_exact(size).map(|v| self.order.number(v)).collect())
    }

    /// A tag's first value.
    pub fn number(&self, bytes: &[u8], tag: u16) -> Option<u64> {
        self.numbers(bytes, tag)?.first().copied()
    }

    /// A tag's values as floating-point numbers (FLOAT, DOUBLE).
    pub fn floats(&self, bytes: &[u8], tag: u16) -> Option<Vec<f64>> {
        let entry = self.entries.get(&tag)?;
        let size = size_of(entry.kind)?;
        let values = bytes.get(entry.at..entry.at + entry.count * size)?;
        let float = |v: &[u8]| match entry.kind {
            11 => Some(f64::from(f32::from_bits(self.order.number(v) as u32))),
            12 => Some(f64::from_bits(self.order.number(v))),
            _ => None,
        };
        values.chunks_exact(size).map(float).collect()
    }

    /// A tag's bytes (BYTE, ASCII, UNDEFINED).
    pub fn bytes<'b>(&self, bytes: &'b [u8], tag: u16) -> Option<&'b [u8]> {
        let entry = self.entries.get(&tag)?;
        matches!(entry.kind, 1 | 2 | 7).then(|| bytes.get(entry.at..entry.at + entry.count)).flatten()
    }

    /// A tag's text, up to its end mark.
    pub fn text(&self, bytes: &[u8], tag: u16) -> Option<String> {
        let text = self.bytes(bytes, tag)?.split(|b| *b == 0).next()?;
        Some(String::from_utf8_lossy(text).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A big-endian classic TIFF with tags 256 (SHORT 7), 33550 (two DOUBLEs) and 305 (ASCII).
    fn made() -> Vec<u8> {
        let mut out = b"MM\0\x2a\0\0\0\x08\0\x03".to_vec();
        out.extend([1, 0, 0, 3, 0, 0, 0, 1, 0, 7, 0, 0]);
        out.extend([1, 49, 0, 2, 0, 0, 0, 3, b'a', b'b', 0, 0]);
        out.extend([0x83, 0x0e, 0, 12, 0, 0, 0, 2, 0, 0, 0, 50]);
        out.extend([0; 4]);
        out.extend(10f64.to_be_bytes());
        out.extend((-0.5f64).to_be_bytes());
        out
    }

    #[test]
    fn values_of_every_kind_are_read() {
        let bytes = made();
        let found = directories(&bytes).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].number(&bytes, 256), Some(7));
        assert_eq!(found[0].floats(&bytes, 33550), Some(vec![10.0, -0.5]));
        assert_eq!(found[0].text(&bytes, 305).as_deref(), Some("ab"));
        assert_eq!(found[0].floats(&bytes, 256), None);
        assert_eq!(found[0].numbers(&bytes, 1), None);
    }

    #[test]
    fn truncations_circles_and_absurd_counts_are_refused() {
        let bytes = made();
        for end in 4..bytes.len() {
            // Only the link at the end of the directory may be missing, and the values lie behind it.
            assert!(directories(&bytes[..end]).is_err(), "{end}");
        }
        let mut circle = made();
        circle[46..50].copy_from_slice(&[0, 0, 0, 8]);
        assert!(directories(&circle).unwrap_err().to_string().contains("circle"));
        let mut absurd = made();
        absurd[38..42].copy_from_slice(&[0xff; 4]);
        assert!(directories(&absurd).is_err());
    }
}
