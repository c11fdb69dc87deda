//! `swath upscale` as a whole, with a network whose every output can be foretold: each pixel, repeated 4×4.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "scene/npy.rs"]
mod npy;
mod raster_common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use raster_common::{shared, whole};
use swath::raster::{open_path, GeoTransform, Georef, OpenOptions, RasterInfo};

/// Weights of an RRDBNet of three channels that passes them on: identities outside of its blocks, zeros inside.
fn repeater(folder: &Path) -> PathBuf {
    let mut convolutions: Vec<(String, usize, usize, bool)> = Vec::new();
    for dense in 1..=3 {
        for k in 1..=5 {
            let out = if k == 5 { 3 } else { 1 };
            convolutions.push((format!("body.0.rdb{dense}.conv{k}"), out, 3 + k - 1, false));
        }
    }
    convolutions.push(("conv_body".into(), 3, 3, false));
    for name in ["conv_first", "conv_up1", "conv_up2", "conv_hr", "conv_last"] {
        convolutions.push((name.into(), 3, 3, true));
    }
    let (mut header, mut data) = (serde_json::Map::new(), Vec::<u8>::new());
    let mut put = |name: String, shape: &[usize], values: Vec<f32>| {
        let start = data.len();
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let item = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name, item);
    };
    for (name, out, from, identity) in convolutions {
        let centre = |i: usize| identity && i % 9 == 4 && i / 9 / from == i / 9 % from;
        let weights = (0..out * from * 9).map(|i| if centre(i) { 1.0 } else { 0.0 }).collect();
        put(format!("{name}.weight"), &[out, from, 3, 3], weights);
        put(format!("{name}.bias"), &[out], vec![0.0; out]);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let path = folder.join("repeater.safetensors");
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()).unwrap();
    path
}

fn upscale(weights: &Path, scenes: &[PathBuf], output: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.arg("upscale").args(scenes).arg("-m").arg(weights).arg("-o").arg(output).args(more);
    let ended = command.args(["--progress", "none", "--tile", "96", "--blend", "crop"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    ended
}

/// Every fourth pixel of a result of three 8-bit bands, interleaved, having seen that the others are its copies.
fn unrepeated(path: &Path) -> (RasterInfo, Vec<u8>) {
    let source = open_path(path, &OpenOptions::default()).unwrap();
    let info = source.info().clone();
    let pixels = whole(&*source, 0).0;
    let at = |x: usize, y: usize| &pixels[(y * info.width + x) * 3..][..3];
    let mut out = Vec::new();
    for (y, x) in (0..info.height).flat_map(|y| (0..info.width).map(move |x| (y, x))) {
        assert_eq!(at(x, y), at(x / 4 * 4, y / 4 * 4), "{x},{y}");
        if x % 4 == 0 && y % 4 == 0 {
            out.extend(at(x, y));
        }
    }
    (info, out)
}

fn affine(value: &serde_json::Value) -> GeoTransform {
    let t: Vec<f64> = value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    GeoTransform([t[2], t[0], t[1], t[5], t[3], t[4]])
}

/// The recorded runs used GDAL's approximate transformer (`-et 0.125`), whose positions may be off by an eighth of
/// a pixel: most samples agree, nearly all others by one, and the rim may move by one pixel.
#[test]
fn web_mercator_is_what_the_reference_warped_to() {
    let Some(folder) = shared("golden/ssr/reproject") else { return };
    let meta: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("meta.json")).unwrap()).unwrap();
    let work = tempfile::tempdir().unwrap();
    let weights = repeater(work.path());
    let runs: [(&str, &str, &[&str]); 2] = [
        ("z17grid", "z17_transform", &["--reproject", "3857"]),
        ("default", "dst_transform", &["--reproject", "3857", "--reproject-pixel", "9.555"]),
    ];
    for name in ["utm31n_48N", "utm36s_1S"] {
        for (what, transform, arguments) in runs {
            for kind in ["tif", "jp2"] {
                let scene = folder.join(format!("{name}_TCI.{kind}"));
                let output = work.path().join(format!("{name}_{what}_{kind}.tif"));
                upscale(&weights, &[scene], &output, arguments);
                let (info, got) = unrepeated(&output);
                let (width, height) = (info.width / 4, info.height / 4);

                let Some(Georef { epsg: 3857, transform: place }) = info.georef else {
                    panic!("{:?}", info.georef)
                };
                let wanted = affine(&meta[name][transform]).refine(4.0);
                assert!(
                    place.0.iter().zip(wanted.0).all(|(a, b)| (a - b).abs() < 1e-6),
                    "{place:?} {wanted:?}"
                );

                let golden = npy::read(&folder.join(format!("{name}_dst_{what}.npy")));
                let (rows, columns) = (golden.shape[1], golden.shape[2]);
                assert!(rows.abs_diff(height) <= 1 && columns.abs_diff(width) <= 1, "{width}x{height}");
                let (mut seen, mut differ, mut more) = (0, 0, 0);
                for (y, x) in
                    (1..rows.min(height) - 1).flat_map(|y| (1..columns.min(width) - 1).map(move |x| (y, x)))
                {
                    let ours = |x: usize, y: usize| &got[(y * width + x) * 3..][..3];
                    let around = (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y)));
                    if around.clone().any(|(x, y)| ours(x, y) == [0; 3]) {
                        continue;
                    }
                    for band in 0..3 {
                        let d = (f64::from(ours(x, y)[band])
                            - golden.values[(band * rows + y) * columns + x])
                            .abs();
                        seen += 1;
                        differ += usize::from(d > 0.0);
                        more += usize::from(d > 1.0);
                    }
                }
                println!("{name} {what} {kind}: of {seen} samples {differ} differ, {more} by more than one");
                let samples = rows * columns * 3;
                assert!(seen * 2 > samples && differ * 100 < samples * 13 && more * 1000 < samples);
            }
        }
    }
}

