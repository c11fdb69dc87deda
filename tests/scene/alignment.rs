//! Dates of two UTM zones and two processing baselines, against what GDAL makes of the same files: the same
//! place within a tenth of a pixel, the same reflectance.

use std::path::{Path, PathBuf};
use std::process::Command;

use swath::demo::{make, DemoSpec};
use swath::raster::scene::{OffsetChoice, Series, SeriesOptions};
use swath::raster::FrameSource;
use swath::tile::Rect;

const SIDE: usize = 240;

fn open(paths: &[PathBuf], band: &str) -> Series {
    Series::open(paths, SeriesOptions { bands: vec![band.into()], ..SeriesOptions::default() }).unwrap()
}

/// All bands of a window, `[band][y][x]`, and which of its pixels have data.
fn values(series: &Series, frame: usize, rect: Rect) -> (Vec<f32>, Vec<u8>) {
    let (mut out, mut valid) = (vec![0.0; series.bands().len() * rect.area()], vec![0; rect.area()]);
    series.read(frame, rect, &mut out, &mut valid).unwrap();
    (out, valid)
}

fn read(series: &Series, frame: usize, rect: Rect) -> Vec<f32> {
    let (out, valid) = values(series, frame, rect);
    assert!(valid.iter().all(|v| *v == 1), "the window lacks data");
    out
}

/// The image of a band in a product.
fn image(product: &Path, band: &str) -> PathBuf {
    let granule = std::fs::read_dir(product.join("GRANULE")).unwrap().next().unwrap().unwrap().path();
    let mut files = std::fs::read_dir(granule.join("IMG_DATA")).unwrap().map(|e| e.unwrap().path());
    files.find(|f| f.to_str().unwrap().ends_with(&format!("_{band}.jp2"))).unwrap()
}

/// Runs one of GDAL's programs, whose output is a raw file of floats, band after band; `None` where it is not
/// installed.
fn gdal(program: &str, arguments: &[&str], input: &Path) -> Option<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.bin");
    let mut command = Command::new(program);
    command.args(["-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ", "-ot", "Float32"]);
    command.args(arguments).arg(input).arg(&output);
    let Ok(ended) = command.output() else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let bytes = std::fs::read(output).unwrap();
    Some(bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
}

fn crop(image: &[f32], width: usize, rect: Rect) -> Vec<f32> {
    let rows = image.chunks_exact(width).skip(rect.y0 as usize).take(rect.height());
    rows.flat_map(|row| row[rect.x0 as usize..rect.x1 as usize].to_vec()).collect()
}

/// Columns and rows by which `b` lies beside `a`, by least squares over gradients (Lucas and Kanade, 1981): with
/// b(x) = a(x + d), the d that minimises the sum of (b − a − ∇a·d)².
fn shift(a: &[f32], b: &[f32], rect: Rect) -> (f64, f64) {
    let (w, h) = (rect.width(), rect.height());
    let (mut xx, mut xy, mut yy, mut xd, mut yd) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (y, x) in (1..h - 1).flat_map(|y| (1..w - 1).map(move |x| (y, x))) {
        // The mean of both gradients makes the estimate exact to second order.
        let at = |x: usize, y: usize| f64::from(a[y * w + x] + b[y * w + x]) / 2.0;
        let gx = (at(x + 1, y) - at(x - 1, y)) / 2.0;
        let gy = (at(x, y + 1) - at(x, y - 1)) / 2.0;
        let d = f64::from(b[y * w + x] - a[y * w + x]);
        xx += gx * gx;
        xy += gx * gy;
        yy += gy * gy;
        xd += gx * d;
        yd += gy * d;
    }
    let det = xx * yy - xy * xy;
    ((xd * yy - yd * xy) / det, (yd * xx - xd * xy) / det)
}

