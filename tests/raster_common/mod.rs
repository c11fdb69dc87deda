//! What the raster tests share: fixtures, and whole images put together from blocks.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;

use swath::raster::{Block, BlockSource, Samples};
use swath::tile::Rect;

/// A file of the shared fixtures; says so when it is not there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SWATH_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here (SWATH_SHARED names the fixtures' folder)", path.display());
    None
}

/// A committed fixture of these tests.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/raster").join(name)
}

/// Interleaved samples as little-endian bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels(pub Vec<u8>);

impl Pixels {
    pub fn of(block: &Block) -> Self {
        Self(match &block.samples {
            Samples::U8(v) => v.clone(),
            Samples::U16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Samples::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    }

    pub fn crc32(&self) -> u32 {
        crc32fast::hash(&self.0)
    }
}

/// Size of a level.
pub fn level_size(source: &dyn BlockSource, level: u8) -> (usize, usize) {
    let halved = |n: usize| n.div_ceil(1 << level);
    (halved(source.info().width), halved(source.info().height))
}

/// A whole level, put together from its blocks.
pub fn whole(source: &dyn BlockSource, level: u8) -> Pixels {
    assemble(source, level, |block| Some(Pixels::of(block).0)).unwrap()
}

/// A whole level's mask, if it has one.
pub fn whole_mask(source: &dyn BlockSource, level: u8) -> Option<Pixels> {
    assemble(source, level, |block| block.mask.clone())
}

fn assemble(source: &dyn BlockSource, level: u8, part: impl Fn(&Block) -> Option<Vec<u8>>) -> Option<Pixels> {
    let (width, height) = level_size(source, level);
    let (columns, rows) = source.blocks_touching(level, &Rect::of_size(width, height));
    let mut out = Vec::new();
    for row in rows {
        for column in columns.clone() {
            let block = source.decode(level, column, row).unwrap();
            assert_eq!(block.rect, source.block_rect(level, column, row));
            let pixels = part(&block)?;
            let size = pixels.len() / block.rect.area();
            assert_eq!(pixels.len(), size * block.rect.area());
            out.resize(width * height * size, 0xaa);
            for (y, line) in pixels.chunks(block.rect.width() * size).enumerate() {
                let at = ((block.rect.y0 as usize + y) * width + block.rect.x0 as usize) * size;
                out[at..at + line.len()].copy_from_slice(line);
            }
        }
    }
    Some(Pixels(out))
}
