//! Scenes through `swath upscale`: turns of tiles, memory and its ceilings, tiles that rounding spoils.

use std::path::{Path, PathBuf};
use std::process::Output;

use swath::raster::cog::{CogOptions, CogSpec, CogWriter};
use swath::raster::{self, Block, BlockSink, OpenOptions, SampleType, Samples};
use swath::tensor::TensorStore;

use crate::{demo, swath, text, weights};

/// A true-colour image in a folder of its own.
struct Scene {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Scene {
    fn new(side: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tci_2024-06-01.tif");
        let bands = ["red", "green", "blue"].map(String::from).to_vec();
        let writer =
            CogWriter::create(&path, CogSpec::new(side, side, bands, SampleType::U8), CogOptions::default())
                .unwrap();
        let rect = writer.block_rect(0, 0);
        let samples = Samples::U8((0..3 * rect.area()).map(|k| (40 + k * 7 % 190) as u8).collect());
        writer.put(0, 0, &Block { rect, samples, mask: None }).unwrap();
        Box::new(writer).finish(&|_, _| Ok(())).unwrap();
        Self { folder, path }
    }

    /// Runs `swath upscale` on it; also what the driver says at the end.
    fn upscale(&self, settings: &str, model: &Path, output: &str, more: &[&str]) -> (Output, String) {
        let report = self.folder.path().join("report");
        let settings = format!("report={} {settings}", report.display());
        let output = self.folder.path().join(output);
        let [scene, model, output] = [&self.path, model, &output].map(|path| path.to_str().unwrap());
        let device = if more.contains(&"--device") { &[][..] } else { &["--device", "cuda"] };
        let args = ["upscale", scene, "-m", model, "-o", output, "--overwrite"];
        let said = swath(&settings, &[&args[..], device, more].concat());
        (said, std::fs::read_to_string(&report).unwrap_or_default())
    }

