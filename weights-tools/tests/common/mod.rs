//! Helpers the integration tests share: where recorded checkpoints lie, and a reader of simple `.npy`.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

pub mod pickle;
pub mod zip;

/// The folder of recorded checkpoints, or `None`, said aloud.
pub fn golden() -> Option<PathBuf> {
    let shared = std::env::var_os("SWATH_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let golden = shared.join("golden");
    if golden.is_dir() {
        return Some(golden);
    }
    eprintln!("skipped: no recorded checkpoints at {} (set SWATH_SHARED)", golden.display());
    None
}

/// Type code (`f4`), shape and elements of a little-endian, C-order `.npy` of version 1.
pub fn read_npy(path: &Path) -> (String, Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..6], b"\x93NUMPY");
    let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    let field = |name: &str| header.split(&format!("'{name}': ")).nth(1).unwrap();
    assert!(field("fortran_order").starts_with("False"));
    let code = field("descr")[1..].split('\'').next().unwrap().trim_start_matches(['<', '|']).to_string();
    let shape = field("shape")[1..].split(')').next().unwrap();
    let shape = shape.split(',').filter_map(|s| s.trim().parse().ok()).collect();
    (code, shape, bytes[10 + length..].to_vec())
}
