//! The driver's side of the CUDA device over `fake-cuda`: contexts, memory, streams, events, graphs and errors as
//! the program uses them, without a GPU.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fake_cuda::{Fake, VARIABLE};
use swath::cuda::driver::Driver;
use swath::engine::{DevicePick, Engine, LoadedModel, ModelOptions, Precision, Session, Setup};
use swath::models::InputSize;
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
        let setup = Setup { device: CUDA, threads: 1, precision: Precision::Bf16, pointwise: false };
        let engine = Engine::open(setup).unwrap();
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
