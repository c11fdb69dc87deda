//! `swath detect`, `segment` and `regress` as wholes: what they write is what the network gives for the same windows of
//! the same numbers, put together by plain arithmetic here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod network;
mod scene;
#[path = "../satlas/weights.rs"]
#[allow(dead_code)]
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use swath::detect::Bounds;
use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::raster::{open_path, OpenOptions, Samples};
use swath::tensor::Shape;
use swath::tile::{Blend, Tile, TileGrid, TileSpec};
use swath::util::npy::Array;

const TILE: usize = 160;
const OVERLAP: usize = 48;

fn swath(command: &str, scenes: &[PathBuf], weights: &Path, output: &Path, more: &[&str]) -> Output {
    let mut swath = Command::new(env!("CARGO_BIN_EXE_swath"));
    swath.arg(command).args(scenes).arg("-m").arg(weights).arg("-o").arg(output);
    swath.args(["--tile", &TILE.to_string(), "--overlap", &OVERLAP.to_string(), "--progress", "none"]);
    swath.args(more).output().unwrap()
}

fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn grid() -> TileGrid {
    let spec = TileSpec { tile: TILE, overlap: OVERLAP, align: 4, blend: Blend::Crop, scale: 1, strip: 2048 };
    TileGrid::new(scene::WIDTH, scene::HEIGHT, spec).unwrap()
}

/// Mirrored without repeating the edge.
fn reflect(p: i64, n: usize) -> usize {
    let last = n as i64 - 1;
    (if p > last { 2 * last - p } else { p.abs() }) as usize
}

/// What a network is given of a date, channel, column and row.
type Pixel<'a> = &'a dyn Fn(usize, usize, usize, usize) -> f32;

/// What the network gives for a window, by the path of `swath forward`.
fn window(model: &LoadedModel, engine: &Engine, tile: &Tile, pixel: Pixel) -> Vec<(String, Array)> {
    let (w, h) = (tile.input.width(), tile.input.height());
    let mut data = Vec::with_capacity(scene::DATES * 9 * w * h);
    for (date, channel) in (0..scene::DATES).flat_map(|date| (0..9).map(move |channel| (date, channel))) {
        for y in tile.input.y0..tile.input.y1 {
            for x in tile.input.x0..tile.input.x1 {
                let (x, y) = (reflect(x, scene::WIDTH), reflect(y, scene::HEIGHT));
                data.push(pixel(date, channel, x, y));
            }
        }
    }
    let shape = Shape::new(&[1, scene::DATES * 9, h, w]).unwrap();
    forward(engine, model, &Array { shape, data }, &[], None).unwrap()
}

fn array<'a>(arrays: &'a [(String, Array)], name: &str) -> &'a Array {
    &arrays.iter().find(|(n, _)| n == name).unwrap().1
}

/// A network's weights, and its results in every window.
struct Windows {
    weights: PathBuf,
    tiles: Vec<(Tile, Vec<(String, Array)>)>,
}

fn windows(folder: &Path, name: &str, dense: Option<usize>, set: &[(&str, &str)], pixel: Pixel) -> Windows {
    let weights = network::write(folder, name, dense);
    let set: Vec<(String, String)> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let options = ModelOptions { set: &set, ..ModelOptions::default() };
    let model = LoadedModel::open(&weights, options).unwrap();
    let engine = Engine::new(DevicePick::Cpu, 2).unwrap();
    let tiles = grid().order().map(|(_, tile)| (tile, window(&model, &engine, &tile, pixel))).collect();
    Windows { weights, tiles }
}

/// All samples of a file, `[y][x][band]`.
fn samples(path: &Path) -> Vec<f32> {
    let source = open_path(path, &OpenOptions { indices: true, ..OpenOptions::default() }).unwrap();
    assert_eq!((source.info().width, source.info().height), (scene::WIDTH, scene::HEIGHT));
    let block = source.decode(0, 0, 0).unwrap();
    assert_eq!(block.rect.area(), scene::WIDTH * scene::HEIGHT, "one block is enough here");
    match block.samples {
        Samples::U8(v) => v.into_iter().map(f32::from).collect(),
        Samples::U16(v) => v.into_iter().map(f32::from).collect(),
        Samples::F32(v) => v,
    }
}

