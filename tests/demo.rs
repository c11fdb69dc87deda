//! The demo's products, read back as any product is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use swath::demo::{make, report, truth, DemoSpec};
use swath::raster::scene::{Series, SeriesOptions};
use swath::raster::{FrameSource, Georef};
use swath::tile::Rect;

fn quiet(folder: &Path, spec: &DemoSpec) -> Vec<PathBuf> {
    make(folder, spec, &|_| {}).unwrap()
}

fn open(paths: &[PathBuf], band: &str) -> Series {
    Series::open(paths, SeriesOptions { bands: vec![band.into()], ..SeriesOptions::default() }).unwrap()
}

fn read(series: &Series, frame: usize, rect: Rect) -> (Vec<f32>, Vec<u8>) {
    let mut out = vec![0.0; rect.area() * series.bands().len()];
    let mut valid = vec![0; rect.area()];
    series.read(frame, rect, &mut out, &mut valid).unwrap();
    (out, valid)
}

#[test]
fn bands_and_true_colour_agree_with_and_without_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DemoSpec { size: 72, dates: 2, all_bands: true, ..DemoSpec::default() };
    let paths = quiet(folder.path(), &spec);
    assert!(paths[0].to_string_lossy().contains("_N0300_") && paths[1].to_string_lossy().contains("_N0400_"));
    let (colour, red) = (open(&paths, "tci"), open(&paths, "b04"));
    let rect = Rect::of_size(72, 72);
    for frame in 0..2 {
        let (tci, _) = read(&colour, frame, rect);
        let (numbers, _) = read(&red, frame, rect);
        for (pixel, (&tci, &number)) in tci.iter().zip(&numbers).enumerate() {
            let expected = (number / 10_000.0 / 0.3558 * 255.0).clamp(1.0, 255.0);
            assert!((tci - expected).abs() < 0.6, "date {frame}, pixel {pixel}: {tci} and {expected}");
        }
    }
    for (band, metres) in [("b8a", 20.0), ("b09", 60.0)] {
        let georef = open(&paths, band).grid().georef.clone().unwrap();
        assert_eq!(georef.epsg, 32_631);
        assert_eq!(georef.transform.0, [300_000.0, metres, 0.0, 5_500_020.0, 0.0, -metres], "{band}");
    }
}

#[test]
fn a_series_has_its_wedge_its_other_zone_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DemoSpec { size: 192, dates: 5, other_zone: true, ..DemoSpec::default() };
    let paths = quiet(folder.path(), &spec);
    let series = open(&paths, "tci");
    let Some(Georef { epsg, transform }) = &series.grid().georef else { panic!("no georeferencing") };
    assert_eq!((*epsg, transform.apply(0.0, 0.0)), (32_631, (300_000.0, 5_500_020.0)));
    let middle = Rect::at(80, 80, 32, 32);
    let valid_at = |frame, rect| read(&series, frame, rect).1.iter().map(|&v| usize::from(v)).sum::<usize>();
    let right = Rect::at(176, 160, 16, 16);
    let missing: Vec<usize> = (0..5).filter(|&frame| valid_at(frame, right) == 0).collect();
    assert!(missing.contains(&3), "no wedge: {missing:?}");
    assert!(
        (0..5).all(|frame| valid_at(frame, middle) == middle.area()),
        "the middle has data on every date"
    );
    // The date of the other zone shows the same ground: it resembles its neighbour in time far more than the
    // same window moved by three pixels does.
    let (other, _) = read(&series, 4, middle);
    let difference = |rect: Rect| -> f32 {
        read(&series, 2, rect).0.iter().zip(&other).map(|(a, b)| (a - b).abs()).sum::<f32>()
            / other.len() as f32
    };
    let (here, there) = (difference(middle), difference(middle.shift(3, 3)));
    assert!(here * 1.5 < there, "{here} {there}");
}

#[test]
fn the_truth_against_itself_is_perfect_and_beats_bicubic() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DemoSpec { size: 96, dates: 3, ..DemoSpec::default() };
    let paths = quiet(folder.path(), &spec);
    let window = report::window(&spec);
    let perfect = truth(&spec, window.scale_up(4));
    let comparison = report::compare(&spec, &open(&paths, "tci"), window, perfect).unwrap();
    assert!(comparison.ours > 90.0 && comparison.best < 45.0 && comparison.best > 20.0, "{comparison}");
    assert!(comparison.clearest <= comparison.best);
    let picture = folder.path().join("demo.png");
    comparison.write_png(&picture).unwrap();
    assert!(std::fs::metadata(picture).unwrap().len() > 10_000);
    let text = comparison.to_string();
    assert_eq!(text.lines().count(), 5, "{text}");
}

#[test]
fn a_second_run_reuses_what_is_there_and_refuses_what_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DemoSpec { size: 66, dates: 1, ..DemoSpec::default() };
    let paths = quiet(folder.path(), &spec);
    let made = std::fs::metadata(&paths[0]).unwrap().modified().unwrap();
    assert_eq!(quiet(folder.path(), &spec), paths);
    assert_eq!(std::fs::metadata(&paths[0]).unwrap().modified().unwrap(), made);
    let error = make(folder.path(), &DemoSpec { seed: 9, ..spec }, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("another demo is in this folder"), "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "scratch was left behind: {left:?}");
}
