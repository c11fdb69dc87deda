//! The stream against whole-image arithmetic, with a network simple enough to write down: the sum of two dates
//! through a 3×3 box filter, each pixel repeated.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Mutex;

use swath::pipeline::{
    stream, ChannelScale, Encoding, InputLayout, Layer, OutputKind, Progress, ProgressMode, StreamSpec,
    TileNet,
};
use swath::raster::{
    self, Block, BlockSink, FrameInfo, FrameSource, Grid, ReadStats, SampleType, Samples, Summary,
};
use swath::tensor::DType;
use swath::tile::{Blend, Rect, TileGrid, TileSpec};
use swath::{Error, Kind, Result};

const SCALE: usize = 2;
const BLOCK: usize = 64;
/// Tiles a run; no multiple of any grid's number of them.
const BATCH: usize = 5;
const WEDGE: i64 = 50;
const FIRST_ROW: i64 = 10;

/// Two dates of one band; the second lacks everything left of `WEDGE`, both lack the rows above `FIRST_ROW`.
struct Source {
    grid: Grid,
    frames: Vec<FrameInfo>,
    bands: Vec<String>,
    fail_at: Option<usize>,
    reads: AtomicUsize,
}

impl Source {
    fn new(width: usize, height: usize) -> Self {
        let frame = |label: &str| FrameInfo { label: label.into(), files: vec![], notes: vec![] };
        Self {
            grid: Grid { width, height, georef: None },
            frames: vec![frame("a"), frame("b")],
            bands: vec!["grey".into()],
            fail_at: None,
            reads: AtomicUsize::new(0),
        }
    }

    fn value(&self, frame: usize, x: i64, y: i64) -> Option<f32> {
        let inside = y >= FIRST_ROW && (frame == 0 || x >= WEDGE);
        inside.then(|| ((x * 7 + y * 13 + frame as i64 * 5) % 97) as f32 + 1.0)
    }

    /// What the network gets: the frame's own value, else the other frame's, else 0.
    fn filled(&self, frame: usize, x: i64, y: i64) -> f32 {
        self.value(frame, x, y).or_else(|| self.value(1 - frame, x, y)).unwrap_or(0.0)
    }
}

fn pixels(rect: Rect) -> impl Iterator<Item = (i64, i64)> {
    (rect.y0..rect.y1).flat_map(move |y| (rect.x0..rect.x1).map(move |x| (x, y)))
}

impl FrameSource for Source {
    fn grid(&self) -> &Grid {
        &self.grid
    }
    fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }
    fn bands(&self) -> &[String] {
        &self.bands
    }
    fn sample(&self) -> SampleType {
        SampleType::U8
    }
    fn read(&self, frame: usize, rect: Rect, out: &mut [f32], valid: &mut [u8]) -> Result<()> {
        if Some(self.reads.fetch_add(1, Ordering::SeqCst)) == self.fail_at {
            return Err(Error::format("block 3,4 is corrupt").in_file("b.jp2"));
        }
        for (i, (x, y)) in pixels(rect).enumerate() {
            let v = self.value(frame, x, y);
            (out[i], valid[i]) = (v.unwrap_or(0.0), u8::from(v.is_some()));
        }
        Ok(())
    }
    fn block(&self) -> (usize, usize) {
        (64, 64)
    }
    fn stats(&self) -> ReadStats {
        ReadStats::default()
    }
}

/// Takes `BATCH` tiles at once.
struct Box3 {
    side: (usize, usize),
    input: Vec<f32>,
    output: Vec<f32>,
}

impl TileNet for Box3 {
    fn input(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.input)
    }

    fn run(&mut self) -> Result<&[f32]> {
        let (w, h) = self.side;
        let tile = Rect::of_size(w, h);
        let lanes =
            self.input.chunks_exact(2 * w * h).zip(self.output.chunks_exact_mut(w * h * SCALE * SCALE));
        for (input, output) in lanes {
            let sum = |x: i64, y: i64| match tile.contains(&Rect::at(x, y, 1, 1)) {
                true => input[y as usize * w + x as usize] + input[w * h + y as usize * w + x as usize],
                false => 0.0,
            };
            for (x, y) in pixels(tile) {
                for (dx, dy) in pixels(Rect::of_size(SCALE, SCALE)) {
                    let row = y as usize * SCALE + dy as usize;
                    output[row * w * SCALE + x as usize * SCALE + dx as usize] = box3(x, y, &sum);
                }
            }
        }
        Ok(&self.output)
    }
}

