//! Sentinel-2 products: offset, resolutions, zips, shifted grids and zones, and what damaged ones say.

use std::fs;
use std::path::{Path, PathBuf};

use swath::raster::crs::{Bounds, PointTransform};
use swath::raster::scene::{describe, Extent, NodataChoice, OffsetChoice, Series, SeriesOptions, Window};
use swath::raster::{FrameSource, Georef, OpenOptions};
use swath::tile::Rect;

use crate::made::{field, zipped, Made, ORIGIN, SIZE, ZONE};

fn options(bands: &[&str]) -> SeriesOptions {
    SeriesOptions { bands: bands.iter().map(|b| b.to_string()).collect(), ..SeriesOptions::default() }
}

fn read(series: &Series, frame: usize) -> (Vec<f32>, Vec<u8>) {
    let rect = Rect::of_size(series.grid().width, series.grid().height);
    let (mut out, mut valid) = (vec![f32::NAN; series.bands().len() * rect.area()], vec![9; rect.area()]);
    series.read(frame, rect, &mut out, &mut valid).unwrap();
    (out, valid)
}

fn error(inputs: &[PathBuf], options: SeriesOptions) -> String {
    Series::open(inputs, options).map(|_| ()).unwrap_err().to_string()
}

/// Largest distance of one band from the field it was made from, in digital numbers, over valid pixels at
/// least `margin` inside the date's own area.
fn worst(series: &Series, frame: usize, band: usize, margin: usize, made: &Made) -> f64 {
    let (out, valid) = read(series, frame);
    let grid = series.grid();
    let georef = grid.georef.as_ref().unwrap();
    let to_zone = PointTransform::new(georef.epsg, ZONE).unwrap();
    let to_own = PointTransform::new(georef.epsg, made.epsg).unwrap();
    let (mut worst, mut count): (f64, usize) = (0.0, 0);
    for i in 0..valid.len() {
        let (x, y) = georef.transform.apply((i % grid.width) as f64 + 0.5, (i / grid.width) as f64 + 0.5);
        let (own_x, own_y) = to_own.point(x, y).unwrap();
        let (col, row) = made.transform(10).invert(own_x, own_y).unwrap();
        let m = margin as f64;
        let inside = col > m && row > m && col < SIZE.0 as f64 - m && row < SIZE.1 as f64 - m;
        if valid[i] == 1 && inside {
            let (e, n) = to_zone.point(x, y).unwrap();
            let want = field(&series.bands()[band], e, n);
            worst = worst.max((f64::from(out[band * valid.len() + i]) - want).abs());
            count += 1;
        }
    }
    assert!(count > valid.len() / 4, "{count} of {} pixels compared", valid.len());
    worst
}

/// A tenth of a pixel along the gradient of 7 and 5 digital numbers a pixel, less half for rounding.
const TENTH_OF_A_PIXEL: f64 = 0.1 * 8.6 + 0.5;

#[test]
fn the_offset_is_removed_once_and_reflectance_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let before = Made { nodata: 5, ..Made::default() };
    let after =
        Made { baseline: "04.00", offset: -1000, time: "20220514T103629", nodata: 5, ..Made::default() };
    let paths = [after.write(folder.path()), before.write(folder.path())];
    let series = Series::open(&paths, options(&["tci", "b02", "b05", "b01"])).unwrap();
    let labels: Vec<&str> = series.frames().iter().map(|f| f.label.as_str()).collect();
    assert_eq!(labels, ["2020-01-02T10:34:21", "2022-05-14T10:36:29"]);
    assert_eq!(series.bands(), ["red", "green", "blue", "B02", "B05", "B01"]);
    assert_eq!((series.grid().width, series.grid().height), SIZE);
    assert_eq!(read(&series, 0), read(&series, 1));
    let (out, valid) = read(&series, 1);
    assert!(
        (0..SIZE.0).all(|x| valid[x] == u8::from(x >= 6)),
        "5 pixels lack B02, 6 lack B01 and B05: {valid:?}"
    );
    assert_eq!(out[3 * valid.len()], 0.0);
    assert!(worst(&series, 1, 3, 0, &after) <= 0.5);

    let notes = |frame: usize| series.frames()[frame].notes.join("\n");
    assert!(notes(0).contains("as stored (baseline 02.08)"), "{}", notes(0));
    assert!(notes(1).contains("radiometric offset -1000 applied (by the product's XML"), "{}", notes(1));

    // The same numbers forced, and left alone.
    let forced = SeriesOptions { offset: OffsetChoice::Add(0.0), ..options(&["b02"]) };
    let raw = Series::open(&paths[..1], forced).unwrap();
    let (stored, _) = read(&raw, 0);
    assert_eq!(stored[10], out[3 * valid.len() + 10] + 1000.0);
}