/// Compares each pixel with that of the window that answers for it: `wanted` has the window's numbers of the pixel.
fn check_pixels(
    windows: &Windows,
    got: &[f32],
    bands: usize,
    has_data: fn(usize, usize) -> bool,
    wanted: impl Fn(&[f32]) -> Vec<f32>,
) {
    let mut seen = 0;
    for (tile, arrays) in &windows.tiles {
        let y = array(arrays, "head0");
        let area = tile.input.area();
        for (row, column) in (tile.active.y0..tile.active.y1)
            .flat_map(|y| (tile.active.x0..tile.active.x1).map(move |x| (y, x)))
        {
            let at = (row - tile.input.y0) as usize * tile.input.width() + (column - tile.input.x0) as usize;
            let numbers: Vec<f32> = y.data.iter().skip(at).step_by(area).copied().collect();
            let pixel = &got[(row as usize * scene::WIDTH + column as usize) * bands..][..bands];
            if has_data(column as usize, row as usize) {
                assert_eq!(pixel, wanted(&numbers), "{column},{row}");
            } else {
                assert!(pixel.iter().all(|v| *v == 0.0 || v.is_nan()), "{column},{row}: {pixel:?}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, scene::WIDTH * scene::HEIGHT);
}

struct Point {
    /// In pixels of the image.
    at: (f64, f64),
    score: f64,
    category: String,
}

/// Features of a file in the image's own coordinates.
fn points(path: &Path) -> Vec<Point> {
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let to_utm = swath::raster::crs::PointTransform::new(4326, 32629).unwrap();
    let feature = |f: &Value| {
        let number = |v: &Value| v.as_f64().unwrap();
        let place = &f["geometry"]["coordinates"];
        let mut at = [(number(&place[0]), number(&place[1]))];
        to_utm.apply(&mut at);
        let [x, y, pixel] = scene::PLACE;
        let properties = &f["properties"];
        assert_eq!(
            (properties["start"].as_str(), properties["dates"].as_i64()),
            (Some("2020-03-10T11:19:49"), Some(4))
        );
        Point {
            at: ((at[0].0 - x) / pixel, (y - at[0].1) / pixel),
            score: number(&properties["score"]),
            category: properties["category"].as_str().unwrap().to_string(),
        }
    };
    json["features"].as_array().unwrap().iter().map(feature).collect()
}

#[test]
fn objects_are_those_of_the_windows_that_answer_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scene::write(&folder.path().join("scenes"));
    let windows = windows(folder.path(), "finder", None, &[("n_s2_images", "4")], &scene::input);
    let (output, cover) = (folder.path().join("found.geojson"), folder.path().join("seen.tif"));
    let more = ["--set", "n_s2_images=4", "--min-score", "0.05", "--coverage", cover.to_str().unwrap()];
    let said = done(swath("detect", &scenes, &windows.weights, &output, &more));
    let found = points(&output);
    assert!(found.len() > 100 && said.starts_with(&format!("{} objects", found.len())), "{said}");

    // Each object is one that a window shows.
    let mut in_windows: Vec<(Bounds, f64, String, bool)> = Vec::new();
    for (tile, arrays) in &windows.tiles {
        let boxes = array(arrays, "head0_img0_boxes");
        let (scores, labels) = (array(arrays, "head0_img0_scores"), array(arrays, "head0_img0_labels"));
        let image = Bounds { x0: 0.0, y0: 0.0, x1: scene::WIDTH as f64, y1: scene::HEIGHT as f64 };
        for ((b, score), label) in boxes.data.chunks_exact(4).zip(&scores.data).zip(&labels.data) {
            let b = Bounds { x0: b[0].into(), y0: b[1].into(), x1: b[2].into(), y1: b[3].into() };
            let b = b.shift(tile.input.x0 as f64, tile.input.y0 as f64);
            let b = b.intersect(&image).intersect(&Bounds::of(&tile.input));
            let own = Bounds::of(&tile.active).holds(b.centre()) && b.area() > 0.0;
            in_windows.push((b, f64::from(*score), label.to_string(), own));
        }
    }
    for point in &found {
        let same = |(b, score, label, _): &&(Bounds, f64, String, bool)| {
            let (x, y) = b.centre();
            (x - point.at.0).hypot(y - point.at.1) < 0.02
                && (score - point.score).abs() < 1e-9
                && *label == point.category
        };
        assert!(in_windows.iter().any(|w| same(&w)), "{:?} {} in no window", point.at, point.score);
        assert!(scene::has_data(point.at.0 as usize, point.at.1 as usize));
    }
    // Each that a window answers for is there, or another in its place.
    let lost = |(b, score, _, own): &&(Bounds, f64, String, bool)| {
        let (x, y) = b.centre();
        let kept = |p: &Point| (p.at.0 - x).hypot(p.at.1 - y) < 0.02 && (p.score - score).abs() < 1e-9;
        let near = |p: &Point| b.holds(p.at);
        *own && scene::has_data(x as usize, y as usize) && !found.iter().any(|p| kept(p) || near(p))
    };
    assert_eq!(in_windows.iter().filter(lost).count(), 0);

    for (at, covered) in samples(&cover).into_iter().enumerate() {
        let data = scene::has_data(at % scene::WIDTH, at / scene::WIDTH);
        assert_eq!(covered, f32::from(u8::from(data)), "{at}");
    }
    let file = String::from_utf8_lossy(&std::fs::read(&cover).unwrap()).into_owned();
    for (name, day) in [("SWATH_START", "2020-03-10"), ("SWATH_END", "2020-03-13")] {
        assert!(file.contains(&format!("<Item name=\"{name}\">{day}")), "{name}");
    }
    let again = swath("detect", &scenes, &windows.weights, &output, &more);
    assert_eq!(again.status.code(), Some(2), "a result is not replaced unless asked for");
}

#[test]
fn classes_and_probabilities_are_the_windows() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scene::write(&folder.path().join("scenes"));
    let windows = windows(folder.path(), "classes", Some(3), &[("n_s2_images", "4")], &scene::input);
    let (output, shares) = (folder.path().join("classes.tif"), folder.path().join("shares.tif"));
    let shares_path = shares.to_str().unwrap();
    // Each class counts in about half of the pixels.
    let above = [0, 1, 2].map(|class| {
        let of = |arrays: &[(String, Array)]| {
            let y = array(arrays, "head0");
            y.data.chunks_exact(y.data.len() / 3).nth(class).unwrap().to_vec()
        };
        let mut all: Vec<f32> = windows.tiles.iter().flat_map(|(_, arrays)| of(arrays)).collect();
        all.sort_by(f32::total_cmp);
        all[all.len() / 2]
    });
    let threshold = above.map(|t| t.to_string()).join(",");
    let more = ["--set", "n_s2_images=4", "--blend", "crop", "--probabilities", shares_path, "--type", "f32"];
    let more = [&more[..], &["--threshold", threshold.as_str()]].concat();
    let preview = folder.path().join("classes.png");
    let polygons = folder.path().join("classes.geojson");
    let drawn = ["--preview", preview.to_str().unwrap(), "--polygons", polygons.to_str().unwrap()];
    let more = [&more[..], &drawn, &["--min-pixels", "1", "--simplify", "0"]].concat();
    done(swath("segment", &scenes, &windows.weights, &output, &more));
    check_pixels(&windows, &samples(&shares), 3, scene::has_data, <[f32]>::to_vec);
    let largest = |numbers: &[f32]| {
        let counts = |i: &usize| numbers[*i] > above[*i];
        let best = (0..3).filter(counts).reduce(|best, i| if numbers[i] > numbers[best] { i } else { best });
        vec![best.unwrap_or(0) as f32 + 1.0]
    };
    let classes = samples(&output);
    check_pixels(&windows, &classes, 1, scene::has_data, largest);
    assert!([1.0, 2.0].iter().all(|c| classes.contains(c)) || [1.0, 3.0].iter().all(|c| classes.contains(c)));
    let json: Value = serde_json::from_slice(&std::fs::read(&polygons).unwrap()).unwrap();
    let mut areas = [0.0; 3];
    for feature in json["features"].as_array().unwrap() {
        let properties = &feature["properties"];
        let number = |name: &str| properties[name].as_f64().unwrap();
        areas[number("class") as usize - 1] += number("pixels");
        let metres = number("area_m2") / number("pixels");
        assert!((metres - 100.0).abs() < 0.5, "{metres} square metres a pixel");
    }
    for (class, area) in areas.into_iter().enumerate() {
        assert_eq!(
            classes.iter().filter(|c| **c == class as f32 + 1.0).count() as f64,
            area,
            "class {class}"
        );
    }
    let picture = open_path(&preview, &OpenOptions::default()).unwrap().decode(0, 0, 0).unwrap();
    let Samples::U8(colours) = picture.samples else { panic!("a picture of bytes") };
    for (colour, class) in colours.chunks_exact(3).zip(&classes) {
        let drawn = [[0, 160, 255], [255, 80, 60]].iter().position(|c| c == colour).map(|k| k as f32 + 2.0);
        assert!(
            drawn.is_none_or(|drawn| drawn == *class) && (drawn.is_some() || *class < 2.0),
            "{colour:?} {class}"
        );
    }
}

#[test]
fn numbers_are_the_windows_and_their_steps_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scene::write(&folder.path().join("scenes"));
    let windows = windows(
        folder.path(),
        "numbers",
        Some(1),
        &[("n_s2_images", "4"), ("tasks", "regress")],
        &scene::input,
    );
    let output = folder.path().join("numbers.tif");
    let more = ["--set", "n_s2_images=4", "--blend", "crop"];
    done(swath("regress", &scenes, &windows.weights, &output, &more));
    check_pixels(&windows, &samples(&output), 1, scene::has_data, <[f32]>::to_vec);
    let bytes = folder.path().join("bytes.tif");
    done(swath("regress", &scenes, &windows.weights, &bytes, &[&more[..], &["--type", "u8"]].concat()));
    let rounded = |v: &[f32]| vec![v[0].round_ties_even().clamp(1.0, 255.0)];
    check_pixels(&windows, &samples(&bytes), 1, scene::has_data, rounded);
}

/// Scenes without an image of true colour, whose bands stand in for it where that is asked for.
#[test]
fn true_colour_is_made_of_bands() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scene::write(&folder.path().join("scenes"));
    scene::take_colour_apart(&scenes);
    let set = [("n_s2_images", "4"), ("tasks", "regress")];
    let windows = windows(folder.path(), "numbers", Some(1), &set, &scene::input_of_bands);
    let output = folder.path().join("numbers.tif");
    let more = ["--set", "n_s2_images=4", "--blend", "crop"];
    let refused = swath("regress", &scenes, &windows.weights, &output, &more);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(2) && said.contains("no band TCI") && said.contains("rgb"),
        "{said}"
    );
    let bands = ["--bands", "b05,rgb,b06,b07,b08,b11,b12"];
    done(swath("regress", &scenes, &windows.weights, &output, &[&more[..], &bands].concat()));
    check_pixels(&windows, &samples(&output), 1, scene::has_data, <[f32]>::to_vec);
}

