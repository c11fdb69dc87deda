//! Scenes: coordinate systems and warping against GDAL, products, series on one grid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cloned_ref_to_slice_refs)]

mod alignment;
mod made;
mod npy;
mod products;
mod series;
mod stacks;
mod warp;

use std::path::PathBuf;

/// A file of the shared fixtures; says aloud when they are not there.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SWATH_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let path = root.join(path);
    if !path.exists() {
        eprintln!("skipped: {} is not there (SWATH_SHARED names the fixtures' folder)", path.display());
        return None;
    }
    Some(path)
}