fn box3(x: i64, y: i64, at: &dyn Fn(i64, i64) -> f32) -> f32 {
    pixels(Rect::at(x - 1, y - 1, 3, 3)).map(|(x, y)| at(x, y)).sum()
}

#[derive(Default)]
struct Memory {
    blocks: Mutex<HashMap<(usize, usize), Option<Block>>>,
    stop_after: Option<(usize, &'static AtomicBool)>,
}

impl Memory {
    fn keep(&self, id: (usize, usize), block: Option<Block>) {
        let mut blocks = self.blocks.lock().unwrap();
        assert!(blocks.insert(id, block).is_none(), "block {id:?} came twice");
        if let Some((_, stop)) = self.stop_after.filter(|(n, _)| blocks.len() >= *n) {
            stop.store(true, Ordering::SeqCst);
        }
    }
}

impl BlockSink for Memory {
    fn blocks(&self) -> (usize, usize) {
        (0, 0)
    }
    fn block_rect(&self, _: usize, _: usize) -> Rect {
        Rect::of_size(BLOCK, BLOCK)
    }
    fn is_done(&self, column: usize, row: usize) -> bool {
        self.blocks.lock().unwrap().contains_key(&(column, row))
    }
    fn put(&self, column: usize, row: usize, block: &Block) -> Result<()> {
        self.keep((column, row), Some(block.clone()));
        Ok(())
    }
    fn put_empty(&self, column: usize, row: usize) -> Result<()> {
        self.keep((column, row), None);
        Ok(())
    }
    fn finish(self: Box<Self>, _: raster::Progress) -> Result<Summary> {
        Ok(Summary { bytes: 0, levels: 1, was_complete: false })
    }
}

fn spec(source: &Source, tile: usize, overlap: usize, blend: Blend, dir: &std::path::Path) -> StreamSpec {
    let tiles = TileSpec { tile, overlap, align: 1, blend, scale: SCALE, strip: 100 };
    StreamSpec {
        grid: TileGrid::new(source.grid.width, source.grid.height, tiles).unwrap(),
        input: InputLayout {
            frames: 2,
            channels: vec![ChannelScale { zero: 0.0, gain: 0.01, least: 0.0, most: 10.0 }],
            bright: 1e9,
        },
        samples: DType::F32,
        bands: 1,
        block: BLOCK,
        seed: 1,
        batch: BATCH,
        slots: BATCH + 1,
        threads: 2,
        scratch: dir.join("scratch"),
        seams: true,
    }
}

fn run(source: &Source, spec: &StreamSpec, sink: &Memory, stop: &AtomicBool) -> Result<usize> {
    let (w, h) = (spec.grid.x.tile, spec.grid.y.tile);
    let (input, output) = (vec![0.0; BATCH * 2 * w * h], vec![0.0; BATCH * w * h * SCALE * SCALE]);
    let mut net = Box3 { side: (w, h), input, output };
    let progress = Progress::new(ProgressMode::None, "tiles", spec.grid.len() as u64);
    let layer = Layer { sink, encoding: Encoding::Numbers { kind: OutputKind::F32, one: 1.0 } };
    stream(source, &mut net, &[layer], &mut |_| (), spec, &progress, stop).map(|report| report.tiles)
}

fn floats(block: &Block) -> &[f32] {
    match &block.samples {
        Samples::F32(values) => values,
        other => panic!("{other:?} where floats were asked for"),
    }
}

/// Compares every pixel with whole-image arithmetic; a tolerance of 0 means bit for bit.
fn check(source: &Source, sink: &Memory, tolerance: f32) {
    let image = Rect::of_size(source.grid.width, source.grid.height);
    let out = image.scale_up(SCALE as i64);
    let sum = |x: i64, y: i64| match image.contains(&Rect::at(x, y, 1, 1)) {
        true => source.filled(0, x, y) * 0.01 + source.filled(1, x, y) * 0.01,
        false => 0.0,
    };
    let mut seen = 0;
    for ((column, row), block) in sink.blocks.lock().unwrap().iter() {
        let rect = Rect::at((column * BLOCK) as i64, (row * BLOCK) as i64, BLOCK, BLOCK).intersect(&out);
        seen += rect.area();
        for (i, (x, y)) in pixels(rect).map(|(x, y)| (x / SCALE as i64, y / SCALE as i64)).enumerate() {
            let valid = y >= FIRST_ROW;
            let Some(block) = block else {
                assert!(!valid, "an empty block holds valid pixel {x},{y}");
                continue;
            };
            assert_eq!(block.mask.as_ref().is_none_or(|m| m[i] != 0), valid, "mask at {x},{y}");
            let value = floats(block)[i];
            if valid {
                let truth = box3(x, y, &sum);
                assert!((value - truth).abs() <= tolerance, "{x},{y}: {value} for {truth}");
            } else {
                assert!(value.is_nan());
            }
        }
    }
    assert_eq!(seen, out.area());
}

#[test]
fn tiles_with_a_sufficient_halo_equal_the_whole_image_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    for (width, height, tile, overlap) in
        [(300, 170, 48, 2), (300, 170, 64, 8), (33, 40, 64, 8), (70, 45, 20, 4)]
    {
        let source = Source::new(width, height);
        let sink = Memory::default();
        let spec = spec(&source, tile, overlap, Blend::Crop, dir.path());
        run(&source, &spec, &sink, &AtomicBool::new(false)).unwrap();
        check(&source, &sink, 0.0);
    }
}