/// The reference's way of keeping images: bytes of all bands and dates in one array, without a place.
#[test]
fn a_stack_of_numpys_is_a_scene() {
    let folder = tempfile::tempdir().unwrap();
    let value = |date: usize, channel: usize, x: usize, y: usize| {
        ((x * 3 + y * 5 + date * 41 + channel * 17) % 251) as u8
    };
    let (dates, width, height) = (scene::DATES, scene::WIDTH, scene::HEIGHT);
    let rows = (0..dates * 9 * height).map(|i| (i / height / 9, i / height % 9, i % height));
    let data: Vec<u8> = rows.flat_map(|(d, c, y)| (0..width).map(move |x| value(d, c, x, y))).collect();
    let header =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({dates}, 9, {height}, {width}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let stack = folder.path().join("stack.npy");
    std::fs::write(&stack, [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), &data].concat()).unwrap();

    let pixel = |d: usize, c: usize, x: usize, y: usize| f32::from(value(d, c, x, y)) * (1.0 / 255.0);
    let windows =
        windows(folder.path(), "numbers", Some(1), &[("n_s2_images", "4"), ("tasks", "regress")], &pixel);
    let output = folder.path().join("numbers.tif");
    let more = ["--set", "n_s2_images=4", "--blend", "crop"];
    done(swath("regress", &[stack], &windows.weights, &output, &more));
    check_pixels(&windows, &samples(&output), 1, |_, _| true, <[f32]>::to_vec);
}

