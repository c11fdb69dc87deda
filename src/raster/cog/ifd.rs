//! TIFF directories as bytes: typed values, sizes, and where each value lies (TIFF 6.0, BigTIFF).

use std::collections::BTreeMap;

/// A tag's value. Little-endian in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Short(Vec<u16>),
    Long(Vec<u32>),
    Double(Vec<f64>),
    /// Written with the closing zero byte.
    Ascii(String),
    /// File offsets: 32-bit, or 64-bit in BigTIFF.
    Offsets(Vec<u64>),
}

impl Value {
    fn type_code(&self, big: bool) -> u16 {
        match self {
            Self::Ascii(_) => 2,
            Self::Short(_) => 3,
            Self::Long(_) => 4,
            Self::Double(_) => 12,
            Self::Offsets(_) => {
                if big {
                    16
                } else {
                    4
                }
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Short(v) => v.len(),
            Self::Long(v) => v.len(),
            Self::Double(v) => v.len(),
            Self::Ascii(v) => v.len() + 1,
            Self::Offsets(v) => v.len(),
        }
    }

    fn size(&self, big: bool) -> u64 {
        let one = match self {
            Self::Ascii(_) => 1,
            Self::Short(_) => 2,
            Self::Long(_) => 4,
            Self::Double(_) => 8,
            Self::Offsets(_) => {
                if big {
                    8
                } else {
                    4
                }
            }
        };
        self.count() as u64 * one
    }

    fn write(&self, big: bool, out: &mut Vec<u8>) {
        match self {
            Self::Short(v) => v.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Self::Long(v) => v.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Self::Double(v) => v.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Self::Ascii(v) => {
                out.extend(v.as_bytes());
                out.push(0);
            }
            Self::Offsets(v) if big => v.iter().for_each(|x| out.extend(x.to_le_bytes())),
            // A layout that passes 32 bits is never written as classic TIFF.
            Self::Offsets(v) => v.iter().for_each(|x| out.extend((*x as u32).to_le_bytes())),
        }
    }
}

/// One directory: tags in rising order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ifd {
    tags: BTreeMap<u16, Value>,
}

/// Where a directory and its values lie.
struct Placed {
    /// The directory's own offset.
    at: u64,
    /// Offsets of the values that do not fit their entry.
    values: BTreeMap<u16, u64>,
}

impl Ifd {
    pub(super) fn set(&mut self, tag: u16, value: Value) {
        self.tags.insert(tag, value);
    }

    #[cfg(test)]
    pub(super) fn get(&self, tag: u16) -> Option<&Value> {
        self.tags.get(&tag)
    }

    /// Bytes of the table itself.
    fn table(&self, big: bool) -> u64 {
        let n = self.tags.len() as u64;
        if big {
            8 + 20 * n + 8
        } else {
            2 + 12 * n + 4
        }
    }

    /// The tags whose values lie outside the table, without (`late` false) or only (`late` true)
    /// the tile arrays, which COGs keep behind all directories.
    fn outside(&self, big: bool, late: bool) -> impl Iterator<Item = (u16, &Value)> {
        let inline = if big { 8 } else { 4 };
        self.tags
            .iter()
            .map(|(tag, value)| (*tag, value))
            .filter(move |(tag, value)| value.size(big) > inline && is_tile_array(*tag) == late)
    }
}

/// TileOffsets and TileByteCounts.
fn is_tile_array(tag: u16) -> bool {
    matches!(tag, 324 | 325)
}

fn even(at: u64) -> u64 {
    at + at % 2
}

/// First byte behind directories that begin at `start`.
pub(super) fn end(ifds: &[Ifd], big: bool, start: u64) -> u64 {
    place(ifds, big, start).1
}

