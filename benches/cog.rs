//! Writing COGs on one thread: compressing blocks into the spool, and finishing (overviews, assembly,
//! sync), in uncompressed bytes per second.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use swath::raster::cog::{CogOptions, CogSpec, CogWriter, Compression};
use swath::raster::{Block, BlockSink, SampleType, Samples};
use swath::tile::Rect;

const SIDE: usize = 2048;

/// Ground as a network draws it: slow waves, fields, and a grey level or two of noise.
fn block(rect: Rect) -> Block {
    let mut seed = 1u32;
    let mut noise = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 30) as f32
    };
    let pixels = (rect.y0..rect.y1).flat_map(|y| (rect.x0..rect.x1).map(move |x| (x as f32, y as f32)));
    let mut samples = Vec::with_capacity(rect.area() * 3);
    for (x, y) in pixels {
        let ground = 90.0 + 40.0 * (x / 37.0).sin() * (y / 53.0).cos();
        let field = if ((x / 90.0 + y / 140.0) as u32).is_multiple_of(3) { 25.0 } else { 0.0 };
        samples.extend([0.0, 9.0, -7.0].map(|tint| (ground + field + tint + noise()) as u8));
    }
    Block { rect, samples: Samples::U8(samples), mask: None }
}

fn begin(dir: &Path, compression: Compression) -> CogWriter {
    let bands = ["red", "green", "blue"].map(String::from).to_vec();
    let spec = CogSpec { compression, ..CogSpec::new(SIDE, SIDE, bands, SampleType::U8) };
    let options = CogOptions { overwrite: true, ..CogOptions::default() };
    CogWriter::create(dir.join("bench.tif"), spec, options).unwrap()
}

fn put_all(writer: &CogWriter, blocks: &[Block]) {
    let columns = writer.blocks().0;
    for (i, block) in blocks.iter().enumerate() {
        writer.put(i % columns, i / columns, block).unwrap();
    }
}

fn bench(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let layout = begin(dir.path(), Compression::None);
    let (columns, rows) = layout.blocks();
    let blocks: Vec<Block> =
        (0..columns * rows).map(|i| block(layout.block_rect(i % columns, i / columns))).collect();
    drop(layout);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for compression in [Compression::Deflate, Compression::Zstd, Compression::Lzw, Compression::None] {
        let mut group = c.benchmark_group(format!("cog/{compression:?}").to_lowercase());
        group.sample_size(10).throughput(Throughput::Bytes((SIDE * SIDE * 3) as u64));
        group.bench_function("put", |b| {
            b.iter_batched(
                || begin(dir.path(), compression),
                |writer| {
                    put_all(&writer, &blocks);
                    writer
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function("finish", |b| {
            b.iter_batched(
                || {
                    let writer = begin(dir.path(), compression);
                    put_all(&writer, &blocks);
                    Box::new(writer)
                },
                |writer| one_thread.install(|| writer.finish(&|_, _| Ok(()))).unwrap(),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
