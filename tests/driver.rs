//! The driver's side of the CUDA device over `fake-cuda`: contexts, memory, streams, events, graphs and errors as
//! the program uses them, without a GPU.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use fake_cuda::{Fake, VARIABLE};
use swath::cuda::driver::Driver;
use swath::cuda::Cuda;
use swath::engine::proof::cases;
use swath::engine::{DevicePick, Engine, LoadedModel, ModelOptions, Precision, Session, Setup};
use swath::kernel::samples::ChannelScale;
use swath::models::{InputSize, SampleInput};
use swath::plan::{compile, Device};
use swath::raster::cog::{CogOptions, CogSpec, CogWriter};
use swath::raster::{self, Block, BlockSink, OpenOptions, SampleType, Samples};
use swath::tensor::{DType, TensorStore};
use swath::{Kind, Result};

const CUDA: DevicePick = DevicePick::Cuda(0);
const SIZE: InputSize = InputSize { batch: 1, frames: 2, height: 7, width: 9 };

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/rrdb_scale4/weights.pth")
}

fn model() -> LoadedModel {
    LoadedModel::open(&weights(), ModelOptions::default()).unwrap()
}

fn size(model: &LoadedModel) -> InputSize {
    InputSize { frames: model.network().input().default_frames, ..SIZE }
}

fn session(pick: DevicePick) -> Result<Session> {
    let model = model();
    Engine::new(pick, 1)?.compile(&model, size(&model), &[], None)
}

/// Values between 0 and 1 that differ from seed to seed.
fn values(seed: usize, n: usize) -> Vec<f32> {
    (0..n).map(|k| ((k * 37 + seed * 101 + k * k % 13) % 256) as f32 / 255.0).collect()
}

fn run(session: &mut Session, seed: usize) -> Result<Vec<f32>> {
    let input = values(seed, session.input().len());
    session.run(&input).map(<[f32]>::to_vec)
}

/// Runs something with kernels launched one at a time.
fn in_steps<T>(act: impl FnOnce() -> T) -> T {
    std::env::set_var("SWATH_CUDA_STEPS", "1");
    let done = act();
    std::env::remove_var("SWATH_CUDA_STEPS");
    done
}

/// Nothing is alive, and nothing was done that should not be.
fn assert_clean(fake: &Fake) {
    assert!(fake.census().is_empty(), "{:?}", fake.census());
    assert_eq!(fake.complaints(), [""; 0]);
}

#[test]
fn a_graph_computes_what_single_launches_and_the_reference_compute() {
    let fake = Fake::start("").unwrap();
    let (mut graph, mut steps) = (session(CUDA).unwrap(), in_steps(|| session(CUDA).unwrap()));
    assert_eq!(fake.census().of("graphs"), 1);
    let mut exact = session(DevicePick::Reference).unwrap();
    for seed in 0..3 {
        let (ours, stepped) = (run(&mut graph, seed).unwrap(), run(&mut steps, seed).unwrap());
        assert_eq!(ours, stepped);
        let exact = run(&mut exact, seed).unwrap();
        let apart = ours.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{apart}");
    }
    assert_eq!(fake.faults(), [""; 0]);
    drop((graph, steps));
    assert_clean(&fake);
}

/// Products read what the kernels before them have laid out, by memory that a context has and in a captured graph.
#[test]
fn results_that_are_handed_on_laid_out_are_the_same() {
    let fake = Fake::start("capability=90").unwrap();
    let chains = cases().unwrap().into_iter().filter(|case| case.name.starts_with("chain"));
    for case in chains {
        let outputs = [false, true].map(|in_full| {
            let mut cuda = Cuda::open(0).unwrap().with_precision(Precision::Bf16);
            if in_full {
                cuda = cuda.in_full();
            }
            let plan = Arc::new(compile(&case.graph, cuda.kernels()).unwrap());
            let mut session = cuda.load(plan, &case.weights).unwrap();
            case.inputs.iter().enumerate().for_each(|(k, x)| session.fill(k, x));
            session.run().unwrap();
            session.wait().unwrap();
            session.numbers(0).iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        });
        assert!(outputs[0] == outputs[1], "{}", case.name);
    }
    assert_clean(&fake);
}

