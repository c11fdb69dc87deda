//! Every format: what GDAL reads is what was written, in the same place.

use std::path::Path;

use swath::raster::vector::{create, Feature, Field, FieldKind, Geometry, Layer, Value};

use super::gdal;

const UTM: u32 = 32631;

pub fn layer(epsg: u32) -> Layer {
    let fields = vec![
        Field::new("category", FieldKind::Text),
        Field::new("score", FieldKind::Real),
        Field::new("n", FieldKind::Integer),
    ];
    Layer { metadata: vec![("model".into(), "m1".into())], ..Layer::new("turbines", Some(epsg), fields) }
}

pub fn features() -> Vec<Feature> {
    let values = |k: i64| {
        let text = if k == 1 { Value::Null } else { Value::Text(format!("wind, \"{k}\" é")) };
        vec![text, Value::Real(k as f64 / 4.0 + 0.1), Value::Integer(k - 2)]
    };
    let ring =
        |x: f64, y: f64, side: f64| vec![[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]];
    let mut hole = ring(500_120.0, 5_300_120.0, 20.0);
    hole.reverse();
    let shapes = [
        Geometry::Point([500_001.25, 5_300_002.5]),
        Geometry::Point([399_960.0, 5_190_240.0]),
        Geometry::Polygon(vec![ring(500_100.0, 5_300_100.0, 100.0), hole]),
        Geometry::Polygon(vec![ring(600_000.0, 5_200_000.0, 250.0)]),
    ];
    let feature = |(k, geometry): (usize, Geometry)| Feature { geometry, values: values(k as i64) };
    shapes.into_iter().enumerate().map(feature).collect()
}

pub fn write(path: &Path, layer: &Layer, features: &[Feature]) {
    let mut sink = create(path, layer, false).unwrap();
    features.iter().for_each(|f| sink.write(f).unwrap());
    sink.finish().unwrap();
}

/// Compares with what GDAL reads: the n-th line of `found` for each value of field n.
fn compare(found: &[String], features: &[Feature], tolerance: f64) {
    assert_eq!(found.len(), features.len(), "{found:#?}");
    for feature in features {
        let Value::Integer(n) = feature.values[2] else { panic!("an integer") };
        let line = found.iter().find(|line| line.ends_with(&format!("\t\"{n}\""))).unwrap();
        let columns: Vec<&str> = line.split('\t').collect();
        let mut places: Vec<[f64; 2]> = gdal::numbers(columns[0]).chunks(2).map(|p| [p[0], p[1]]).collect();
        let mut wanted: Vec<[f64; 2]> = feature.geometry.points().collect();
        assert_eq!(places.len(), wanted.len(), "{line}");
        // Rings may be turned around.
        let order =
            |a: &[f64; 2], b: &[f64; 2]| a[0].round().total_cmp(&b[0].round()).then(a[1].total_cmp(&b[1]));
        places.sort_by(order);
        wanted.sort_by(order);
        for (place, wanted) in places.iter().zip(&wanted) {
            let off = (place[0] - wanted[0]).abs().max((place[1] - wanted[1]).abs());
            assert!(off <= tolerance, "{place:?} {wanted:?}");
        }
        let text = match &feature.values[0] {
            Value::Text(text) => text.replace('"', "\"\""),
            _ => String::new(),
        };
        assert_eq!(columns[1].trim_matches('"'), text.trim_matches('"'), "{line}");
        let Value::Real(score) = feature.values[1] else { panic!("a number") };
        assert_eq!(columns[2].trim_matches('"').parse::<f64>().unwrap(), score);
    }
}

#[test]
fn gdal_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    // Seven decimals of a degree are a centimetre.
    for (name, tolerance) in [("a.geojson", 0.012), ("a.ndjson", 0.012), ("a.fgb", 0.0)] {
        let path = folder.path().join(name);
        write(&path, &layer(UTM), &features());
        let Some(found) = gdal::features(&path, UTM) else { return };
        compare(&found, &features(), tolerance);
    }
}

#[test]
fn gdal_finds_features_by_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fgb");
    let place = |k: usize| [5e5 + (k % 40) as f64 * 100.0, 5e6 + (k / 40) as f64 * 100.0];
    let points = (0..1000).map(|k| Feature {
        geometry: Geometry::Point(place(k)),
        values: vec![Value::Null, Value::Null, Value::Integer(k as i64)],
    });
    write(&path, &layer(UTM), &points.collect::<Vec<_>>());
    let file = path.to_str().unwrap();
    let window = ["500450", "5000350", "500850", "5000650"];
    let args = ["-q", "-al", "-spat"].into_iter().chain(window).chain([file]);
    let Some(text) = gdal::program("ogrinfo", args) else { return };
    assert_eq!(text.matches("OGRFeature").count(), 4 * 3, "{text}");
    let head = gdal::program("ogrinfo", ["-so", "-al", file]).unwrap();
    for part in
        ["FlatGeobuf", "Feature Count: 1000", "Geometry: Point", "\"EPSG\",32631", "score: Real", "turbines"]
    {
        assert!(head.contains(part), "{part} is missing in {head}");
    }
    assert!(
        head.contains("Extent: (500000.000000, 5000000.000000) - (503900.000000, 5002400.000000)"),
        "{head}"
    );
}

#[test]
fn polygons_across_the_antimeridian_are_valid_and_keep_their_area() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.geojson");
    let layer = Layer::new("area", Some(32660), Vec::new());
    let shape =
        Feature { geometry: Geometry::rectangle(650_000.0, 6e6, 750_000.0, 6.1e6), values: Vec::new() };
    write(&path, &layer, &[shape]);
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let (west, east) = (json["bbox"][0].as_f64().unwrap(), json["bbox"][2].as_f64().unwrap());
    assert!(west > 179.0 && east < -179.0, "{west} {east}");
    let file = path.to_str().unwrap();
    // Each part in the zone's own coordinates, in which the area is known.
    let sql = "SELECT ST_IsValid(geometry) AS v, ST_Area(ST_Transform(geometry, 32660)) AS a, \
               ST_NumGeometries(geometry) AS n FROM area";
    let Some(text) = gdal::program("ogrinfo", ["-q", "-dialect", "SQLite", "-sql", sql, file]) else {
        return;
    };
    assert!(text.contains("v (Integer) = 1") && text.contains("n (Integer) = 2"), "{text}");
    let area = text.lines().find_map(|line| line.trim().strip_prefix("a (Real) = ")).unwrap();
    assert!((area.parse::<f64>().unwrap() / 1e10 - 1.0).abs() < 1e-5, "{area}");
}