#[test]
fn the_other_zone_lies_where_gdal_puts_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DemoSpec { size: SIDE, dates: 2, other_zone: true, all_bands: true, ..DemoSpec::default() };
    let paths = make(folder.path(), &spec, &|_| ()).unwrap();
    let series = open(&paths, "b04");
    let georef = series.grid().georef.clone().unwrap();
    let (west, north) = georef.transform.apply(0.0, 0.0);
    let (east, south) = georef.transform.apply(SIDE as f64, SIDE as f64);
    let numbers = [west, south, east, north].map(|v| v.to_string());
    let side = SIDE.to_string();
    let mut arguments =
        vec!["-t_srs", "EPSG:32631", "-r", "bilinear", "-et", "0", "-ts", &side, &side, "-te"];
    arguments.extend(numbers.iter().map(String::as_str));
    let Some(theirs) = gdal("gdalwarp", &arguments, &image(&paths[1], "B04")) else { return };

    let rect = Rect::at(30, 30, SIDE - 60, SIDE - 60);
    let theirs: Vec<f32> = crop(&theirs, SIDE, rect).iter().map(|v| (v - 1000.0).max(0.0)).collect();
    let ours = read(&series, 1, rect);
    let (dx, dy) = shift(&theirs, &ours, rect);
    println!("the other zone against gdalwarp: {dx:.5} columns, {dy:.5} rows");
    assert!(dx.hypot(dy) < 0.01, "{dx} {dy}");
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2.0, "values differ by {worst}");

    // The measure sees a tenth of a pixel: between neighbours, linearly.
    let moved: Vec<f32> = {
        let wide = read(&series, 1, Rect { x1: rect.x1 + 1, ..rect });
        let rows = wide.chunks_exact(rect.width() + 1);
        rows.flat_map(|row| row.windows(2).map(|p| 0.9 * p[0] + 0.1 * p[1]).collect::<Vec<_>>()).collect()
    };
    let (dx, dy) = shift(&theirs, &moved, rect);
    assert!((0.08..0.12).contains(&dx) && dy.abs() < 0.02, "a tenth of a pixel measures {dx} {dy}");
}

#[test]
fn reflectance_is_the_same_with_and_without_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DemoSpec { size: SIDE, dates: 2, all_bands: true, ..DemoSpec::default() };
    let paths = make(folder.path(), &spec, &|_| ()).unwrap();
    let whole = Rect::of_size(SIDE, SIDE);
    for band in ["B02", "B04", "B08"] {
        let series = open(&paths, &band.to_lowercase());
        for (frame, (product, offset)) in paths.iter().zip([0.0, 1000.0]).enumerate() {
            assert_eq!(product.to_str().unwrap().contains("_N0400_"), offset > 0.0);
            let Some(stored) = gdal("gdal_translate", &[], &image(product, band)) else { return };
            let wanted: Vec<f32> = stored.iter().map(|v| (v - offset).max(0.0)).collect();
            assert!(read(&series, frame, whole) == wanted, "{band} of {}", product.display());
        }
        // Clouds of the second date are beside the point: the medians are of ground.
        let median = |frame| {
            let mut values = read(&series, frame, whole);
            values.sort_by(f32::total_cmp);
            values[values.len() / 3]
        };
        let (without, with) = (median(0), median(1));
        println!("{band}: {without} without the offset, {with} with it");
        assert!((without - with).abs() < 300.0, "{band}: {without} {with}");
    }
}

/// Columns and rows of the windows that [`a_whole_scene_equals_gdal`] looks at, as shares of the image: across the
/// corner of four JPEG 2000 tiles in the middle, and in the last corner.
const WINDOWS: [(f64, f64); 3] = [(0.0, 0.0), (0.4663, 0.4663), (1.0, 1.0)];

