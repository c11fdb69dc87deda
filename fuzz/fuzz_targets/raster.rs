//! Any bytes as a raster: opened, every level's blocks decoded with its size promised before.
//! Start from real files: `cargo fuzz run raster ../tests/data/raster`.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use swath::raster::{open, Limits, OpenOptions};
use swath::tile::Rect;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { side: 4096, bands: 16, block_bytes: 1 << 22, blocks: 4096, text_bytes: 1 << 16 };
    let options = OpenOptions { limits, ..OpenOptions::default() };
    let Ok(source) = open(bytes.to_vec().into(), Path::new("fuzz"), &options) else { return };
    for level in 0..source.levels() {
        let halved = |n: usize| n.div_ceil(1 << level);
        let image = Rect::of_size(halved(source.info().width), halved(source.info().height));
        let (columns, rows) = source.blocks_touching(level, &image);
        for (column, row) in rows.take(4).flat_map(|r| columns.clone().take(4).map(move |c| (c, r))) {
            let rect = source.block_rect(level, column, row);
            assert!(!rect.is_empty() && image.contains(&rect));
            if let Ok(block) = source.decode(level, column, row) {
                assert_eq!(block.rect, rect);
                assert!(block.mask.is_none_or(|m| m.len() == rect.area()));
            }
        }
    }
});