#[test]
fn work_that_is_done_at_once_or_late_is_the_same() {
    let outputs = ["", "early"].map(|line| {
        let fake = Fake::start(line).unwrap();
        let output = run(&mut session(CUDA).unwrap(), 5).unwrap();
        assert_clean(&fake);
        output
    });
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn streams_that_do_not_wait_for_each_other_are_found() {
    let fake = Fake::start("deaf").unwrap();
    let output = session(CUDA).and_then(|mut session| run(&mut session, 0)).unwrap();
    assert!(output.iter().all(|v| v.is_nan()), "outputs were copied before anything was computed");
    assert_eq!(fake.census().of("contexts"), 0);
}

#[test]
fn sessions_share_weights_and_streams_but_no_data() {
    let fake = Fake::start("").unwrap();
    let mut first = session(CUDA).unwrap();
    let alone = [run(&mut first, 1).unwrap(), run(&mut first, 2).unwrap()];
    let before = fake.census();
    let mut second = first.another().unwrap();
    let after = fake.census();
    assert_eq!([before.of("streams"), before.of("modules")], [after.of("streams"), after.of("modules")]);
    let added = after.of("bytes") - before.of("bytes");
    // At most the rounding of ports to 256 bytes, and a byte for each class that is empty.
    assert!(added <= first.memory().per_session() + 4 * 256, "{added} bytes, {:?}", first.memory());
    for (session, seed) in [(&mut first, 1), (&mut second, 2)] {
        let input = values(seed, session.input().len());
        session.input().copy_from_slice(&input);
    }
    first.compute().unwrap();
    second.compute().unwrap();
    assert_eq!([first.output(), second.output()], [&alone[0][..], &alone[1][..]]);
    drop((first, second));
    assert_clean(&fake);
}

#[test]
fn a_kernel_that_fails_is_named_and_ends_the_context() {
    let entry = "conv2d_fwd_f32__gemm_8x128";
    let fake = Fake::start(&format!("fail={entry}:2")).unwrap();
    let error = in_steps(|| run(&mut session(CUDA).unwrap(), 0)).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), Kind::Device);
    assert!(message.contains(entry) && message.contains("CUDA_ERROR_LAUNCH_FAILED"), "{message}");
    assert_eq!(fake.complaints(), [""; 0]);
    drop(fake);

    let fake = Fake::start(&format!("fail={entry}:2")).unwrap();
    let mut session = session(CUDA).unwrap();
    let first = run(&mut session, 0).unwrap_err().to_string();
    assert!(first.contains("CUDA_ERROR_LAUNCH_FAILED") && first.contains("SWATH_CUDA_STEPS=1"), "{first}");
    let again = run(&mut session, 0).unwrap_err().to_string();
    assert!(again.contains("CUDA_ERROR_LAUNCH_FAILED"), "{again}");
    drop(session);
    assert_eq!(fake.census().of("contexts"), 0);
    assert_eq!(fake.complaints(), [""; 0]);
}

#[test]
fn memory_that_runs_out_is_a_limit_and_leaves_nothing() {
    let fake = Fake::start("").unwrap();
    let needed = {
        let _session = session(CUDA).unwrap();
        fake.census().of("most_bytes")
    };
    drop(fake);
    for memory in [1 << 10, needed / 2, needed - 1] {
        let fake = Fake::start(&format!("memory={memory}")).unwrap();
        let error = session(CUDA).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
        assert!(error.to_string().contains("of GPU memory"), "{error}");
        assert_clean(&fake);
    }
    let fake = Fake::start(&format!("memory={needed}")).unwrap();
    assert!(session(CUDA).is_ok());
    assert_clean(&fake);
}

#[test]
fn properties_are_the_devices() {
    let fake = Fake::start("devices=2 capability=72 memory=3G integrated").unwrap();
    assert_eq!(Driver::count().unwrap(), 2);
    let driver = Driver::open(1).unwrap();
    let p = driver.properties();
    assert_eq!((p.capability, p.memory, p.integrated), (72, 3 << 30, true));
    assert_eq!((p.name.as_str(), fake.census().of("contexts")), ("PTX machine", 1));
    let missing = Driver::open(2).map(|_| ()).unwrap_err().to_string();
    assert!(missing.contains("there are 2"), "{missing}");
    drop(driver);
    assert_clean(&fake);
    drop(fake);

    let fake = Fake::start("capability=70").unwrap();
    let old = Driver::open(0).map(|_| ()).unwrap_err().to_string();
    assert!(old.contains("7.0") && old.contains("7.2 is needed"), "{old}");
    assert_clean(&fake);
    drop(fake);

    let _fake = Fake::start("devices=0").unwrap();
    let none = Driver::open(0).map(|_| ()).unwrap_err().to_string();
    assert!(none.contains("CUDA_ERROR_NO_DEVICE") && none.contains("--device cpu"), "{none}");
}

#[test]
fn old_gpus_get_none_of_the_newer_ptx() {
    let model =
        LoadedModel::from_bytes(Path::new("demo"), swath::demo::WEIGHTS.to_vec(), ModelOptions::default());
    let model = model.unwrap();
    for (capability, newer) in [(72, false), (80, true)] {
        let fake = Fake::start(&format!("capability={capability}")).unwrap();
        let engine =
            Engine::open(Setup { device: CUDA, precision: Precision::Bf16, ..Setup::default() }).unwrap();
        let mut session = engine.compile(&model, size(&model), &[], None).unwrap();
        drop(engine);
        assert_eq!(session.plan().steps.iter().any(|s| s.choice.entry.ends_with("_sm80")), newer);
        run(&mut session, 0).unwrap();
        drop(session);
        assert_clean(&fake);
    }
}

