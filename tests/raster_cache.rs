//! Windows through the block cache: pixels, what is decoded how often, and the memory bound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use swath::error::{Error, Kind, Result};
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::{
    open, BandInfo, Block, BlockCache, BlockCost, BlockRange, BlockSource, OpenOptions, Outlook, RasterInfo,
    SampleType, Samples,
};
use swath::tile::Rect;

/// Two bands of 16 bits in blocks of 16x16: `x + 100 y` and its negative from 60000, masked on a diagonal.
struct Made {
    info: RasterInfo,
    running: AtomicUsize,
    most_running: AtomicUsize,
    fail: Option<(usize, usize)>,
}

impl Made {
    fn new(width: usize, height: usize) -> Self {
        let band = |name: &str| BandInfo { name: name.into(), nodata: None };
        let info = RasterInfo {
            width,
            height,
            sample: SampleType::U16,
            bands: vec![band("a"), band("b")],
            georef: None,
            block: (16, 16),
        };
        Self { info, running: AtomicUsize::new(0), most_running: AtomicUsize::new(0), fail: None }
    }

    fn value(x: i64, y: i64, band: usize) -> u16 {
        let v = (x + 100 * y) as u16;
        if band == 0 {
            v
        } else {
            60000 - v
        }
    }

    fn masked(x: i64, y: i64) -> bool {
        x == y
    }
}

impl BlockSource for Made {
    fn name(&self) -> &Path {
        Path::new("made")
    }

    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn levels(&self) -> u8 {
        1
    }

    fn block_size(&self, _: u8) -> (usize, usize) {
        self.info.block
    }

    fn block_rect(&self, _: u8, column: usize, row: usize) -> Rect {
        Rect::at(column as i64 * 16, row as i64 * 16, 16, 16)
            .intersect(&Rect::of_size(self.info.width, self.info.height))
    }

    fn blocks_touching(&self, _: u8, rect: &Rect) -> (Range<usize>, Range<usize>) {
        let cover = rect.intersect(&Rect::of_size(self.info.width, self.info.height));
        let range = |low: i64, high: i64| (low / 16) as usize..(high + 15) as usize / 16;
        (range(cover.x0, cover.x1), range(cover.y0, cover.y1))
    }

    fn decode(&self, level: u8, column: usize, row: usize) -> Result<Block> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_micros(200));
        self.running.fetch_sub(1, Ordering::SeqCst);
        if self.fail == Some((column, row)) {
            return Err(Error::format("this one is broken"));
        }
        let rect = self.block_rect(level, column, row);
        let (mut samples, mut mask) = (Vec::new(), Vec::new());
        for y in rect.y0..rect.y1 {
            for x in rect.x0..rect.x1 {
                samples.extend([Self::value(x, y, 0), Self::value(x, y, 1)]);
                mask.push(if Self::masked(x, y) { 0 } else { 255 });
            }
        }
        Ok(Block { rect, samples: Samples::U16(samples), mask: Some(mask) })
    }

    fn scratch_bytes(&self, _: u8) -> usize {
        1000
    }
}

fn check(cache: &BlockCache, id: swath::raster::SourceId, source: &Made, rect: Rect, bands: &[usize]) {
    let mut out = vec![-1.0; rect.area() * bands.len()];
    let mut valid = vec![9; rect.area()];
    cache.read(id, source, 0, rect, bands, &mut out, Some(&mut valid)).unwrap();
    let mut at = 0;
    for &band in bands {
        for y in rect.y0..rect.y1 {
            for x in rect.x0..rect.x1 {
                assert_eq!(out[at], f32::from(Made::value(x, y, band)), "{x},{y} of band {band} in {rect}");
                at += 1;
            }
        }
    }
    let expected = (rect.y0..rect.y1)
        .flat_map(|y| (rect.x0..rect.x1).map(move |x| u8::from(!Made::masked(x, y))))
        .collect::<Vec<_>>();
    assert_eq!(valid, expected);
}

#[test]
fn windows_of_any_place_and_bands_have_the_right_pixels() {
    let source = Made::new(75, 50);
    let cache = BlockCache::new(1 << 20);
    let id = cache.source_id();
    for (rect, bands) in [
        (Rect::of_size(75, 50), &[0, 1][..]),
        (Rect::at(3, 5, 40, 33), &[1]),
        (Rect::at(16, 16, 16, 16), &[1, 0, 1]),
        (Rect::at(74, 49, 1, 1), &[0]),
        (Rect::at(70, 0, 5, 50), &[0, 1]),
    ] {
        check(&cache, id, &source, rect, bands);
    }
    let stats = cache.stats();
    assert_eq!((stats.decoded, stats.repeated), (20, 0));
}

