//! Decoding: one block of each format, and a whole Sentinel-2-like picture through the block cache against
//! whole-file decodes.
//!
//! `cargo bench --bench decode` times single blocks. With `SWATH_BENCH_SCENE=N` (columns and rows; 10980 is
//! a whole scene) a true-colour JP2 of that size is written to the target folder once, and full reads are
//! timed in CPU seconds, interleaved, with as many threads as `RAYON_NUM_THREADS` says; the file's name is
//! printed, so that opj_decompress and GDAL can be timed on it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{criterion_group, Criterion, Throughput};
use rayon::prelude::*;
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::{open, open_path, BlockCache, BlockSource, Bytes, Jp2Decoder, OpenOptions, Samples};
use swath::tile::Rect;

/// Waves under noise: lossless coding takes about a third off, as of true-colour scenes.
fn picture(rect: Rect) -> Vec<u8> {
    let mut out = Vec::with_capacity(rect.area() * 3);
    for y in rect.y0..rect.y1 {
        let mut state = (y as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ rect.x0 as u64;
        for x in rect.x0..rect.x1 {
            let wave = (x as f32 / 97.0).sin() * (y as f32 / 61.0).cos() * 60.0 + 100.0;
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let common = (state >> 40) as f32 % 7.0;
            for band in 0..3 {
                let own = (state >> (44 + 4 * band)) as f32 % 3.0;
                out.push((wave * (1.0 - 0.1 * band as f32) + common + own) as u8);
            }
        }
    }
    out
}

fn jp2(side: u32, out: &mut dyn std::io::Write) {
    let spec = EncodeSpec { threads: rayon::current_num_threads(), ..EncodeSpec::new(side, side, 3, 8) };
    encode(&spec, &mut |rect| Ok(Samples::U8(picture(rect))), out).unwrap();
}

fn options(jp2_decoder: Jp2Decoder) -> OpenOptions {
    OpenOptions { jp2_decoder, ..OpenOptions::default() }
}

fn blocks(c: &mut Criterion) {
    let mut bytes = Vec::new();
    jp2(1024, &mut bytes);
    let bytes = Bytes::from(bytes);
    let mut group = c.benchmark_group("jp2_tile_1024_rgb");
    group.throughput(Throughput::Elements(1024 * 1024)).sample_size(10);
    for decoder in [Jp2Decoder::Hayro, Jp2Decoder::OpenJpeg] {
        let source = open(bytes.clone(), Path::new("made.jp2"), &options(decoder)).unwrap();
        for level in [0, 2] {
            group.bench_function(format!("{decoder:?}_level{level}"), |b| {
                b.iter(|| black_box(source.decode(level, 0, 0).unwrap()));
            });
        }
    }
    group.finish();

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/raster");
    let mut group = c.benchmark_group("tiff_block");
    for name in ["tiles_deflate_u16.tif", "tiles_zstd_u16.tif", "strips_lzw_rgb.tif", "planar_u16.tif"] {
        let source = open_path(&fixtures.join(name), &OpenOptions::default()).unwrap();
        let rect = source.block_rect(0, 0, 0);
        group.throughput(Throughput::Elements((rect.area() * source.info().bands.len()) as u64));
        group.bench_function(name, |b| b.iter(|| black_box(source.decode(0, 0, 0).unwrap())));
    }
    group.finish();
}

/// User and system CPU seconds of this process (Linux; clock ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn timed(name: &str, mut work: impl FnMut()) -> (String, f64) {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    work();
    let cpu = cpu_seconds() - cpu;
    println!("{name:<28} {cpu:8.2} CPU s {:8.2} s", wall.elapsed().as_secs_f64());
    (name.to_owned(), cpu)
}

/// All of a picture in windows of `tile` pixels with a halo of 32, as the stream reads it.
fn through_cache(source: &dyn BlockSource, tile: i64) {
    let cache = BlockCache::new(512 << 20);
    let id = cache.source_id();
    let info = source.info();
    let image = Rect::of_size(info.width, info.height);
    let mut out = Vec::new();
    for y in (0..image.y1).step_by(tile as usize) {
        for x in (0..image.x1).step_by(tile as usize) {
            let rect = Rect::at(x, y, tile as usize, tile as usize).grow(32).intersect(&image);
            out.resize(rect.area() * 3, 0.0);
            cache.read(id, source, 0, rect, &[0, 1, 2], &mut out, None).unwrap();
        }
    }
    let stats = cache.stats();
    println!(
        "{:<28} {} blocks, {} again, peak {} MiB",
        "",
        stats.decoded,
        stats.repeated,
        stats.cache_peak >> 20
    );
}

fn each_block(source: &dyn BlockSource) {
    let info = source.info();
    let (columns, rows) = source.blocks_touching(0, &Rect::of_size(info.width, info.height));
    let blocks: Vec<_> = rows.flat_map(|r| columns.clone().map(move |c| (c, r))).collect();
    blocks.into_par_iter().for_each(|(column, row)| {
        black_box(source.decode(0, column, row).unwrap());
    });
}

fn hayro_whole(path: &Path) {
    let bytes = Bytes::map(path).unwrap();
    let image = hayro_jpeg2000::Image::new(&bytes, &hayro_jpeg2000::DecodeSettings::default()).unwrap();
    let mut context = hayro_jpeg2000::DecoderContext::default();
    black_box(image.decode(&mut context).unwrap().data_u8());
}

fn scene(side: u32) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tci_{side}.jp2"));
    if !path.exists() {
        let part = path.with_extension("part");
        jp2(side, &mut BufWriter::new(File::create(&part).unwrap()));
        std::fs::rename(&part, &path).unwrap();
    }
    println!("{}: {} bytes", path.display(), path.metadata().unwrap().len());
    let hayro = open_path(&path, &options(Jp2Decoder::Hayro)).unwrap();
    let openjpeg = open_path(&path, &options(Jp2Decoder::OpenJpeg)).unwrap();
    let mut best: Vec<(String, f64)> = Vec::new();
    for _ in 0..3 {
        for (name, cpu) in [
            timed("cache, tiles of 512", || through_cache(&*hayro, 512)),
            timed("cache, tiles of 128", || through_cache(&*hayro, 128)),
            timed("hayro, block by block", || each_block(&*hayro)),
            timed("OpenJPEG, block by block", || each_block(&*openjpeg)),
            timed("hayro, whole file", || hayro_whole(&path)),
        ] {
            match best.iter_mut().find(|(n, _)| *n == name) {
                Some((_, least)) => *least = least.min(cpu),
                None => best.push((name, cpu)),
            }
        }
    }
    println!("\nleast CPU seconds of three");
    best.iter().for_each(|(name, cpu)| println!("{name:<28} {cpu:8.2}"));
}

criterion_group!(benches, blocks);

fn main() {
    match std::env::var("SWATH_BENCH_SCENE").ok().and_then(|n| n.parse().ok()) {
        Some(side) => scene(side),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