#[test]
fn coarser_bands_come_to_the_finest_grid() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made::default();
    let path = made.write(folder.path());
    let series = Series::open(&[path.clone()], options(&["b02", "b05", "b01"])).unwrap();
    for (band, margin) in [(0, 0), (1, 1), (2, 3)] {
        let off = worst(&series, 0, band, margin, &made);
        assert!(off <= 0.5 + 1e-3, "{} is {off} off", series.bands()[band]);
    }
    // Alone, a 20 m band keeps its own grid.
    let series = Series::open(&[path], options(&["b05"])).unwrap();
    assert_eq!((series.grid().width, series.grid().height), (SIZE.0 / 2, SIZE.1 / 2));
}

#[test]
fn level_2a_takes_the_finest_of_each_band() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made {
        level: "2A",
        baseline: "05.09",
        offset: -1000,
        bands: &[("B02", 10), ("B02", 20), ("B02", 60), ("B05", 20), ("B05", 60), ("TCI", 10), ("TCI", 60)],
        ..Made::default()
    };
    let path = made.write(folder.path());
    let series = Series::open(&[path], options(&["tci", "b02", "b05"])).unwrap();
    let names: Vec<String> = series.frames()[0]
        .files
        .iter()
        .map(|f| {
            f.file_stem().unwrap().to_str().unwrap().rsplit_once("T31UGQ_20200102T103421_").unwrap().1.into()
        })
        .collect();
    assert_eq!(names, ["TCI_10m", "B02_10m", "B05_20m"]);
    assert!(worst(&series, 0, 3, 0, &made) <= 0.5);
    assert!(worst(&series, 0, 4, 1, &made) <= 0.5 + 1e-3);
}

#[test]
fn shifted_dates_and_other_zones_align() {
    let folder = tempfile::tempdir().unwrap();
    let to_32 = PointTransform::new(ZONE, 32632).unwrap();
    let (e, n) = to_32.point(ORIGIN.0 + 100.0, ORIGIN.1 - 100.0).unwrap();
    let dates = [
        Made { time: "20200102T000000", ..Made::default() },
        Made { time: "20200103T000000", corner: (ORIGIN.0 + 50.0, ORIGIN.1 - 20.0), ..Made::default() },
        Made { time: "20200104T000000", corner: (ORIGIN.0 + 3.7, ORIGIN.1 - 4.2), ..Made::default() },
        Made { time: "20200105T000000", epsg: 32632, corner: (e.round(), n.round()), ..Made::default() },
        Made { time: "20200106T000000", ..Made::default() },
    ];
    let paths: Vec<PathBuf> = dates.iter().map(|d| d.write(folder.path())).collect();
    let series = Series::open(&paths, options(&["b02", "b05"])).unwrap();
    assert_eq!(series.grid().georef.as_ref().unwrap().epsg, ZONE);
    assert_eq!((series.grid().width, series.grid().height), SIZE);
    for (frame, made) in dates.iter().enumerate() {
        let exact = made.time == "20200103T000000";
        for (band, margin) in [(0, 1), (1, 3)] {
            let off = worst(&series, frame, band, margin, made);
            assert!(
                off <= if exact && band == 0 { 0.5 } else { TENTH_OF_A_PIXEL },
                "{} {band}: {off}",
                made.time
            );
        }
    }
    let note = |frame: usize| series.frames()[frame].notes.join("\n");
    assert!(note(1).contains("whole pixels: -5 columns, -2 rows"), "{}", note(1));
    assert!(note(2).contains("bilinear"), "{}", note(2));
    assert!(note(3).contains("EPSG:32632 to EPSG:32631"), "{}", note(3));

    let (_, valid) = read(&series, 1);
    assert!((0..SIZE.0).all(|x| valid[40 * SIZE.0 + x] == u8::from(x >= 5)));

    let extent = |extent| {
        let series = Series::open(&paths[..2], SeriesOptions { extent, ..options(&["b02"]) }).unwrap();
        (series.grid().width, series.grid().height)
    };
    assert_eq!(extent(Extent::Union), (SIZE.0 + 5, SIZE.1 + 2));
    assert_eq!(extent(Extent::Intersection), (SIZE.0 - 5, SIZE.1 - 2));
}