#[test]
fn many_threads_decode_each_block_once() {
    let source = Made::new(160, 160);
    let cache = BlockCache::new(1 << 22);
    let id = cache.source_id();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
    pool.install(|| {
        (0..64i64).into_par_iter().for_each(|i| {
            check(&cache, id, &source, Rect::at(i % 8 * 10, i / 8 * 10, 80, 80), &[0, 1]);
        });
    });
    let stats = cache.stats();
    assert_eq!((stats.decoded, stats.repeated), (100, 0));
}

#[test]
fn the_budget_is_kept_and_repeats_are_counted() {
    let source = Made::new(160, 160);
    let cost = BlockCost::of(&source, 0);
    let budget = cost.total() * 3;
    let cache = BlockCache::new(budget);
    let id = cache.source_id();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
    pool.install(|| {
        (0..32i64).into_par_iter().for_each(|i| {
            check(&cache, id, &source, Rect::at(i % 8 * 10, i / 8 * 10, 80, 80), &[0, 1]);
        });
    });
    let stats = cache.stats();
    // The windows touch ten columns and seven rows of blocks.
    assert!(stats.repeated > 0, "{stats:?}");
    assert_eq!(stats.decoded - stats.repeated, 70, "{stats:?}");
    assert!(stats.cache_peak <= budget as u64, "{stats:?} of {budget}");
    assert!((1..=3).contains(&source.most_running.load(Ordering::SeqCst)));
}

/// Reads strip by strip, each in rows of 16 pixels with a halo of 4, as the stream does.
fn read_in_strips<'a>(
    (cache, id): (&'a BlockCache, swath::raster::SourceId),
    source: &'a Made,
    looking_ahead: Option<&rayon::ScopeFifo<'a>>,
) {
    let strips = [Rect::at(0, 0, 56, 160), Rect::at(40, 0, 64, 160), Rect::at(88, 0, 72, 160)];
    let blocks = |rect: &Rect| BlockRange::touching(source, 0, rect);
    for (i, strip) in strips.iter().enumerate() {
        let next = strips.get(i + 1).map_or(BlockRange::default(), blocks);
        if looking_ahead.is_some() {
            cache.expect([(id, Outlook { strip: blocks(strip), next })].into());
        }
        for y in (0..160).step_by(16) {
            let row = Rect { y0: y, y1: y + 16, ..*strip }.grow(4).intersect(strip);
            if let Some(pool) = looking_ahead {
                cache.pass(id, blocks(&row).rows.start);
                let tasks = cache.fetch(0, &[(id, source, blocks(&row))]);
                tasks.into_iter().for_each(|task| pool.spawn_fifo(|_| task()));
            }
            check(cache, id, source, row, &[0, 1]);
        }
    }
}

/// Blocks decoded again when all is read in strips, beside a pool that looks ahead.
fn repeats(budget: usize, pool: Option<&rayon::ThreadPool>) -> u64 {
    let source = Made::new(160, 160);
    let cache = BlockCache::new(budget);
    let id = cache.source_id();
    match pool {
        Some(pool) => pool.in_place_scope_fifo(|pool| read_in_strips((&cache, id), &source, Some(pool))),
        None => read_in_strips((&cache, id), &source, None),
    }
    let stats = cache.stats();
    assert_eq!(stats.decoded - stats.repeated, 100, "{stats:?}");
    assert!(stats.cache_peak <= budget as u64, "{stats:?} of {budget}");
    stats.repeated
}

#[test]
fn what_comes_after_is_fetched_once_all_that_is_needed_now_is_here() {
    let source = Made::new(64, 64);
    let cache = BlockCache::new(1 << 20);
    let id = cache.source_id();
    let blocks = |rect: &Rect| BlockRange::touching(&source, 0, rect);
    let (strip, next) = (blocks(&Rect::at(0, 0, 32, 64)), blocks(&Rect::at(32, 0, 32, 64)));
    cache.expect([(id, Outlook { strip, next })].into());
    let mut decoded = |y| {
        let tasks = cache.fetch(0, &[(id, &source, blocks(&Rect::at(0, y, 32, 16)))]);
        tasks.into_iter().for_each(|task| task());
        cache.stats().decoded
    };
    // Two of the row, two of the row below, nothing more.
    assert_eq!([0, 0, 0].map(&mut decoded), [2, 4, 4]);
    // The last row is followed by the next strip's first.
    assert_eq!([48, 48, 48].map(&mut decoded), [6, 8, 8]);
    check(&cache, id, &source, Rect::at(32, 0, 32, 16), &[0, 1]);
    assert_eq!(cache.stats().decoded, 8);
}

