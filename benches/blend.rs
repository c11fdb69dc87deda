//! Adding tiles to the blocks of the result, on one thread and on several: bytes of a network's results per second.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use swath::pipeline::{Accumulator, TileOutput};
use swath::tile::{Blend, TileGrid, TileSpec};

/// Bands of the result, and output pixels per input pixel along a side.
const BANDS: usize = 3;
const SCALE: usize = 4;

fn bench(c: &mut Criterion) {
    let spec = TileSpec { tile: 256, overlap: 32, align: 1, blend: Blend::Cosine, scale: SCALE, strip: 1792 };
    let grid = TileGrid::new(1000, 1000, spec).unwrap();
    let order: Vec<_> = grid.order().collect();
    let folder = tempfile::tempdir().unwrap();
    let n = 256 * 256;
    let values: Vec<f32> = (0..BANDS * n * SCALE * SCALE).map(|k| (k % 1009) as f32).collect();
    let valid = vec![1; n];
    let mut group = c.benchmark_group("blend");
    group.sample_size(10).throughput(Throughput::Bytes((order.len() * values.len() * 4) as u64));
    for threads in [1, 2, 4, 8, 16] {
        group.bench_function(format!("{threads}_threads"), |b| {
            b.iter(|| {
                let scratch = folder.path().join("scratch");
                let mut sums =
                    Accumulator::new(&grid, BANDS, 512, &order, &|_| true, scratch).on_threads(threads);
                for (sequence, (strip, tile)) in order.iter().enumerate() {
                    let output = TileOutput { tile: *tile, values: &values, valid: &valid, dates: &[] };
                    for block in sums.add(sequence, *strip, &output).unwrap() {
                        sums.recycle(block);
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
