//! Decoding: one block of each format, and a whole true-colour image through the tile stream against full
//! decodes of the same file.
//!
//! `cargo bench --bench decode` times single blocks. With `SWATH_BENCH_SCENE=N` (columns and rows; 10980 is a
//! whole scene) the demo's true-colour JP2 of that size is made in the target folder once (or with a file of
//! three bands in that variable, it is taken), and full reads are timed in CPU and wall seconds, interleaved,
//! with as many threads as `RAYON_NUM_THREADS` says (else all): ours through the stream (reading alone, and with
//! a result blended beside it) and block by block, hayro's whole, and OpenJPEG's and GDAL's own programs where
//! they are installed. Table: least of `SWATH_BENCH_ROUNDS` (3), and ratios to the fastest full decode.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use criterion::{criterion_group, Criterion, Throughput};
use rayon::prelude::*;
use swath::demo::{make, DemoSpec};
use swath::models::Scaling;
use swath::pipeline::{
    stream, Encoding, InputLayout, Layer, OutputKind, Progress, ProgressMode, StreamSpec, TileNet,
};
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::scene::{Series, SeriesOptions};
use swath::raster::{
    open, open_path, Block, BlockSink, BlockSource, Bytes, FrameSource, Jp2Decoder, OpenOptions, Samples,
    Summary,
};
use swath::tensor::DType;
use swath::tile::{Blend, Rect, TileGrid, TileSpec};

/// Waves under noise: lossless coding takes about a third off.
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

/// User and system CPU seconds of this process and the children it has waited for (Linux; ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(4).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// CPU and wall seconds.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

/// A network that does nothing: reading is what is timed.
struct Nothing {
    input: Vec<f32>,
    output: Vec<f32>,
}

impl TileNet for Nothing {
    fn input(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.input)
    }
    fn run(&mut self) -> swath::Result<&[f32]> {
        Ok(&self.output)
    }
}

/// Forgets what it is given.
struct Nowhere;

impl BlockSink for Nowhere {
    fn blocks(&self) -> (usize, usize) {
        (0, 0)
    }
    fn block_rect(&self, _: usize, _: usize) -> Rect {
        Rect::of_size(0, 0)
    }
    fn is_done(&self, _: usize, _: usize) -> bool {
        false
    }
    fn put(&self, _: usize, _: usize, _: &Block) -> swath::Result<()> {
        Ok(())
    }
    fn put_empty(&self, _: usize, _: usize) -> swath::Result<()> {
        Ok(())
    }
    fn finish(self: Box<Self>, _: swath::raster::Progress) -> swath::Result<Summary> {
        Ok(Summary { bytes: 0, levels: 1, was_complete: false })
    }
}

/// The image in tiles as `swath upscale` cuts them, from file to network input, with a network that does nothing;
/// its result of one band blended to output blocks as well, or none, as of networks that find objects.
fn through_stream(path: &Path, tile: usize, decoder: Jp2Decoder, blended: bool) {
    let threads = rayon::current_num_threads();
    let series =
        SeriesOptions { bands: vec!["tci".into()], open: options(decoder), ..SeriesOptions::default() };
    let mut series = Series::open(&[path.to_path_buf()], series).unwrap();
    let side = (series.grid().width, series.grid().height);
    let spec = TileSpec { tile, overlap: 32, align: 1, blend: Blend::Cosine, scale: 1, strip: 2048 };
    let grid = TileGrid::new(side.0, side.1, spec).unwrap();
    let least = series.least_cache(threads);
    let strips = grid.strips();
    let cache = series.working_set(&strips, grid.y.tile) + series.row_ahead(&strips, grid.y.tile) + least;
    series.set_cache_bytes(cache as usize);
    let area = grid.x.tile * grid.y.tile;
    let mut net = Nothing { input: vec![0.0; 3 * area], output: vec![0.5; area] };
    let progress = Progress::new(ProgressMode::None, "tiles", grid.len() as u64);
    let folder = tempfile::tempdir().unwrap();
    let spec = StreamSpec {
        grid,
        input: InputLayout { frames: 1, channels: vec![Scaling::BYTES.scale(); 3], bright: 217.0 },
        samples: DType::F32,
        bands: usize::from(blended),
        block: 512,
        seed: 0,
        batch: 1,
        slots: 2,
        threads,
        scratch: folder.path().join("scratch"),
        seams: false,
    };
    let layer = Layer { sink: &Nowhere, encoding: Encoding::Numbers { kind: OutputKind::U8, one: 1.0 } };
    let layers = if blended { vec![layer] } else { Vec::new() };
    let stop = AtomicBool::new(false);
    stream(&series, &mut net, &layers, &mut |_| (), &spec, &progress, &stop).unwrap();
    let stats = series.stats();
    println!(
        "{:<28} {} blocks, {} again, cache at most {} of {} MiB",
        "",
        stats.decoded,
        stats.repeated,
        stats.cache_peak >> 20,
        cache >> 20
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

/// A program that decodes the whole image; whether it is installed and did.
fn program(name: &str, arguments: &[&str]) -> bool {
    let threads = rayon::current_num_threads().to_string();
    let ended = Command::new(name).args(arguments).env("GDAL_NUM_THREADS", threads).output();
    ended.is_ok_and(|o| o.status.success())
}

/// The demo's true-colour image of one date.
fn true_colour(side: u32) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("scene_{side}"));
    let spec = DemoSpec { size: side as usize, dates: 1, ..DemoSpec::default() };
    let product = make(&folder, &spec, &|_| ()).unwrap().remove(0);
    let granule = std::fs::read_dir(product.join("GRANULE")).unwrap().next().unwrap().unwrap().path();
    std::fs::read_dir(granule.join("IMG_DATA")).unwrap().next().unwrap().unwrap().path()
}

