//! What is written is read back; what is damaged is an error and no more.

use std::io::Cursor;

use super::super::read::{ReadLimits, Record};
use super::super::{create, Feature, Field, FieldKind, Geometry, Layer, Value};
use super::read::read;
use crate::error::Result;

const SMALL: ReadLimits = ReadLimits { bytes: 1 << 20, feature_bytes: 1 << 16, features: 1000 };

fn layer() -> Layer {
    let fields = vec![
        Field::new("category", FieldKind::Text),
        Field::new("score", FieldKind::Real),
        Field::new("n", FieldKind::Integer),
    ];
    let metadata = vec![("model".to_string(), "a \"b\"".to_string())];
    Layer { metadata, ..Layer::new("things", Some(32631), fields) }
}

fn features(n: usize) -> Vec<Feature> {
    (0..n)
        .map(|k| {
            let (x, y) = (5e5 + (k * 7919 % 1000) as f64, 5e6 + k as f64);
            let square = |x: f64| Geometry::rectangle(x, y, x + 10.0, y + 10.0).polygons()[0].clone();
            let hole = Geometry::rectangle(x + 2.0, y + 2.0, x + 4.0, y + 4.0).polygons()[0][0].clone();
            let geometry = match k % 4 {
                0 => Geometry::Point([x, y]),
                1 => Geometry::Polygon(square(x)),
                2 => Geometry::Polygon(vec![square(x).remove(0), hole]),
                _ => Geometry::MultiPolygon(vec![square(x), square(x + 50.0)]),
            };
            let text = if k % 3 == 0 { Value::Null } else { Value::Text(format!("é{k}")) };
            Feature { geometry, values: vec![text, Value::Real(k as f64 / 8.0), Value::Integer(k as i64)] }
        })
        .collect()
}

fn written(features: &[Feature]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fgb");
    let mut sink = create(&path, &layer(), false).unwrap();
    features.iter().for_each(|f| sink.write(f).unwrap());
    sink.finish().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::read(path).unwrap()
}

fn records(bytes: &[u8]) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    read(Cursor::new(bytes), &SMALL, &mut |source, record| {
        assert_eq!(source.epsg, Some(32631));
        found.push(record);
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn what_is_written_is_read_back() {
    for n in [0, 1, 2, 16, 17, 300] {
        let features = features(n);
        let mut found = records(&written(&features)).unwrap();
        let number = |record: &Record| match record.get("n") {
            Value::Integer(n) => *n,
            _ => -1,
        };
        found.sort_by_key(number);
        assert_eq!(found.len(), n);
        for (record, feature) in found.iter().zip(&features) {
            assert_eq!(record.geometry, feature.geometry);
            assert_eq!([record.get("category"), record.get("score"), record.get("n")], {
                let v = &feature.values;
                [&v[0], &v[1], &v[2]]
            });
        }
    }
}

#[test]
fn damage_is_an_error_or_another_feature_and_never_worse() {
    let bytes = written(&features(20));
    for end in 0..bytes.len() {
        assert!(records(&bytes[..end]).is_err(), "{end} bytes");
    }
    let mut seed = 1u64;
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (seed >> 33) as usize % damaged.len();
            damaged[at] = [0, 1, 0x7f, 0x80, 0xff, (seed >> 20) as u8][(seed >> 28) as usize % 6];
        }
        let _ = read(Cursor::new(&damaged), &SMALL, &mut |_, record| {
            assert!(record.geometry.points().count() < 1 << 13);
            Ok(())
        });
    }
}

#[test]
fn another_version_and_another_format_are_told_apart() {
    let mut bytes = written(&features(1));
    bytes[3] = 2;
    assert!(records(&bytes).unwrap_err().to_string().contains("version 2"));
    assert!(records(b"GIF89a..").unwrap_err().to_string().contains("no FlatGeobuf"));
}
