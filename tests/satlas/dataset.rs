//! Datasets and transforms against what the reference loaded and made of it.

use std::path::Path;

use md5::{Digest, Md5};
use serde_json::{json, Value};
use swath::dataset::{
    brighten, crop, mix_channels, pad, read_images, read_label, resize, roughen, triangle, Boxed, Crop,
    Dataset, DatasetConfig, Label, PadMode, Planes, Sample, Split,
};

use crate::fixtures::{fixtures, Fixture};

fn read_json(fixture: &Fixture, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture.folder.join(file)).unwrap()).unwrap()
}

fn md5(bytes: impl AsRef<[u8]>) -> String {
    Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes of an array file, whatever they mean.
fn bytes(fixture: &Fixture, file: &str) -> Vec<u8> {
    let array = fixture.array(&format!("{file}.npy")).unwrap_or_else(|| panic!("{file}"));
    array.data.iter().map(|v| *v as u8).collect()
}

fn planes(fixture: &Fixture, file: &str) -> Planes {
    let array = fixture.array(&format!("{file}.npy")).unwrap();
    let dims: Vec<usize> = array.shape.to_vec();
    let (count, height, width) = match dims[..] {
        [height, width] => (1, height, width),
        [count, height, width] => (count, height, width),
        _ => panic!("{dims:?}"),
    };
    Planes { count, height, width, data: array.data.iter().map(|v| *v as u8).collect() }
}

fn objects(fixture: &Fixture, stem: &str) -> Vec<Boxed> {
    let boxes = fixture.array(&format!("{stem}_boxes.npy")).unwrap();
    let labels = fixture.array(&format!("{stem}_labels.npy")).unwrap();
    let bounds = boxes.data.chunks(4).map(|b| b.try_into().unwrap());
    bounds.zip(labels.data).map(|(bounds, label)| Boxed { bounds, category: label as usize }).collect()
}

/// Copies a folder of datasets; links are recorded as texts that say where they point.
fn with_links(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            with_links(&path, &target);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let link = std::str::from_utf8(&bytes).ok().filter(|text| text.starts_with("../"));
        match link.map(|text| from.join(text)) {
            Some(folder) if folder.is_dir() => with_links(&folder, &target),
            Some(file) => std::fs::write(target, std::fs::read(file).unwrap()).unwrap(),
            None => std::fs::write(target, bytes).unwrap(),
        }
    }
}

#[test]
fn examples_are_loaded() {
    let Some(fixtures) = fixtures("dataset", 2) else { return };
    let loader = fixtures.iter().find(|f| f.name == "loader").unwrap();
    let root = fixtures.iter().find(|f| f.name == "satlaspretrain_root").unwrap().folder.join("work");
    let scratch = tempfile::tempdir().unwrap();
    with_links(&root, scratch.path());
    let root = scratch.path();
    let samples = read_json(loader, "samples.json");
    for (name, wanted) in samples.as_object().unwrap() {
        let config = |more: Value| {
            let mut task = json!({"Name": name, "TestSplit": "root/metadata/test_lowres.json"});
            task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let channels = ["tci", "fake", "fake", "b05", "b08"];
            DatasetConfig::parse(&json!({"Channels": channels, "NumImages": 4, "Tasks": [task]})).unwrap()
        };
        let plain = config(json!({}));
        let found = Dataset::find(
            &root.join("datasets/lowres"),
            &plain,
            &Split::File(root.join("root/metadata/test_lowres.json")),
            None,
        )
        .unwrap();
        assert_eq!(found.examples.len() as u64, wanted["len"].as_u64().unwrap(), "{name}");
        let example = &found.examples[0];
        assert_eq!(example.name, wanted["info"]["example_id"].as_str().unwrap());
        let images = read_images(&example.folder, &plain).unwrap();
        assert_eq!(json!(images.names), wanted["info"]["image_names"], "{name}");
        assert_eq!(images.notes, [""; 0]);
        let means = images.stack.data.chunks(images.stack.area());
        let means: Vec<f64> =
            means.map(|p| p.iter().map(|v| f64::from(*v)).sum::<f64>() / p.len() as f64).collect();
        assert_eq!(json!(means), wanted["channel_means"], "{name}");
        assert_eq!(md5(&images.stack.data), wanted["data_md5"].as_str().unwrap(), "{name}");
        check_label(loader, name, &wanted["target"], &plain, example);
        if name == "polygon" {
            let only = config(json!({"ClassMask": ["solar_farm"]}));
            let Some(Label::Objects { objects, .. }) =
                read_label(&example.folder, &only.tasks[0], &only).unwrap()
            else {
                panic!()
            };
            let wanted = loader.array("polygon_classmask_boxes.npy").unwrap().data;
            assert_eq!(objects.iter().flat_map(|o| o.bounds).collect::<Vec<f32>>(), wanted);
        }
    }
    assert_eq!(samples.as_object().unwrap().len(), 8);
}