fn scene(side_or_file: &str) {
    let path = side_or_file.parse().map_or_else(|_| PathBuf::from(side_or_file), true_colour);
    let file = path.to_str().unwrap();
    let threads = rayon::current_num_threads();
    println!("{file}: {} bytes; {threads} threads", path.metadata().unwrap().len());
    let hayro = open_path(&path, &options(Jp2Decoder::Hayro)).unwrap();
    let openjpeg = open_path(&path, &options(Jp2Decoder::OpenJpeg)).unwrap();
    let raw = tempfile::tempdir().unwrap();
    let out = |name: &str| raw.path().join(name).to_str().unwrap().to_owned();
    let (opj, gdal, count) = (out("opj.ppm"), out("gdal.bin"), threads.to_string());
    let always = |work: &dyn Fn()| {
        work();
        true
    };
    let streamed = |tile, decoder, blended| always(&|| through_stream(&path, tile, decoder, blended));
    let (ours, c) = (Jp2Decoder::Hayro, Jp2Decoder::OpenJpeg);
    let contest: [(&str, &dyn Fn() -> bool); 10] = [
        ("swath, tiles of 256", &|| streamed(256, ours, false)),
        ("swath, tiles of 128", &|| streamed(128, ours, false)),
        ("swath, 256, and blended", &|| streamed(256, ours, true)),
        ("swath on OpenJPEG, 256", &|| streamed(256, c, false)),
        ("swath on OpenJPEG, blended", &|| streamed(256, c, true)),
        ("hayro, block by block", &|| always(&|| each_block(&*hayro))),
        ("OpenJPEG, block by block", &|| always(&|| each_block(&*openjpeg))),
        ("hayro, whole (1 thread)", &|| always(&|| hayro_whole(&path))),
        ("opj_decompress", &|| {
            program("opj_decompress", &["-quiet", "-threads", &count, "-i", file, "-o", &opj])
        }),
        ("gdal_translate", &|| program("gdal_translate", &["-q", "-of", "ENVI", file, &gdal])),
    ];
    let rounds = std::env::var("SWATH_BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut least: Vec<Option<Cost>> = vec![None; contest.len()];
    // `cargo bench --bench decode -- swath` runs only those with that in their names.
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    for _ in 0..rounds {
        for ((name, work), least) in
            contest.iter().zip(&mut least).filter(|((name, _), _)| name.contains(&only))
        {
            let (began, cpu) = (Instant::now(), cpu_seconds());
            if !work() {
                println!("{name:<28} is not installed here, or failed");
                continue;
            }
            let cost = Cost { cpu: cpu_seconds() - cpu, wall: began.elapsed().as_secs_f64() };
            println!("{name:<28} {:8.2} CPU s {:8.2} s", cost.cpu, cost.wall);
            let best = least.get_or_insert(cost);
            *best = Cost { cpu: best.cpu.min(cost.cpu), wall: best.wall.min(cost.wall) };
        }
    }
    // What the stream adds (tiles, validity, blocks) counts as its cost; full decodes are all but its own.
    let full = || contest.iter().zip(&least).filter(|((name, _), _)| !name.starts_with("swath"));
    let fastest =
        |of: fn(&Cost) -> f64| full().filter_map(|(_, c)| c.as_ref().map(of)).fold(f64::MAX, f64::min);
    let (cpu, wall) = (fastest(|c| c.cpu), fastest(|c| c.wall));
    println!("\nleast of {rounds}, and ratios to the fastest full decode");
    for ((name, _), cost) in contest.iter().zip(&least) {
        if let Some(c) = cost {
            println!(
                "{name:<28} {:8.2} CPU s {:5.2}   {:8.2} s {:5.2}",
                c.cpu,
                c.cpu / cpu,
                c.wall,
                c.wall / wall
            );
        }
    }
}

criterion_group!(benches, blocks);

fn main() {
    match std::env::var("SWATH_BENCH_SCENE") {
        Ok(which) => scene(&which),
        Err(_) => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
