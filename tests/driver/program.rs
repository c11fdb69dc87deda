//! The program's own processes: the driver found by its name, kernels and networks checked, the script for GPUs.

use std::path::Path;
use std::process::{Command, Output};

use fake_cuda::{Fake, VARIABLE};

use crate::{swath, text, weights};

#[test]
fn without_a_driver_the_program_says_so() {
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_swath")).args(args).output().unwrap();
    let doctor = run(&["doctor"]);
    assert!(doctor.status.success(), "{doctor:?}");
    if text(&doctor.stdout).contains("cuda:0") {
        println!("skipped: this machine has a GPU");
        return;
    }
    let said = run(&["check", weights().to_str().unwrap(), "--size", "7", "--device", "cuda"]);
    let message = text(&said.stderr);
    assert_eq!((said.status.code(), message.lines().count()), (Some(6), 1), "{said:?}");
    assert!(message.contains("CUDA driver") && message.contains("--device cpu"), "{message}");
    assert!(text(&doctor.stdout).contains("CUDA driver"), "{doctor:?}");
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
    for part in [
        "## cuda:0 PTX machine",
        "`conv2d_fwd_f32__gemm_8x128`",
        "| 1 x 8² | bf16 |",
        "| 4356 | 2 |",
        "px, 32 shared by neighbours",
        "left out: chains at 8², bf16",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
}
