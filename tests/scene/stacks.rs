//! Stacked, single and loose images that are no products.

use std::fs;
use std::path::PathBuf;

use swath::raster::scene::{describe, OffsetChoice, Series, SeriesOptions};
use swath::raster::{FrameSource, OpenOptions, SampleType};
use swath::tile::Rect;

use crate::shared;

fn made(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scene")).join(name)
}

fn options(bands: &[&str]) -> SeriesOptions {
    SeriesOptions { bands: bands.iter().map(|b| b.to_string()).collect(), ..SeriesOptions::default() }
}

fn open(name: &str, bands: &[&str]) -> swath::Result<Series> {
    Series::open(&[made(name)], options(bands))
}

fn read(series: &Series, rect: Rect) -> (Vec<f32>, Vec<u8>) {
    let (mut out, mut valid) = (vec![f32::NAN; series.bands().len() * rect.area()], vec![9; rect.area()]);
    series.read(0, rect, &mut out, &mut valid).unwrap();
    (out, valid)
}

/// What `make_stacks.py` writes.
fn ramp(band: f32, x: usize, y: usize) -> f32 {
    band * 1000.0 + (y * 30 + x) as f32
}

const WHOLE: Rect = Rect { x0: 0, y0: 0, x1: 24, y1: 20 };

#[test]
fn bands_of_a_stack_are_found_by_name_in_any_order() {
    let series = open("stack_named_2021-06-01.tif", &["b08", "b02"]).unwrap();
    assert_eq!(series.frames()[0].label, "2021-06-01");
    assert_eq!(series.sample(), SampleType::U16);
    let (out, valid) = read(&series, WHOLE);
    for i in 1..WHOLE.area() {
        assert_eq!((out[i], out[WHOLE.area() + i]), (ramp(4.0, i % 24, i / 24), ramp(1.0, i % 24, i / 24)));
    }
    // 0 means "no data" in a band of Sentinel-2, and takes the whole pixel with it.
    assert_eq!((valid[0], out[0], out[WHOLE.area()]), (0, 0.0, 0.0));
    assert!(valid[1..].iter().all(|v| *v == 1));

    let forced = SeriesOptions { offset: OffsetChoice::Add(-1100.0), ..options(&["b02"]) };
    let series = Series::open(&[made("stack_named_2021-06-01.tif")], forced).unwrap();
    let (out, _) = read(&series, WHOLE);
    assert_eq!((out[0], out[24 * 10]), (0.0, 200.0));
}

#[test]
fn bands_of_a_nameless_stack_are_taken_in_order_when_they_are_as_many() {
    let series = open("stack_plain.tif", &["b04", "b03", "b02", "b08"]).unwrap();
    let (out, _) = read(&series, WHOLE);
    assert_eq!([0, 1, 2, 3].map(|b| out[b * WHOLE.area() + 5]), [1005.0, 2005.0, 3005.0, 4005.0]);
    let series = open("stack_plain.tif", &["3"]).unwrap();
    assert_eq!(read(&series, WHOLE).0[5], 3005.0);
    for bands in [vec!["b04", "b03"], vec!["tci"], vec!["5"]] {
        let said = open("stack_plain.tif", &bands).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("no band") && said.contains("with 4 U16 bands"), "{said}");
    }
}

#[test]
fn nan_and_declared_nodata_are_not_valid() {
    let series = open("stack_float.tif", &["ndvi", "ndwi"]).unwrap();
    let (out, valid) = read(&series, WHOLE);
    let invalid: Vec<usize> = (0..valid.len()).filter(|&i| valid[i] == 0).collect();
    assert_eq!(invalid, [3 * 24 + 4, 5 * 24 + 6]);
    assert!(out.iter().all(|v| v.is_finite()));
    assert!(invalid.iter().all(|&i| out[i] == 0.0));
}

#[test]
fn three_bytes_a_pixel_are_true_colour() {
    let series = open("rgb.tif", &["tci"]).unwrap();
    assert_eq!((series.bands().len(), series.sample()), (3, SampleType::U8));
    let (out, valid) = read(&series, WHOLE);
    assert_eq!([0, 1, 2].map(|b| out[b * WHOLE.area() + 47]), [53.0, 26.0, 17.0]);
    // Georeferenced black is no data: the ramp starts with it.
    assert_eq!((valid[0], valid[1]), (0, 1));
    let text = describe(&made("rgb.tif"), &OpenOptions::default()).unwrap().to_string();
    assert!(text.contains("TIFF, 24×20 uint8") && text.contains("EPSG:32629"), "{text}");
}

#[test]
fn images_without_a_place_share_pixels_when_sizes_agree() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["2020-01-01.png", "2020-02-01.png"] {
        fs::copy(made("rgb_a.png"), folder.path().join(name)).unwrap();
    }
    let series = Series::open(&[folder.path().to_path_buf()], options(&["tci"])).unwrap();
    assert_eq!((series.frames().len(), series.grid().georef.is_none()), (2, true));
    let (_, valid) = read(&series, WHOLE);
    assert_eq!(valid, [1; 480], "black is a colour in a picture");

    fs::copy(made("rgb_b.png"), folder.path().join("2020-03-01.png")).unwrap();
    let said =
        Series::open(&[folder.path().to_path_buf()], options(&["tci"])).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("24×20") && said.contains("18×20") && said.contains("--transform"), "{said}");
    let mixed = [made("rgb.tif"), made("rgb_a.png")];
    let said = Series::open(&mixed, options(&["tci"])).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("georeferenc"), "{said}");
}

#[test]
fn real_true_colour_and_bands_of_two_resolutions() {
    let Some(folder) = shared("data/s2_l2a_29RKH") else { return };
    let series = Series::open(&[folder.join("TCI.tif")], options(&["tci"])).unwrap();
    let georef = series.grid().georef.as_ref().unwrap();
    assert_eq!((georef.epsg, georef.transform.0), (32629, [199_980.0, 100.0, 0.0, 2_800_020.0, 0.0, -100.0]));
    let whole = Rect::of_size(1098, 1098);
    let (out, valid) = read(&series, whole);
    let sums: Vec<f64> =
        out.chunks_exact(whole.area()).map(|plane| plane.iter().map(|v| f64::from(*v)).sum()).collect();
    // Sums by rasterio; no pixel is black.
    assert_eq!(sums, [306_155_809.0, 284_334_488.0, 207_250_372.0]);
    assert!(valid.iter().all(|v| *v == 1));

    let series = Series::open(&[folder], options(&["b04", "b05"])).unwrap();
    let (out, _) = read(&series, whole);
    let sum = |plane: &[f32]| plane.iter().map(|v| f64::from(*v)).sum::<f64>();
    assert_eq!(sum(&out[..whole.area()]), 4_111_075_585.0);
    let coarse = &out[whole.area()..];
    // GDAL's bilinear reproject of the 200 m band to the 100 m grid.
    assert!((sum(coarse) - 4_465_785_808.0).abs() < 200.0, "{}", sum(coarse));
    let at = |row: usize, col: usize| coarse[row * 1098 + col];
    let got = [at(300, 401), at(501, 600), at(77, 1000), at(0, 0), at(1097, 1097)];
    assert_eq!(got, [3639.875, 3480.4375, 1837.3125, 3595.0, 4029.0]);
}
