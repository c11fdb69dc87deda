//! Damaged rasters: whatever bytes change or are missing, opening and decoding give pixels or an error,
//! never a panic. `SWATH_MUTATIONS` sets how many variants of each file are tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raster_common;

use std::path::Path;

use raster_common::fixture;
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::{open, Bytes, GeoTransform, Georef, Limits, OpenOptions, Samples};
use swath::tile::Rect;

/// Small bounds, so that a size gone wild is refused and not waited for.
fn options() -> OpenOptions {
    let limits = Limits { side: 4096, bands: 16, block_bytes: 1 << 23, blocks: 4096, text_bytes: 1 << 16 };
    OpenOptions { limits, ..OpenOptions::default() }
}

fn try_all(bytes: Vec<u8>) -> bool {
    let Ok(source) = open(Bytes::from(bytes), Path::new("damaged"), &options()) else { return false };
    let mut all = true;
    for level in 0..source.levels() {
        let halved = |n: usize| n.div_ceil(1 << level);
        let image = Rect::of_size(halved(source.info().width), halved(source.info().height));
        let (columns, rows) = source.blocks_touching(level, &image);
        for (column, row) in rows.take(3).flat_map(|r| columns.clone().take(3).map(move |c| (c, r))) {
            let rect = source.block_rect(level, column, row);
            assert!(!rect.is_empty() && image.contains(&rect), "{rect} of {image}");
            match source.decode(level, column, row) {
                Ok(block) => {
                    assert_eq!(block.rect, rect);
                    assert_eq!(block.mask.map_or(rect.area(), |m| m.len()), rect.area());
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.starts_with("damaged: ") && !text.contains('\n'), "{text}");
                    all = false;
                }
            }
        }
    }
    all
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    // Headers are where the sizes are.
    let reach = if random.below(2) == 0 { out.len().min(300) } else { out.len() };
    for _ in 0..=random.below(4) {
        let at = random.below(reach);
        match random.below(4) {
            0 => out[at] = 0xff,
            1 => out[at] = 0,
            2 => out[at] ^= 1 << random.below(8),
            _ => out[at] = random.below(256) as u8,
        }
    }
    if random.below(8) == 0 {
        out.truncate(random.below(out.len()));
    }
    out
}

fn mutations(name: &str, bytes: &[u8]) {
    let count = std::env::var("SWATH_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    assert!(try_all(bytes.to_vec()), "{name} itself does not decode");
    let mut random = Random(bytes.len() as u64);
    let refused = (0..count).filter(|_| !try_all(mutate(bytes, &mut random))).count();
    assert!(refused > 0, "no damage of {name} was ever noticed");
}

fn jp2(components: u16, precision: u8, tile: u32) -> Vec<u8> {
    let georef = Some(Georef { epsg: 32631, transform: GeoTransform::north_up(0.0, 0.0, 10.0, -10.0) });
    let spec = EncodeSpec { tile, georef, ..EncodeSpec::new(90, 70, components, precision) };
    let mut out = Vec::new();
    let mut read = |rect: Rect| {
        let values = (0..rect.area() * usize::from(components)).map(|i| i * i % 251);
        Ok(match precision {
            0..=8 => Samples::U8(values.map(|v| v as u8).collect()),
            _ => Samples::U16(values.map(|v| v as u16 * 200).collect()),
        })
    };
    encode(&spec, &mut read, &mut out).unwrap();
    out
}

#[test]
fn jpeg_2000() {
    mutations("rgb in tiles", &jp2(3, 8, 32));
    mutations("16 bits in one tile", &jp2(1, 16, 1024));
}

#[test]
fn tiff() {
    for name in [
        "tiles_lzw_u16.tif",
        "strips_packbits_rgb.tif",
        "predictor3_float32.tif",
        "big_endian_big.tif",
        "planar_u16.tif",
        "mask_inside.tif",
        "jpeg_ycbcr.tif",
        "tiles_zstd_u16.tif",
        "one_bit.tif",
        "sparse.tif",
    ] {
        mutations(name, &std::fs::read(fixture(name)).unwrap());
    }
}

#[test]
fn png() {
    for name in ["rgb.png", "palette.png", "gray_alpha.png", "deep.png"] {
        mutations(name, &std::fs::read(fixture(name)).unwrap());
    }
}