/// The program, with the driver under its usual name.
fn swath(settings: &str, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Fake::library(), folder.path().join("libcuda.so")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.args(args).env("LD_LIBRARY_PATH", folder.path()).env(VARIABLE, settings).output().unwrap()
}

#[test]
fn the_program_finds_the_driver_by_name() {
    let said = swath("devices=2 capability=87 memory=8G integrated", &["doctor"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{said:?}");
    let line = "cuda:1 PTX machine, capability 8.7, 8192 MiB, shared with the processor";
    assert!(text.contains(line), "{text}");
}

#[test]
fn the_doctor_runs_kernels_and_finds_one_that_does_nothing() {
    let doctor = ["doctor", "--kernels=softmax", "--device", "cuda"];
    let said = swath("", &doctor);
    assert!(said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).contains("agrees    softmax_fwd_f32__warps"), "{said:?}");
    let said = swath("skip=softmax_fwd_f32__warps", &doctor);
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.status.code(), Some(6), "{said:?}");
    assert!(out.contains("DISAGREES softmax_fwd_f32__warps"), "{out}");
    assert!(
        out.contains("agrees    softmax_fwd_f32__threads") && err.contains("1 of 2 kernels"),
        "{out}{err}"
    );
}

#[test]
fn a_network_is_checked_against_the_reference() {
    let weights = weights();
    let check = |device: &str, tolerance: &str| {
        let weights = weights.to_str().unwrap();
        swath("", &["check", weights, "--size", "7", "--device", device, "--tolerance", tolerance])
    };
    assert!(check("cuda", "1e-5").status.success());
    assert_eq!(check("cuda", "0").status.code(), Some(6));
}

/// The script for machines with a GPU, on the driver that `settings` say.
fn bench(settings: Option<&str>, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    if settings.is_some() {
        std::os::unix::fs::symlink(Fake::library(), folder.path().join("libcuda.so")).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gpu/bench.py");
    let mut command = Command::new("python3");
    command
        .arg(script)
        .args(["--swath", env!("CARGO_BIN_EXE_swath"), "--tiny", "--model"])
        .arg(weights())
        .args(args);
    command.env("LD_LIBRARY_PATH", folder.path()).env(VARIABLE, settings.unwrap_or_default());
    command.current_dir(folder.path()).output().unwrap()
}

#[test]
fn the_bench_script_runs_where_there_is_a_driver_and_says_so_where_there_is_none() {
    let none = bench(Some("devices=0"), &[]);
    let said = text(&none.stdout);
    assert!(
        none.status.success() && said.contains("nothing is measured: the CUDA driver finds no GPU"),
        "{none:?}"
    );
    let tiny = bench(Some(""), &["--precisions", "bf16"]);
    let said = text(&tiny.stdout);
    assert!(tiny.status.success(), "{tiny:?}");
    for part in ["## cuda:0 PTX machine", "`conv2d_fwd_f32__gemm_8x128`", "| 1 x 8² | bf16 |", "| 4356 | 2 |"]
    {
        assert!(said.contains(part), "{part}:\n{said}");
    }
}

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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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

/// Samples cross to the device; what it makes of them is what the host would have given it.
#[test]
fn a_network_given_samples_computes_the_same_bits() {
    let fake = Fake::start("").unwrap();
    let model = model();
    let size = size(&model);
    let scale = ChannelScale { zero: 3.0, gain: 1.0 / 255.0, least: 0.0, most: 0.75 };
    for (samples, most) in [(DType::U8, 256), (DType::U16, 65_536)] {
        let of = SampleInput { samples, channels: vec![scale; model.network().input().channels] };
        let raw: Vec<f32> = (0..numel(&model, size)).map(|k| (k * 101 % most) as f32).collect();
        let numbers: Vec<f32> = raw.iter().map(|v| scale.apply(*v)).collect();
        for pick in [CUDA, DevicePick::Cpu, DevicePick::Reference] {
            let engine = |samples| Engine::new(pick, 1).unwrap().reading(samples);
            let mut plain = engine(None).compile(&model, size, &[], None).unwrap();
            let mut given = engine(Some(of.clone())).compile(&model, size, &[], None).unwrap();
            assert_eq!(given.input_bytes().len(), raw.len() * samples.size());
            samples.store(&raw, given.input_bytes());
            given.compute().unwrap();
            assert_eq!(given.output(), plain.run(&numbers).unwrap(), "{pick:?} {samples}");
        }
    }
    assert_clean(&fake);
}

fn numel(model: &LoadedModel, size: InputSize) -> usize {
    model.network().input().dims(size.batch, size.frames, size.height, size.width).iter().product()
}

/// The demo's weights, with those of one convolution times a factor.
fn scaled(folder: &Path, convolution: &str, factor: f32) -> PathBuf {
    let model =
        LoadedModel::from_bytes(Path::new("demo"), swath::demo::WEIGHTS.to_vec(), ModelOptions::default());
    let model = model.unwrap();
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