#[test]
fn bands_without_a_place_are_sharpened_and_marked() {
    let files = ["B04", "B03", "B02"].map(|b| shared(&format!("data/s2_l1c_19UDP_jp2/{b}.jp2")));
    let [Some(red), Some(green), Some(blue)] = files else { return };
    let work = tempfile::tempdir().unwrap();
    let weights = repeater(work.path());
    let output = work.path().join("sharp.tif");
    let scenes = [red, green, blue];
    let ended = upscale(&weights, &scenes, &output, &["--bands", "b04,b03,b02"]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains("no coordinates") && said.contains("--crs"), "{said}");

    let (info, got) = unrepeated(&output);
    assert_eq!((info.width, info.height, info.georef), (4 * 687, 4 * 687, None));
    let bytes = std::fs::read(&output).unwrap();
    let mark = b"none: the input has no coordinates";
    assert!(bytes.windows(mark.len()).any(|w| w == mark), "the file does not say so");
    let bands = scenes.map(|path| {
        let pixels = whole(&*open_path(&path, &OpenOptions::default()).unwrap(), 0).0;
        pixels.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>()
    });
    for (i, pixel) in got.chunks_exact(3).enumerate() {
        let stored = [bands[0][i], bands[1][i], bands[2][i]];
        // 0 is "no data" in any band; networks take 8160ths, at most 1.
        let sharpened = stored.map(|v| (f32::from(v) * (1.0 / 8160.0)).min(1.0) * 255.0);
        let wanted = sharpened.map(|v| v.round_ties_even().clamp(1.0, 255.0) as u8);
        assert_eq!(pixel, if stored.contains(&0) { [0; 3] } else { wanted }, "pixel {i}: {stored:?}");
    }
}

/// What `--seam-report` says of the demo's weights on a scene.
fn seam_ratio(scenes: &Path, output: &Path, more: &[&str]) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.arg("upscale").arg(scenes).args([
        "-m",
        "demo",
        "--seam-report",
        "--overwrite",
        "--progress",
        "none",
    ]);
    let ended = command.arg("-o").arg(output).args(more).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let ratio = said.split("ratio ").nth(1).and_then(|rest| rest.split_whitespace().next());
    println!("{more:?}: {said}");
    ratio.and_then(|r| r.parse().ok()).unwrap_or_else(|| panic!("no ratio: {said}"))
}

#[test]
fn the_demos_tiles_do_not_show_and_chips_without_overlap_do() {
    let work = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_swath"));
    demo.args(["demo", "--scenes-only", "--size", "258", "--dates", "10", "--progress", "none", "-o"])
        .arg(work.path());
    assert!(demo.output().unwrap().status.success());
    let (scenes, output) = (work.path().join("scenes"), work.path().join("out.tif"));
    let usual = seam_ratio(&scenes, &output, &[]);
    assert!((0.95..=1.05).contains(&usual), "{usual}");
    let chips = seam_ratio(&scenes, &output, &["--tile", "32", "--overlap", "0", "--blend", "crop"]);
    assert!(chips > 1.2, "{chips}");
}
