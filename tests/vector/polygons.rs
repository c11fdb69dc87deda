//! Polygons of masks against those of GDAL: the same regions, valid, also when simplified.

use std::path::Path;

use swath::raster::vector::polygonize::{PolygonizeOptions, Polygonizer, Region};
use swath::raster::vector::{create, Feature, Field, FieldKind, Layer, Value};
use swath::raster::{png, GeoTransform, Samples};

use super::gdal;

const SIDE: usize = 96;

/// Smooth patches of four classes, one pixel in `noise` of them of any class.
fn mask(noise: u64) -> Vec<u8> {
    let mut seed = 3u64;
    let mut random = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        seed >> 33
    };
    let class = |x: f64, y: f64| {
        let wave = (x / 9.0).sin() + (y / 7.0).cos() + ((x + y) / 13.0).sin();
        (wave * 1.2 + 2.0).clamp(0.0, 3.0) as u8
    };
    let pixel = |k: usize| {
        let plain = class((k % SIDE) as f64, (k / SIDE) as f64);
        if random() % noise == 0 {
            (random() % 4) as u8
        } else {
            plain
        }
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

fn regions(mask: &[u8], tolerance: f64) -> Vec<Region> {
    let mut found = Vec::new();
    let mut each = |region| {
        found.push(region);
        Ok(())
    };
    let options = PolygonizeOptions { skip: Vec::new(), min_pixels: 1, tolerance };
    let mut polygonizer = Polygonizer::new(SIDE, options).unwrap();
    mask.chunks(SIDE).for_each(|row| polygonizer.row(row, &mut each).unwrap());
    polygonizer.finish(&mut each).unwrap();
    found
}

/// The regions as a file of features in pixels, rows downwards.
fn write(path: &Path, regions: &[Region]) {
    let fields = vec![Field::new("DN", FieldKind::Integer), Field::new("pixels", FieldKind::Integer)];
    let mut sink = create(path, &Layer::new("regions", None, fields), true).unwrap();
    let pixels = GeoTransform::north_up(0.0, 0.0, 1.0, 1.0);
    for region in regions {
        let values = vec![Value::Integer(region.class.into()), Value::Integer(region.pixels as i64)];
        sink.write(&Feature { geometry: region.geometry(&pixels), values }).unwrap();
    }
    sink.finish().unwrap();
}

/// Class, area and bounds of each polygon of a file, by GDAL; and whether all are valid.
fn measured(path: &Path, layer: &str) -> Option<Vec<Vec<i64>>> {
    let sql = format!(
        "SELECT DN, ST_Area(geometry) AS area, ST_MinX(geometry) AS x0, ST_MinY(geometry) AS y0, \
         ST_MaxX(geometry) AS x1, ST_MaxY(geometry) AS y1, ST_IsValid(geometry) AS valid FROM {layer}"
    );
    let (file, out) = (path.to_str().unwrap(), "/vsistdout/");
    let text = gdal::program("ogr2ogr", ["-f", "CSV", out, file, "-dialect", "SQLite", "-sql", &sql])?;
    let mut rows: Vec<Vec<i64>> = text
        .lines()
        .skip(1)
        .map(|line| gdal::numbers(line).iter().map(|v| v.round() as i64).collect())
        .collect();
    rows.sort();
    Some(rows)
}

#[test]
fn regions_are_those_of_gdal() {
    let folder = tempfile::tempdir().unwrap();
    let (png, theirs) = (folder.path().join("mask.png"), folder.path().join("theirs.fgb"));
    let mask = mask(12);
    png::write(&png, SIDE, SIDE, 1, &Samples::U8(mask.clone())).unwrap();
    let args =
        ["-q", "-nomask", png.to_str().unwrap(), "-f", "FlatGeobuf", theirs.to_str().unwrap(), "theirs"];
    if gdal::program("gdal_polygonize.py", args).is_none() {
        return;
    }
    let ours = folder.path().join("ours.fgb");
    write(&ours, &regions(&mask, 0.0));
    let (Some(ours), Some(theirs)) = (measured(&ours, "regions"), measured(&theirs, "theirs")) else {
        return;
    };
    assert!(ours.len() > 200);
    assert!(ours.iter().all(|row| row[6] == 1));
    let plain = |rows: &[Vec<i64>]| rows.iter().map(|row| row[..6].to_vec()).collect::<Vec<_>>();
    assert_eq!(plain(&ours), plain(&theirs));
}

#[test]
fn simplified_polygons_are_valid_and_cover_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let corners = |regions: &[Region]| regions.iter().flat_map(|r| &r.rings).map(Vec::len).sum::<usize>();
    // Of single pixels little is left to simplify.
    for (noise, least) in [(12, 1.2), (u64::MAX, 2.0)] {
        let mask = mask(noise);
        let (exact, plain) = (regions(&mask, 0.0), regions(&mask, 2.0));
        let fewer = corners(&exact) as f64 / corners(&plain) as f64;
        assert!(fewer > least, "{fewer}");
        let path = folder.path().join("plain.fgb");
        write(&path, &plain);
        let Some(rows) = measured(&path, "regions") else { return };
        assert_eq!(rows.len(), exact.len());
        assert!(rows.iter().all(|row| row[6] == 1));
        let sql = "SELECT ST_Area(ST_Union(geometry)) AS whole, SUM(ST_Area(geometry)) AS sum FROM regions";
        let args = ["-f", "CSV", "/vsistdout/", path.to_str().unwrap(), "-dialect", "SQLite", "-sql", sql];
        let text = gdal::program("ogr2ogr", args).unwrap();
        // Apart from corners of the mask, which lie between two borders with nothing.
        let areas = gdal::numbers(text.lines().nth(1).unwrap());
        let whole = (SIDE * SIDE) as f64;
        assert!((areas[0] - areas[1]).abs() < 1e-6 && (areas[0] / whole - 1.0).abs() < 0.01, "{areas:?}");
    }
}