/// Every band of both dates of `swath demo --size 10980 --dates 2 --all-bands --other-zone --scenes-only`, whose
/// folder of scenes `SWATH_DEMO_SCENES` names: on their own grids the same numbers as GDAL's less the offset, the
/// second date on the first one's grid where gdalwarp puts it. It takes an hour to make the scenes.
#[test]
#[ignore = "needs whole scenes: SWATH_DEMO_SCENES"]
fn a_whole_scene_equals_gdal() {
    let folder = std::env::var_os("SWATH_DEMO_SCENES").map(PathBuf::from).expect("SWATH_DEMO_SCENES");
    let series = open(&[folder], "b02");
    let paths: Vec<PathBuf> = series.frames().iter().map(|f| product_of(&f.files[0])).collect();
    assert_eq!(paths.len(), 2);
    const BANDS: [&str; 14] =
        ["TCI", "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];
    for band in BANDS {
        for path in &paths {
            let offset =
                if band != "TCI" && path.to_str().unwrap().contains("_N0400_") { 1000.0 } else { 0.0 };
            let alone = open(std::slice::from_ref(path), &band.to_lowercase());
            for rect in windows(&alone) {
                let corner =
                    [rect.x0, rect.y0, rect.width() as i64, rect.height() as i64].map(|v| v.to_string());
                let mut arguments = vec!["-srcwin"];
                arguments.extend(corner.iter().map(String::as_str));
                let stored = gdal("gdal_translate", &arguments, &image(path, band)).unwrap();
                let wanted: Vec<f32> = stored.iter().map(|v| (v - offset).max(0.0)).collect();
                let (ours, valid) = values(&alone, 0, rect);
                assert!(valid.iter().filter(|v| **v == 1).count() > rect.area() / 2, "{band} lacks data");
                let differ = (0..ours.len()).filter(|&i| valid[i % rect.area()] == 1 && ours[i] != wanted[i]);
                assert_eq!(differ.count(), 0, "{band} of {}, {rect:?}", path.display());
            }
        }
        // Numbers as stored: with the offset taken off, those below zero would be cut before they are resampled.
        let stored = SeriesOptions { offset: OffsetChoice::Add(0.0), ..SeriesOptions::default() };
        let both =
            Series::open(&paths, SeriesOptions { bands: vec![band.to_lowercase()], ..stored }).unwrap();
        let georef = both.grid().georef.clone().unwrap();
        let (mut compared, mut farthest, mut worst) = (0, 0.0_f64, 0.0_f32);
        for rect in windows(&both) {
            let (ours, valid) = values(&both, 1, rect);
            if valid.contains(&0) {
                continue;
            }
            let (west, north) = georef.transform.apply(rect.x0 as f64, rect.y0 as f64);
            let (east, south) = georef.transform.apply(rect.x1 as f64, rect.y1 as f64);
            let numbers = [west, south, east, north].map(|v| v.to_string());
            let sides = [rect.width(), rect.height()].map(|v| v.to_string());
            let srs = format!("EPSG:{}", georef.epsg);
            // Told nothing, gdalwarp takes the scale from the windows' extents, and blurs where one is turned.
            let mut arguments = vec!["-wo", "XSCALE=1", "-wo", "YSCALE=1"];
            arguments
                .extend(["-t_srs", &srs, "-r", "bilinear", "-et", "0", "-ts", &sides[0], &sides[1], "-te"]);
            arguments.extend(numbers.iter().map(String::as_str));
            let theirs = gdal("gdalwarp", &arguments, &image(&paths[1], band)).unwrap();
            let inner = Rect::of_size(rect.width(), rect.height());
            let (dx, dy) = shift(&theirs[..rect.area()], &ours[..rect.area()], inner);
            farthest = farthest.max(dx.hypot(dy));
            worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
            compared += 1;
        }
        println!(
            "{band}: {compared} windows in the other zone, at most {farthest:.5} pixels and {worst} apart"
        );
        assert!(compared > 0 && farthest < 0.01 && worst < 2.0, "{band}");
    }
}

/// Windows of at most 300 pixels a side.
fn windows(series: &Series) -> Vec<Rect> {
    let (width, height) = (series.grid().width, series.grid().height);
    let (w, h) = (width.min(300), height.min(300));
    let at = |share: f64, room: usize| (share * room as f64) as i64;
    WINDOWS.iter().map(|&(x, y)| Rect::at(at(x, width - w), at(y, height - h), w, h)).collect()
}

/// The folder of a product, from one of its images.
fn product_of(image: &Path) -> PathBuf {
    let safe = |p: &&Path| p.extension().is_some_and(|e| e == "SAFE");
    image.ancestors().find(safe).unwrap().to_path_buf()
}