/// Places directories one after the other from `start`, each followed by its values, then all tile
/// arrays. Returns the places and the first byte behind them.
fn place(ifds: &[Ifd], big: bool, start: u64) -> (Vec<Placed>, u64) {
    let mut at = start;
    let mut placed = Vec::with_capacity(ifds.len());
    for ifd in ifds {
        let mut here = Placed { at, values: BTreeMap::new() };
        at += ifd.table(big);
        for (tag, value) in ifd.outside(big, false) {
            at = even(at);
            here.values.insert(tag, at);
            at += value.size(big);
        }
        at = even(at);
        placed.push(here);
    }
    for (ifd, here) in ifds.iter().zip(&mut placed) {
        for (tag, value) in ifd.outside(big, true) {
            here.values.insert(tag, at);
            at += value.size(big);
        }
    }
    (placed, at)
}

/// Places directories behind what `out` holds and appends their bytes.
pub(super) fn write(ifds: &[Ifd], big: bool, out: &mut Vec<u8>) {
    let (placed, end) = place(ifds, big, out.len() as u64);
    for (i, (ifd, here)) in ifds.iter().zip(&placed).enumerate() {
        pad_to(out, here.at);
        let next = placed.get(i + 1).map_or(0, |p| p.at);
        write_table(ifd, here, next, big, out);
        write_values(ifd, here, big, false, out);
    }
    for (ifd, here) in ifds.iter().zip(&placed) {
        write_values(ifd, here, big, true, out);
    }
    pad_to(out, end);
}

fn write_table(ifd: &Ifd, here: &Placed, next: u64, big: bool, out: &mut Vec<u8>) {
    let word = |v: u64, out: &mut Vec<u8>| match big {
        true => out.extend(v.to_le_bytes()),
        false => out.extend((v as u32).to_le_bytes()),
    };
    match big {
        true => out.extend((ifd.tags.len() as u64).to_le_bytes()),
        false => out.extend((ifd.tags.len() as u16).to_le_bytes()),
    }
    let inline = if big { 8 } else { 4 };
    for (tag, value) in &ifd.tags {
        out.extend(tag.to_le_bytes());
        out.extend(value.type_code(big).to_le_bytes());
        word(value.count() as u64, out);
        match here.values.get(tag) {
            Some(at) => word(*at, out),
            None => {
                let end = out.len() + inline;
                value.write(big, out);
                out.resize(end, 0);
            }
        }
    }
    word(next, out);
}

fn write_values(ifd: &Ifd, here: &Placed, big: bool, late: bool, out: &mut Vec<u8>) {
    for (tag, value) in ifd.outside(big, late) {
        if let Some(at) = here.values.get(&tag) {
            pad_to(out, *at);
        }
        value.write(big, out);
    }
}

fn pad_to(out: &mut Vec<u8>, at: u64) {
    debug_assert!(out.len() as u64 <= at);
    out.resize(at as usize, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classic_directory_byte_by_byte() {
        let mut ifd = Ifd::default();
        ifd.set(256, Value::Short(vec![7]));
        ifd.set(324, Value::Offsets(vec![0x1122_3344, 5]));
        ifd.set(42113, Value::Ascii("-9999".into()));
        let mut out = vec![0; 8];
        write(&[ifd], false, &mut out);
        let table = [
            &[3, 0][..],
            &[0, 1, 3, 0, 1, 0, 0, 0, 7, 0, 0, 0],
            &[0x44, 1, 4, 0, 2, 0, 0, 0, 56, 0, 0, 0],
            &[0x81, 0xa4, 2, 0, 6, 0, 0, 0, 50, 0, 0, 0],
            &[0, 0, 0, 0],
            b"-9999\0",
            &[0x44, 0x33, 0x22, 0x11, 5, 0, 0, 0],
        ];
        assert_eq!(out[8..], table.concat());
    }

    #[test]
    fn the_end_is_where_the_bytes_end() {
        for text in ["", "a", "abcd", "abcde"] {
            for tiles in 1..4 {
                for big in [false, true] {
                    let mut ifd = Ifd::default();
                    ifd.set(324, Value::Offsets(vec![1; tiles]));
                    ifd.set(42112, Value::Ascii(text.into()));
                    let ifds = [ifd.clone(), ifd];
                    let mut out = vec![0; 151];
                    write(&ifds, big, &mut out);
                    assert_eq!(out.len() as u64, end(&ifds, big, 151), "{text} {tiles} {big}");
                }
            }
        }
    }
}