#[test]
fn stored_zips_are_read_in_place_and_packed_ones_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = Made::default().write(folder.path());
    let want = read(&Series::open(&[path.clone()], options(&["tci", "b05"])).unwrap(), 0);
    let zip = zipped(&path, zip::CompressionMethod::Stored);
    let series = Series::open(&[zip.clone()], options(&["tci", "b05"])).unwrap();
    assert_eq!(read(&series, 0), want);
    assert_eq!(series.frames()[0].label, "2020-01-02T10:34:21");

    let whole = fs::read(&zip).unwrap();
    for cut in 0..64 {
        fs::write(&zip, &whole[..whole.len() * cut / 64]).unwrap();
        let said = error(&[zip.clone()], options(&["tci"]));
        assert!(said.contains("SAFE.zip"), "{said}");
    }
    let zip = zipped(&path, zip::CompressionMethod::Deflated);
    let said = error(&[zip], options(&["tci"]));
    assert!(said.contains("compressed inside the zip") && said.contains("unzip"), "{said}");
}

#[test]
fn a_folder_of_products_is_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    Made::default().write(folder.path());
    Made { time: "20190102T103421", ..Made::default() }.write(folder.path());
    let series = Series::open(&[folder.path().to_path_buf()], options(&["tci"])).unwrap();
    let labels: Vec<&str> = series.frames().iter().map(|f| f.label.as_str()).collect();
    assert_eq!(labels, ["2019-01-02T10:34:21", "2020-01-02T10:34:21"]);
}

#[test]
fn a_box_becomes_pixels_and_one_outside_names_the_extent() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made::default();
    let path = made.write(folder.path());
    let window = |west: f64, south: f64, east: f64, north: f64, epsg| {
        Some(Window { bounds: Bounds { west, south, east, north }, epsg })
    };
    let (e, n) = ORIGIN;
    let snapped = window(e + 101.0, n - 399.0, e + 200.0, n - 50.0, None);
    let series =
        Series::open(&[path.clone()], SeriesOptions { window: snapped, ..options(&["b02"]) }).unwrap();
    assert_eq!((series.grid().width, series.grid().height), (10, 35));
    assert!(worst(&series, 0, 0, 0, &made) <= 0.5);

    let degrees = PointTransform::new(ZONE, 4326).unwrap();
    let (lon, lat) = degrees.point(e + 500.0, n - 500.0).unwrap();
    let inside = window(lon - 0.001, lat - 0.001, lon + 0.001, lat + 0.001, Some(4326));
    let series =
        Series::open(&[path.clone()], SeriesOptions { window: inside, ..options(&["b02"]) }).unwrap();
    assert!((14..=17).contains(&series.grid().width) && (22..=25).contains(&series.grid().height));

    let outside = window(10.0, 50.0, 10.1, 50.1, Some(4326));
    let said = error(&[path], SeriesOptions { window: outside, ..options(&["b02"]) });
    assert!(
        said.contains("outside the scene") && said.contains("EPSG:4326") && said.contains("48.7"),
        "{said}"
    );
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = Made::default().write(folder.path());
    let said = error(&[path.clone()], options(&["tci", "b12"]));
    assert!(said.contains("no band B12; there are B01, B02, B05, TCI"), "{said}");
    assert!(said.contains("2020-01-02T10:34:21"), "{said}");

    let granule = path.join("GRANULE/L1C_T31UGQ_A000001_X");
    let b02 = granule.join("IMG_DATA/T31UGQ_20200102T103421_B02.jp2");
    let bytes = fs::read(&b02).unwrap();
    fs::write(&b02, &bytes[..40]).unwrap();
    let said = error(&[path.clone()], options(&["b02"]));
    assert!(said.contains("T31UGQ_20200102T103421_B02.jp2"), "{said}");
    // Cut inside the pixels: opens or not, but never panics, and a read names file, date and window.
    fs::write(&b02, &bytes[..bytes.len() - 700]).unwrap();
    if let Ok(series) = Series::open(&[path.clone()], options(&["b02"])) {
        let rect = Rect::of_size(SIZE.0, SIZE.1);
        let result = series.read(0, rect, &mut vec![0.0; rect.area()], &mut vec![0; rect.area()]);
        let said = result.unwrap_err().to_string();
        assert!(
            said.contains("_B02.jp2") && said.contains("date 2020-01-02") && said.contains("window x 0..120"),
            "{said}"
        );
    }
    fs::write(&b02, &bytes).unwrap();

    fs::write(granule.join("MTD_TL.xml"), "<a>").unwrap();
    let said = error(&[path.clone()], options(&["b02"]));
    assert!(said.contains("MTD_TL.xml: damaged XML"), "{said}");
    fs::remove_file(granule.join("MTD_TL.xml")).unwrap();
    let series = Series::open(&[path.clone()], options(&["b02"])).unwrap();
    assert!(series.grid().georef.is_some(), "GMLJP2 places it");

    let said = error(&[folder.path().join("S2A.SAFE")], options(&["tci"]));
    assert!(said.contains("S2A.SAFE: cannot open"), "{said}");
}