/// Fewer dates, a resumed run, and what does not fit.
#[test]
fn dates_bands_and_heads_that_do_not_fit_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scene::write(&folder.path().join("scenes"));
    let weights = network::write(folder.path(), "classes", Some(3));
    let output = folder.path().join("out.tif");
    let fails = |command: &str, scenes: &[PathBuf], output: &Path, more: &[&str]| {
        let ended = swath(command, scenes, &weights, output, more);
        assert_eq!(ended.status.code(), Some(2), "{:?}", ended);
        assert!(!output.exists());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    let said = fails("segment", &scenes, &output, &["--set", "groups=0,1,2,3", "--dates", "9"]);
    assert!(said.contains("--dates 9: this network runs on 1 to 4 dates"), "{said}");
    let said = fails("segment", &scenes, &output, &["--bands", "tci"]);
    assert!(said.contains("takes 9 channels") && said.contains("--bands"), "{said}");
    let said = fails("regress", &scenes, &output, &[]);
    assert!(said.contains("no head of kind regress") && said.contains("0 segment"), "{said}");
    let said = fails("detect", &scenes, &folder.path().join("out.geojson"), &[]);
    assert!(said.contains("no head of kind detect"), "{said}");
    let said = fails("segment", &scenes, &folder.path().join("out.jpg"), &[]);
    assert!(said.contains(".tif or .png"), "{said}");

    let more = ["--set", "n_s2_images=4"];
    let ended = swath("segment", &scenes[..1], &weights, &output, &more);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.contains("made for 4 dates of a place; it is given 1"), "{said}");
    let resumed =
        done(swath("segment", &scenes[..1], &weights, &output, &[&more[..], &["--resume"]].concat()));
    assert!(resumed.contains("0 tiles"), "{resumed}");
}