#[test]
fn blended_tiles_equal_the_whole_image_within_rounding() {
    let dir = tempfile::tempdir().unwrap();
    for blend in [Blend::Linear, Blend::Cosine] {
        let source = Source::new(300, 170);
        let sink = Memory::default();
        let spec = spec(&source, 48, 12, blend, dir.path());
        run(&source, &spec, &sink, &AtomicBool::new(false)).unwrap();
        check(&source, &sink, 5e-6);
    }
}

#[test]
fn an_interrupted_stream_goes_on_to_the_same_result() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(300, 170);
    let spec = spec(&source, 48, 12, Blend::Linear, dir.path());
    let sink = Memory { stop_after: Some((9, &STOP)), ..Memory::default() };
    let error = run(&source, &spec, &sink, &STOP).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    let first = sink.blocks.lock().unwrap().len();
    assert!((9..60).contains(&first), "{first} blocks before the stop");

    STOP.store(false, Ordering::SeqCst);
    let sink = Memory { stop_after: None, ..sink };
    let tiles = run(&source, &spec, &sink, &STOP).unwrap();
    assert!(tiles < spec.grid.len(), "finished blocks must not be computed again");
    check(&source, &sink, 5e-6);

    let whole = Memory::default();
    run(&source, &spec, &whole, &STOP).unwrap();
    let (resumed, whole) = (sink.blocks.lock().unwrap(), whole.blocks.lock().unwrap());
    let bits =
        |b: &Option<Block>| b.as_ref().map(|b| floats(b).iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    for (id, block) in resumed.iter() {
        assert_eq!(bits(block), bits(&whole[id]), "block {id:?} differs after a resume");
    }
}

#[test]
fn the_first_error_stops_the_stream_and_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source { fail_at: Some(11), ..Source::new(300, 170) };
    let spec = spec(&source, 48, 12, Blend::Linear, dir.path());
    let error = run(&source, &spec, &Memory::default(), &AtomicBool::new(false)).unwrap_err();
    assert_eq!(error.kind(), Kind::Format);
    assert!(error.to_string().starts_with("b.jp2: "), "{error}");
}