#[test]
fn the_nodata_rule_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = Made { nodata: 5, ..Made::default() }.write(folder.path());
    let count = |nodata, band: &str| {
        let series = Series::open(&[path.clone()], SeriesOptions { nodata, ..options(&[band]) }).unwrap();
        read(&series, 0).1.iter().filter(|v| **v == 0).count()
    };
    assert_eq!(count(NodataChoice::Auto, "tci"), 5 * SIZE.1);
    assert_eq!(count(NodataChoice::Auto, "b02"), 5 * SIZE.1);
    assert_eq!(count(NodataChoice::Ignore, "tci"), 0);
    assert_eq!(count(NodataChoice::Value(7.0), "b02"), 0);
}

#[test]
fn a_product_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let path = Made { baseline: "04.00", offset: -1000, ..Made::default() }.write(folder.path());
    fs::write(path.join("GRANULE/L1C_T31UGQ_A000001_X/IMG_DATA/T31UGQ_20200102T103421_B03.jp2"), b"no")
        .unwrap();
    let report = describe(&path, &OpenOptions::default()).unwrap();
    let text = report.to_string();
    for part in
        ["baseline 04.00", "120×96 uint8", "EPSG:32631", "JPEG 2000", "offsets are added", "unreadable"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["dates"][0]["product"]["offsets"]["B02"], -1000.0);
    assert_eq!(json["dates"][0]["files"][1]["width"], 120);
    assert!(describe(Path::new("no/such"), &OpenOptions::default()).is_err());
}

#[test]
fn images_without_a_place_take_the_products() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made { gml: false, ..Made::default() };
    let path = made.write(folder.path());
    let series = Series::open(&[path.clone()], options(&["b02", "b05"])).unwrap();
    assert_eq!(series.grid().georef.as_ref().unwrap().transform, made.transform(10));
    assert!(worst(&series, 0, 1, 1, &made) <= 0.5 + 1e-3);
    assert!(series.frames()[0].notes.iter().any(|n| n.contains("place from the granule's XML")));

    // Loose, the same images have no place until one is given; coarser ones cover the same area.
    let loose = path.join("GRANULE/L1C_T31UGQ_A000001_X/IMG_DATA");
    let said = error(&[loose.clone()], options(&["b02", "b05"]));
    assert!(said.contains("120×96") && said.contains("60×48") && said.contains("--transform"), "{said}");
    let georef = Some(Georef { epsg: ZONE, transform: made.transform(10) });
    let series = Series::open(&[loose], SeriesOptions { georef, ..options(&["b02", "b05"]) }).unwrap();
    assert!(worst(&series, 0, 1, 1, &made) <= 0.5 + 1e-3);
}

/// Bytes changed all over a zip of a product: opened or refused by name, never a panic.
#[test]
fn changed_bytes_are_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = Made { bands: &[("TCI", 10), ("B05", 20)], ..Made::default() }.write(folder.path());
    let zip = zipped(&path, zip::CompressionMethod::Stored);
    let whole = fs::read(&zip).unwrap();
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for round in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            // Every other change falls into the zip's directory at the end.
            let tail = if draw(2) == 0 { bytes.len() } else { 1000 };
            let at = bytes.len() - 1 - draw(tail);
            bytes[at] = draw(256) as u8;
        }
        fs::write(&zip, &bytes).unwrap();
        match Series::open(&[zip.clone()], options(&["tci", "b05"])) {
            Ok(series) => assert!(series.grid().width <= 1 << 22),
            Err(e) => {
                let said = e.to_string();
                assert!(said.contains("SAFE.zip") || said.contains("T31UGQ_20200102T103421"), "{said}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused} of 400 refused");
}