    fn pixels(&self, output: &str) -> Vec<u8> {
        let source = raster::open_path(&self.folder.path().join(output), &OpenOptions::default()).unwrap();
        match source.decode(0, 0, 0).unwrap().samples {
            Samples::U8(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_context_serves_a_job_whose_tiles_overlap_and_runs_take_turns() {
    let scene = Scene::new(24);
    let tiles = ["--tile", "8", "--overlap", "4"];
    let (said, report) = scene.upscale("", &weights(), "out.tif", &tiles);
    assert!(said.status.success(), "{said:?}");
    assert!(
        report.contains("most_contexts=1 ") && report.contains("contexts=0 bytes=0 pinned=0"),
        "{report}"
    );
    // 25 tiles, 16 at a time.
    assert!(report.contains("most_graphs=2"), "{report}");
    let (said, _) = scene.upscale("", &weights(), "cpu.tif", &[&tiles[..], &["--device", "cpu"]].concat());
    assert!(said.status.success(), "{said:?}");
    let pairs: Vec<_> = scene.pixels("out.tif").into_iter().zip(scene.pixels("cpu.tif")).collect();
    assert!(pairs.len() >= 3 * 96 * 96 && pairs.iter().all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn gpu_memory_is_a_ceiling_and_too_little_of_it_makes_batches_smaller() {
    let scene = Scene::new(16);
    let tiles = ["--tile", "8", "--overlap", "4"];
    let (planned, _) = scene.upscale("", &weights(), "a.tif", &[&tiles[..], &["--dry-run"]].concat());
    let outline = text(&planned.stdout);
    let gpu = outline.split("GPU memory").nth(1).unwrap();
    let sum: f64 = gpu.split("sum").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let less = (sum * 0.8 * f64::from(1 << 20)) as u64;

    let whole = scene.upscale("", &weights(), "whole.tif", &tiles);
    assert!(whole.0.status.success() && whole.0.stderr.is_empty(), "{whole:?}");
    let ceiling = less.to_string();
    let asked =
        scene.upscale("", &weights(), "asked.tif", &[&tiles[..], &["--gpu-memory", &ceiling]].concat());
    let short = scene.upscale(&format!("memory={less} hidden=1G"), &weights(), "short.tif", &tiles);
    for ((said, report), why, output) in
        [(asked, "over --gpu-memory", "asked.tif"), (short, "of GPU memory cannot be had", "short.tif")]
    {
        let message = text(&said.stderr);
        assert!(said.status.success() && message.contains(why) && message.contains("1 at once"), "{said:?}");
        let most = report.split("most_bytes=").nth(1).and_then(|r| r.split(' ').next()?.parse::<u64>().ok());
        assert!(most.unwrap() <= less, "{most:?} of {less}");
        assert_eq!(scene.pixels(output), scene.pixels("whole.tif"));
    }
    let (none, _) =
        scene.upscale("", &weights(), "none.tif", &[&tiles[..], &["--gpu-memory", "10K"]].concat());
    assert_eq!(none.status.code(), Some(4), "{none:?}");
    assert!(text(&none.stderr).contains("--gpu-memory"), "{none:?}");
}

#[test]
fn memory_that_is_shared_counts_as_one() {
    let scene = Scene::new(8);
    let planned = |settings| {
        text(
            &scene
                .upscale(settings, &weights(), "a.tif", &["--tile", "8", "--overlap", "0", "--dry-run"])
                .0
                .stdout,
        )
    };
    let (apart, shared) = (planned(""), planned("integrated"));
    let host = |outline: &str| outline.split("GPU memory").next().unwrap().to_string();
    assert!(apart.contains("input    u8 samples, made numbers by the device"), "{apart}");
    assert!(!host(&apart).contains("network activations") && host(&apart).contains("pinned"), "{apart}");
    assert!(host(&shared).contains("network activations") && host(&shared).contains("pinned"), "{shared}");
}

/// The demo's weights, with those of one convolution times a factor.
fn scaled(folder: &Path, convolution: &str, factor: f32) -> PathBuf {
    let model = demo();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for info in model.weights().tensors() {
        let name = info.name.as_str();
        let mut values = vec![0.0; info.shape.iter().product()];
        model.weights().read(name, &mut values).unwrap();
        if name == format!("{convolution}.weight") {
            values.iter_mut().for_each(|v| *v *= factor);
        }
        let start = data.len();
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let place =
            serde_json::json!({"dtype": "F32", "shape": info.shape, "data_offsets": [start, data.len()]});
        header.insert(name.to_string(), place);
    }
    let header = serde_json::Value::Object(header).to_string();
    let path = folder.join(format!("{factor}.safetensors"));
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn tiles_that_overflow_are_computed_again_in_f32() {
    let scene = Scene::new(8);
    let run = |factor, precision: &str| {
        let model = scaled(scene.folder.path(), "conv_first", factor);
        scene
            .upscale(
                "",
                &model,
                &format!("{precision}.tif"),
                &["--tile", "8", "--overlap", "0", "--precision", precision],
            )
            .0
    };
    for precision in ["f16", "f32"] {
        let said = run(1e7, precision);
        assert!(said.status.success(), "{said:?}");
        assert_eq!(
            text(&said.stdout).contains("1 runs of the network were repeated in f32"),
            precision == "f16"
        );
    }
    assert_eq!(scene.pixels("f16.tif"), scene.pixels("f32.tif"));
    let broken = run(f32::NAN, "f16");
    assert_eq!(broken.status.code(), Some(6), "{broken:?}");
    assert!(text(&broken.stderr).contains("no number, in f32 either"), "{broken:?}");
}

#[test]
fn a_tile_that_is_one_value_all_over_in_f32_too_is_told_when_all_is_done() {
    let scene = Scene::new(8);
    let model = scaled(scene.folder.path(), "conv_last", 0.0);
    let run = |more: &[&str]| {
        let tiles = ["--tile", "8", "--overlap", "0", "--precision", "bf16"];
        scene.upscale("", &model, "out.tif", &[&tiles[..], more].concat()).0
    };
    let told = run(&[]);
    assert_eq!(told.status.code(), Some(9), "{told:?}");
    let (out, err) = (text(&told.stdout), text(&told.stderr));
    assert!(out.contains("1 runs of the network were repeated in f32"), "{out}");
    assert!(err.contains("x 0..8, y 0..8") && err.contains("--allow-constant"), "{err}");
    let pixels = scene.pixels("out.tif");
    assert!(pixels.len() >= 3 * 32 * 32 && pixels[..3].iter().all(|v| *v > 0));
    assert!(run(&["--allow-constant"]).status.success());
    assert_eq!(scene.pixels("out.tif"), pixels);
}