#[test]
fn strips_that_share_blocks_decode_them_once_where_what_they_share_fits() {
    // Three rows of at most five blocks, two shared columns beside them, and four blocks being decoded.
    let cost = BlockCost::of(&Made::new(160, 160), 0);
    let budget = cost.decoded * (3 * 5 + 2 * 7) + cost.total() * 4;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    assert_eq!(repeats(budget, Some(&pool)), 0);
    assert!(repeats(budget, None) > 0, "what was used longest ago goes first");
    assert!(repeats(cost.total() * 2, Some(&pool)) > 0, "too little room is kept to");
}

#[test]
fn a_block_over_the_budget_is_refused_with_what_helps() {
    let source = Made::new(32, 32);
    let cache = BlockCache::new(BlockCost::of(&source, 0).total() - 1);
    let mut out = vec![0.0; 4];
    let error =
        cache.read(cache.source_id(), &source, 0, Rect::at(0, 0, 2, 2), &[0], &mut out, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().starts_with("made: decoding one block takes"), "{error}");
    assert!(error.to_string().contains("--memory"), "{error}");
}

#[test]
fn a_failed_decode_fails_its_readers_and_no_others() {
    let source = Made { fail: Some((1, 1)), ..Made::new(64, 64) };
    let cache = BlockCache::new(1 << 20);
    let id = cache.source_id();
    let mut out = vec![0.0; 64 * 64];
    for _ in 0..2 {
        let error = cache.read(id, &source, 0, Rect::of_size(64, 64), &[0], &mut out, None).unwrap_err();
        assert!(error.to_string().contains("this one is broken"), "{error}");
    }
    check(&cache, id, &source, Rect::at(32, 0, 32, 64), &[0]);
}

#[test]
fn windows_and_buffers_that_do_not_fit_are_usage_errors() {
    let source = Made::new(64, 64);
    let cache = BlockCache::new(1 << 20);
    let id = cache.source_id();
    let mut out = vec![0.0; 4];
    for (rect, bands) in
        [(Rect::at(63, 0, 2, 2), &[0][..]), (Rect::at(0, 0, 2, 2), &[2]), (Rect::at(0, 0, 2, 2), &[0, 1])]
    {
        let error = cache.read(id, &source, 0, rect, bands, &mut out, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
    }
}

/// A file of Sentinel-2's layout (1024x1024 tiles, 6 resolutions) with content that is quick to code.
fn sentinel_like(side: u32) -> Vec<u8> {
    let spec = EncodeSpec::new(side, side, 1, 8);
    let mut out = Vec::new();
    let mut read = |rect: Rect| {
        let rows = (rect.y0..rect.y1).flat_map(|y| (rect.x0..rect.x1).map(move |x| ((x + y) >> 6) as u8));
        Ok(Samples::U8(rows.collect()))
    };
    encode(&spec, &mut read, &mut out).unwrap();
    out
}

/// Reads 256x256 windows in the middle of a tile, across an edge and across a corner.
fn at_most_four_tiles(side: u32) {
    let source = open(sentinel_like(side).into(), Path::new("made.jp2"), &OpenOptions::default()).unwrap();
    for (x, y, tiles) in [(300, 400, 1), (900, 400, 2), (1024 - 1, 1024 - 255, 4)] {
        let cache = BlockCache::new(256 << 20);
        let mut out = vec![0.0; 256 * 256];
        let rect = Rect::at(x, y, 256, 256);
        cache.read(cache.source_id(), &*source, 0, rect, &[0], &mut out, None).unwrap();
        assert_eq!(cache.stats().decoded, tiles, "{rect}");
        for (i, v) in out.iter().enumerate() {
            let (px, py) = (x + i as i64 % 256, y + i as i64 / 256);
            assert_eq!(*v, f32::from(((px + py) >> 6) as u8), "{px},{py}");
        }
    }
}

#[test]
fn a_window_decodes_at_most_four_jpeg_2000_tiles() {
    at_most_four_tiles(2100);
}

#[test]
#[ignore = "writes a whole 10980x10980 file first"]
fn a_window_of_a_full_scene_decodes_at_most_four_jpeg_2000_tiles() {
    at_most_four_tiles(10980);
}
