//! Decoding stays within what `BlockCost` promises: heap in use is counted by the allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raster_common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use raster_common::fixture;
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::{open, open_path, png, BlockCost, BlockSource, OpenOptions, Samples};
use swath::tile::Rect;

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system allocator, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(now, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The tests share one counter.
static ALONE: Mutex<()> = Mutex::new(());

/// Heap that the costliest block takes at its peak, and what was promised.
fn check(name: &str, source: &dyn BlockSource) {
    for level in 0..source.levels() {
        let cost = BlockCost::of(source, level).total();
        let before = IN_USE.load(Ordering::SeqCst);
        PEAK.store(before, Ordering::SeqCst);
        let block = source.decode(level, 0, 0).unwrap();
        let peak = PEAK.load(Ordering::SeqCst) - before;
        println!("{name} level {level}: {peak} of {cost} bytes ({:.2})", peak as f64 / cost as f64);
        assert!(peak <= cost, "{name} level {level}: {peak} bytes, {cost} were promised");
        assert!(block.bytes() <= BlockCost::of(source, level).decoded, "{name}");
    }
}

fn jp2(side: u32, components: u16, precision: u8, tile: u32) -> Vec<u8> {
    let spec = EncodeSpec { tile, ..EncodeSpec::new(side, side, components, precision) };
    let mut out = Vec::new();
    let mut read = |rect: Rect| {
        let values = (0..rect.area() * usize::from(components)).map(|i| i.wrapping_mul(i * 7 + 13) >> 3);
        Ok(match precision {
            0..=8 => Samples::U8(values.map(|v| v as u8).collect()),
            _ => Samples::U16(values.map(|v| v as u16).collect()),
        })
    };
    encode(&spec, &mut read, &mut out).unwrap();
    out
}

#[test]
fn jpeg_2000() {
    let _alone = ALONE.lock().unwrap();
    for (side, components, precision, tile) in
        [(512, 3, 8, 512), (512, 1, 16, 512), (512, 3, 8, 64), (343, 3, 8, 8), (600, 1, 8, 1024)]
    {
        let bytes = jp2(side, components, precision, tile);
        let source = open(bytes.into(), Path::new("made.jp2"), &OpenOptions::default()).unwrap();
        check(&format!("{side} px, {components}x{precision} bits, tiles of {tile}"), &*source);
    }
}

#[test]
fn tiff_and_png() {
    let _alone = ALONE.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.png");
    let samples = Samples::U8((0..600 * 500 * 4).map(|i: u32| (i.wrapping_mul(i) >> 5) as u8).collect());
    png::write(&path, 600, 500, 4, &samples).unwrap();
    check("large.png", &*open_path(&path, &OpenOptions::default()).unwrap());
    for name in
        ["tiles_deflate_u16.tif", "tiles_lzw_u16.tif", "jpeg_ycbcr.tif", "mask_inside.tif", "planar_u16.tif"]
    {
        check(name, &*open_path(&fixture(name), &OpenOptions::default()).unwrap());
    }
}