fn check_label(
    loader: &Fixture,
    name: &str,
    target: &Value,
    config: &DatasetConfig,
    example: &swath::dataset::Example,
) {
    let label = read_label(&example.folder, &config.tasks[0], config).unwrap();
    let same = |what: &str, data: &[u8]| {
        let sum: f64 = data.iter().map(|v| f64::from(*v)).sum();
        assert_eq!(Some(sum), target[what]["sum"].as_f64(), "{name}: {what}");
        assert_eq!(md5(data), target[what]["md5"].as_str().unwrap(), "{name}: {what}");
    };
    match label.unwrap() {
        Label::Map { planes, known } => {
            same("im", &planes.data);
            same("valid_im", &known.data);
        }
        Label::Objects { objects: found, masks } => {
            assert_eq!(found, objects(loader, name), "{name}");
            if let Some(masks) = masks {
                let floats: Vec<u8> = masks.data.iter().flat_map(|v| f32::from(*v).to_le_bytes()).collect();
                assert_eq!(md5(floats), target["masks"]["md5"].as_str().unwrap());
            }
        }
        Label::Class(class) => {
            assert_eq!([class as f32], loader.array(&format!("{name}_label.npy")).unwrap().data[..])
        }
        Label::Classes(_) => panic!("{name}"),
    }
}

#[test]
fn examples_are_ordered_by_hash() {
    let Some(fixtures) = fixtures("dataset", 2) else { return };
    let order: Vec<String> = serde_json::from_value(read_json(
        fixtures.iter().find(|f| f.name == "loader").unwrap(),
        "md5_order.json",
    ))
    .unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut tiles = Vec::new();
    for name in &order {
        let tile = name.strip_prefix("point_").unwrap();
        std::fs::create_dir_all(scratch.path().join("point").join(tile)).unwrap();
        tiles.push(format!("[{}]", tile.replace('_', ",")));
    }
    std::fs::write(scratch.path().join("split.json"), format!("[{}]", tiles.join(","))).unwrap();
    let config = json!({"TestMaxTiles": 24, "Tasks": [{"Name": "point", "TestSplit": "split.json"}]});
    let config = DatasetConfig::parse(&config).unwrap();
    let found = Dataset::find(scratch.path(), &config, &Split::Test, None).unwrap();
    let found: Vec<String> = found.examples.iter().map(|e| format!("point_{}", e.name)).collect();
    assert_eq!(found, order[..24]);
}

