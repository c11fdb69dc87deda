//! Reads the NumPy arrays the fixtures are kept in (version 1, little endian, C order).

use std::path::Path;

/// An array as f64, whatever its type was.
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

pub fn read(path: &Path) -> Array {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..6], b"\x93NUMPY", "{}", path.display());
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..start]).unwrap();
    assert!(header.contains("'fortran_order': False"));
    let after = |key: &str| header.split_once(key).unwrap().1;
    let shape = after("'shape': (").split_once(')').unwrap().0;
    let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let data = &bytes[start..];
    let values = match after("'descr': '").split_once('\'').unwrap().0 {
        "|u1" => data.iter().map(|&v| f64::from(v)).collect(),
        "<u2" => data.chunks_exact(2).map(|c| f64::from(u16::from_le_bytes(c.try_into().unwrap()))).collect(),
        "<f4" => data.chunks_exact(4).map(|c| f64::from(f32::from_le_bytes(c.try_into().unwrap()))).collect(),
        "<f8" => data.chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect(),
        other => panic!("element type {other}"),
    };
    Array { shape, values }
}
