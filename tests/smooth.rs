//! `swath smooth` as people run it: months of files in, objects with a start and an end out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use swath::raster::vector::{create, read, Feature, Field, FieldKind, Geometry, Layer, ReadLimits, Value};

const UTM: u32 = 32631;

fn swath(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swath")).args(args).current_dir(folder).output().unwrap()
}

fn failure(args: &[&str], folder: &Path) -> (i32, String) {
    let output = swath(args, folder);
    assert!(!output.status.success());
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Turbines in UTM metres, as `swath detect` writes them.
fn month(folder: &Path, name: &str, places: &[[f64; 2]], score: f64) {
    let fields = vec![Field::new("category", FieldKind::Text), Field::new("score", FieldKind::Real)];
    let mut sink = create(folder.join(name), &Layer::new("turbines", Some(UTM), fields), false).unwrap();
    for place in places {
        let values = vec![Value::Text("wind_turbine".into()), Value::Real(score)];
        sink.write(&Feature { geometry: Geometry::Point(*place), values }).unwrap();
    }
    sink.finish().unwrap();
}

/// Start, end, months and score of each object.
fn objects(path: &Path) -> Vec<(String, String, i64, f64)> {
    let mut found = Vec::new();
    read(path, &ReadLimits::default(), &mut |source, record| {
        assert_eq!(source.epsg, Some(4326));
        assert_eq!(record.get("category"), &Value::Text("wind_turbine".into()));
        let (Value::Text(start), Value::Text(end)) = (record.get("start"), record.get("end")) else {
            panic!("{record:?}")
        };
        let (Value::Integer(months), Value::Real(score)) = (record.get("months"), record.get("score")) else {
            panic!("{record:?}")
        };
        found.push((start.clone(), end.clone(), *months, *score));
        Ok(())
    })
    .unwrap();
    found.sort_by(|a, b| a.partial_cmp(b).unwrap());
    found
}

#[test]
fn months_of_detections_become_objects() {
    let folder = tempfile::tempdir().unwrap();
    let old = [500_000.0, 5_000_000.0];
    let new = [501_000.0, 5_000_000.0];
    for k in 1..=12 {
        // The old one goes after July, the new one comes in May and is missed in August; March has a chance find.
        let mut places = Vec::new();
        places.extend((k <= 7).then_some([old[0] + 10.0 * k as f64, old[1]]));
        places.extend((k >= 5 && k != 8).then_some(new));
        places.extend((k == 3).then_some([505_000.0, 5_003_000.0]));
        let extension = ["geojson", "fgb", "ndjson"][k % 3];
        month(folder.path(), &format!("turbines-2021-{k:02}.{extension}"), &places, 0.5 + k as f64 / 64.0);
    }
    let mut args: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    args.sort();
    args.reverse();
    let files: Vec<&str> = args.iter().map(String::as_str).collect();
    for result in ["objects.geojson", "objects.fgb"] {
        let args = [&["smooth"], files.as_slice(), &["-o", result]].concat();
        let output = swath(&args, folder.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("2 objects, 1 of them still there, of 15 detections in 12 months"), "{said}");
        assert_eq!(
            objects(&folder.path().join(result)),
            [
                ("2021-01".to_string(), "2021-07".to_string(), 7, 0.609375),
                ("2021-05".to_string(), "9999-12".to_string(), 7, 0.6875)
            ]
        );
    }
    let (code, message) =
        failure(&[&["smooth"], &files[..1], &["-o", "objects.fgb"]].concat(), folder.path());
    assert!(code == 2 && message.contains("--overwrite"), "{message}");
}

#[test]
fn months_without_imagery_do_not_end_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let place = [500_005.0, 4_999_995.0];
    for k in 1..=24 {
        let name = format!("a-{}-{:02}.geojson", 2020 + (k - 1) / 12, (k - 1) % 12 + 1);
        let there = k <= 6 || k > 18;
        month(folder.path(), &name, &[place][..usize::from(there)], 0.5);
    }
    let files: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let smooth = |more: &[&str], result: &str| {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let output =
            swath(&[&["smooth"], files.as_slice(), &["-q", "-o", result], more].concat(), folder.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
        objects(&folder.path().join(result))
            .into_iter()
            .map(|(start, end, ..)| (start, end))
            .collect::<Vec<_>>()
    };
    let text = |start: &str, end: &str| (start.to_string(), end.to_string());
    assert_eq!(smooth(&[], "seen.geojson"), [text("2020-01", "2020-06"), text("2021-07", "9999-12")]);
    // A raster that begins at the place's pixel, and says that nothing was seen there.
    let blank: Vec<String> = (7..=18)
        .map(|k| {
            let name = format!("seen-{}-{:02}.tif", 2020 + (k - 1) / 12, (k - 1) % 12 + 1);
            coverage(&folder.path().join(&name));
            format!("--coverage={name}")
        })
        .collect();
    let flags: Vec<&str> = blank.iter().map(String::as_str).collect();
    assert_eq!(smooth(&flags, "unseen.geojson"), [text("2020-01", "9999-12")]);
}

/// A raster of 4 by 4 pixels of 10 m: seen everywhere but in the first.
fn coverage(path: &Path) {
    use swath::raster::cog::{CogOptions, CogSpec, CogWriter};
    use swath::raster::{Block, BlockSink, GeoTransform, Georef, SampleType, Samples};
    let georef = Georef { epsg: UTM, transform: GeoTransform::north_up(500_000.0, 5_000_000.0, 10.0, -10.0) };
    let mut spec = CogSpec::new(4, 4, vec!["seen".into()], SampleType::U8);
    spec.georef = Some(georef);
    let sink = CogWriter::create(path, spec, CogOptions::default()).unwrap();
    let mut samples = vec![1; 16];
    samples[0] = 0;
    let block = Block { rect: sink.block_rect(0, 0), samples: Samples::U8(samples), mask: None };
    sink.put(0, 0, &block).unwrap();
    Box::new(sink).finish(&|_, _| Ok(())).unwrap();
}

#[test]
fn what_cannot_be_smoothed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    month(folder.path(), "latest.geojson", &[[500_000.0, 5_000_000.0]], 0.5);
    std::fs::write(folder.path().join("2021-02.geojson"), "{\"features\":[{\"type\":\"Feature\",").unwrap();
    std::fs::write(folder.path().join("2021-03.fgb"), "fgb\x03fgb\x00").unwrap();
    for (args, wanted, part) in [
        (&["latest.geojson", "-o", "a.geojson"][..], 2, "no month"),
        (&["2021-02.geojson", "-o", "a.geojson"], 3, "no GeoJSON"),
        (&["2021-03.fgb", "-o", "a.geojson"], 3, "header"),
        (&["2021-04.fgb", "-o", "a.geojson"], 7, "cannot open"),
        (&["2021-02.shp", "-o", "a.geojson"], 2, "no vector format"),
        (&["2021-02.geojson", "-o", "a.shp"], 2, "no vector format"),
        (&["latest.geojson", "-o", "a.geojson", "--coverage", "seen.tif"], 2, "2021-03.tif"),
    ] {
        let (code, message) = failure(&[&["smooth"], args].concat(), folder.path());
        assert!(code == wanted && message.contains(part), "{args:?}: {code} {message}");
        assert!(!folder.path().join("a.geojson").exists());
    }
    month(folder.path(), "2021-05.geojson", &[], 0.5);
    let (code, message) =
        failure(&["smooth", "2021-05.geojson", "-o", "a.geojson", "--radius", "-1"], folder.path());
    assert!(code == 2 && message.contains("-1"), "{message}");
}
