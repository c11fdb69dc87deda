//! The memory of the whole process as the system counts it (anonymous pages; mapped input pages apart):
//! `--memory` is a ceiling, and what is used does not grow with the width of the input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use swath::raster::cog::{CogOptions, CogSpec, CogWriter};
use swath::raster::{Block, BlockSink, GeoTransform, Georef, SampleType, Samples};
use swath::tile::Rect;

/// Rows of every scene: several rows of tiles.
const HEIGHT: usize = 300;

/// A true-colour GeoTIFF of fields and noise.
fn scene(folder: &Path, width: usize) -> PathBuf {
    let path = folder.join(format!("tci_{width}_2024-06-01.tif"));
    let bands = ["red", "green", "blue"].map(String::from).to_vec();
    let georef = Some(Georef { epsg: 32631, transform: GeoTransform::north_up(4e5, 5.4e6, 10.0, -10.0) });
    let spec = CogSpec { georef, ..CogSpec::new(width, HEIGHT, bands, SampleType::U8) };
    let writer = CogWriter::create(&path, spec, CogOptions::default()).unwrap();
    let (columns, rows) = writer.blocks();
    for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
        let rect = writer.block_rect(column, row);
        writer.put(column, row, &Block { rect, samples: Samples::U8(picture(rect)), mask: None }).unwrap();
    }
    Box::new(writer).finish(&|_, _| Ok(())).unwrap();
    path
}

fn picture(rect: Rect) -> Vec<u8> {
    let pixels = (rect.y0..rect.y1).flat_map(|y| (rect.x0..rect.x1).map(move |x| (x, y)));
    let values = pixels.flat_map(|(x, y)| {
        let field = (x / 40 * 37 + y / 30 * 91) % 120;
        [0, 11, 23].map(|tint| (40 + field + tint + x * y * (tint + 7) % 9) as u8)
    });
    values.collect()
}

fn upscale(scene: &Path, more: &[&str]) -> Command {
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models/rrdb_scale4/weights.pth");
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.arg("upscale").arg(scene).args(["-m", weights, "--overwrite", "--quiet", "--progress", "none"]);
    command.arg("-o").arg(scene.with_extension("out.tif")).args(more).stderr(Stdio::piped());
    command
}

/// Largest anonymous memory of a run, in bytes.
fn peak(mut command: Command) -> u64 {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("RssAnon:"));
        let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    peak
}

/// The smallest ceiling that is allowed, in MiB, as the program says when it is given less.
fn least(scene: &Path) -> u64 {
    let ended = upscale(scene, &["--memory", "1M"]).output().unwrap();
    let message = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(4), "{message}");
    let number = message.split("this needs ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no need is named: {message}"))
}

#[test]
fn memory_is_a_ceiling_from_the_least_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path(), 1500);
    let least = least(&scene);
    let too_little = format!("{}M", least - 1);
    assert_eq!(upscale(&scene, &["--memory", &too_little]).output().unwrap().status.code(), Some(4));
    for ceiling in [least, least + 20, least + 100, 1024] {
        let used = peak(upscale(&scene, &["--memory", &format!("{ceiling}M")]));
        println!("--memory {ceiling}M: {:.1} MiB used", used as f64 / f64::from(1 << 20));
        assert!(used <= ceiling << 20, "{used} bytes are over {ceiling} MiB");
        assert!(used > 10 << 20, "{used} bytes: nothing was measured");
    }
}

#[test]
fn a_wider_input_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let [narrow, wide] = [4096, 16384].map(|width| {
        let scene = scene(folder.path(), width);
        // What a busy machine leaves unfinished comes on top: the least of some runs is what it takes.
        let runs = (0..3).map(|_| peak(upscale(&scene, &["--memory", "512M", "--threads", "2"])));
        let used = runs.min().unwrap();
        println!("{width} columns: {:.1} MiB used", used as f64 / f64::from(1 << 20));
        used
    });
    assert!(wide * 100 <= narrow * 105, "{narrow} bytes for 4096 columns, {wide} for 16384");
}
