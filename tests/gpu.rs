//! What a GPU computes, where one is at hand: `SWATH_TEST_GPU=cuda:0 cargo test --release --test gpu`. Every kernel
//! on the small cases, and every small network value by value, against the reference. Skipped without the variable.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Names the device.
const SWITCH: &str = "SWATH_TEST_GPU";
/// Constructor arguments that tensors do not tell.
const UNTOLD: &[&str] = &["scale", "output_size", "use_reference_frame"];

/// Runs the program with these words, the device and variables, which must succeed.
fn on_gpu(device: &str, words: &[String], variables: &[(&str, &str)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.args(words).args(["--device", device]).envs(variables.iter().copied());
    let output: Output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", text(&output.stdout));
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
}

fn device() -> Option<String> {
    let device = std::env::var(SWITCH).ok();
    if device.is_none() {
        println!("skipped: {SWITCH} names no GPU");
    }
    device
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(String::from).to_vec()
}

/// Folders of the small networks.
fn networks() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("weights.pth").exists()).collect()
}

/// The words that check a network at a precision.
fn check(folder: &Path, precision: &str) -> Vec<String> {
    let meta: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json")).unwrap()).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let mut all = words(["check", &file("weights.pth"), "-i", &file("input.npy"), "--precision", precision]);
    for key in UNTOLD {
        if let Some(value) = meta["args"].get(key) {
            all.extend(words(["--set", &format!("{key}={value}")]));
        }
    }
    all
}

#[test]
fn kernels_agree_with_the_reference() {
    if let Some(device) = device() {
        for chains in ["0", "1"] {
            on_gpu(&device, &words(["doctor", "--kernels"]), &[("SWATH_CUDA_CHAINS", chains)]);
        }
    }
}

#[test]
fn networks_agree_with_the_reference() {
    assert!(networks().len() > 5);
    let Some(device) = device() else { return };
    for folder in networks() {
        for precision in ["f32", "tf32", "f16", "bf16"] {
            on_gpu(&device, &check(&folder, precision), &[]);
        }
    }
}

#[test]
fn graphs_compute_what_single_launches_compute() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["0", "1"].map(|steps| {
        let output = folder.path().join(format!("{steps}.npz"));
        let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/rrdb_scale4");
        let [weights, input] = ["weights.pth", "input.npy"].map(|name| small.join(name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
        command.arg("forward").arg("-m").arg(weights).arg("-i").arg(input).arg("-o").arg(&output);
        let done = command.args(["--device", &device]).env("SWATH_CUDA_STEPS", steps).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        std::fs::read(output).unwrap()
    });
    assert!(outputs[0] == outputs[1], "the same bits are wanted");
}