/// A sample with each of the six targets in turn, through `change`.
fn check_transform(fixture: &Fixture, tolerance: u8, change: impl Fn(Sample) -> Sample) {
    for task in 0..6 {
        let label = |side: &str| -> Label {
            let file = |what: &str| format!("{side}_task{task}_{what}");
            match task {
                0..=2 => Label::Map {
                    planes: planes(fixture, &file("im")),
                    known: planes(fixture, &file("valid_im")),
                },
                3 => Label::Objects { objects: objects(fixture, &format!("{side}_task3")), masks: None },
                4 => Label::Objects {
                    objects: objects(fixture, &format!("{side}_task4")),
                    masks: Some(planes(fixture, &file("masks"))),
                },
                _ => Label::Class(bytes(fixture, &file("label"))[0].into()),
            }
        };
        let sample = Sample { images: planes(fixture, "in_data"), label: Some(label("in")) };
        let got = change(sample);
        let wanted = planes(fixture, "out_data");
        assert_eq!(
            [got.images.count, got.images.height, got.images.width],
            [wanted.count, wanted.height, wanted.width]
        );
        let worst = got.images.data.iter().zip(&wanted.data).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap_or(0) <= tolerance, "{}: {worst:?}", fixture.name);
        let wanted = label("out");
        match (got.label.unwrap(), wanted) {
            (Label::Objects { objects: a, masks: ma }, Label::Objects { objects: b, masks: mb }) => {
                assert_eq!(a, b, "{}: task {task}", fixture.name);
                let data = |masks: Option<Planes>| masks.map(|m| (m.count, m.data));
                assert_eq!(data(ma), data(mb), "{}: masks", fixture.name);
            }
            (got, wanted) => assert!(got == wanted, "{}: task {task}", fixture.name),
        }
    }
}

#[test]
fn transforms_are_the_references() {
    let Some(fixtures) = fixtures("transforms", 13) else { return };
    let mut seen = 0;
    for fixture in &fixtures {
        let meta = read_json(fixture, "meta.json");
        let count = |key: &str| meta[key].as_u64().map(|n| n as usize);
        let flag = |key: &str| meta[key].as_bool().unwrap_or(false);
        if let Some(side) = count("crop_to") {
            let part = Crop {
                side,
                left: count("left").unwrap_or(0),
                top: count("top").unwrap_or(0),
                horizontal: flag("hflip"),
                vertical: flag("vflip"),
            };
            check_transform(fixture, 0, |sample| crop(sample, part).unwrap());
        } else if let Some(side) = count("pad_to") {
            let mode = match meta["mode"].as_str().unwrap() {
                "center" => PadMode::CentreBoxesLeft,
                _ => PadMode::TopLeft,
            };
            check_transform(fixture, 0, |sample| pad(sample, side, mode).unwrap());
        } else if let Some(side) = count("resize_to") {
            check_transform(fixture, 1, |sample| resize(sample, side).unwrap());
        } else {
            assert!(["colour", "resize_float_batch"].contains(&fixture.name.as_str()), "{}", fixture.name);
            seen += 1;
            continue;
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
}

#[test]
fn colours_change_and_floats_are_resized() {
    let Some(fixtures) = fixtures("transforms", 13) else { return };
    let colour = fixtures.iter().find(|f| f.name == "colour").unwrap();
    let changed = |change: &dyn Fn(&mut Planes)| {
        let mut planes = planes(colour, "in");
        change(&mut planes);
        planes
    };
    // Named by the two numbers drawn from 0 to 1, with a factor of 1 ± 0.1 and a bias of ± 16.
    for (name, factor, bias) in
        [("0.00_0.00", 0.9, -16.0), ("0.90_0.25", 1.08, -8.0), ("0.50_0.50", 1.0, 0.0)]
    {
        let wanted = planes(colour, &format!("brightness_{name}"));
        assert_eq!(changed(&|p| brighten(p, factor, bias)), wanted, "{name}");
    }
    let draws = colour.array("noise_draw.npy").unwrap().data;
    assert_eq!(changed(&|p| roughen(p, 20.0, &draws)), planes(colour, "noise20"));
    let exchanged = [([0, 3], [3, 6]), ([3, 6], [0, 3])];
    assert_eq!(changed(&|p| mix_channels(p, &exchanged)), planes(colour, "mix_reverse"));
    let floats = fixtures.iter().find(|f| f.name == "resize_float_batch").unwrap();
    let source = floats.array("in.npy").unwrap();
    let side = source.shape[2];
    for to in [48, 56, 96] {
        let wanted = floats.array(&format!("out_{to}.npy")).unwrap();
        for (got, wanted) in source.data.chunks(side * side).zip(wanted.data.chunks(to * to)) {
            let worst =
                triangle(got, side, to).iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{to}: {worst}");
        }
    }
}
