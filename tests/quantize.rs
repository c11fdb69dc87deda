//! Weights made ready for int8: the goal is met on tiles that were not seen, the file says all, and nothing is
//! rounded to bytes without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use swath::cpu::isa::{Isa, ISA_VARIABLE};
use swath::kernel::precision::Precision;
use swath::tensor::Shape;
use swath::util::npy;

const SIDE: usize = 24;

/// Runs the program on an instruction set that multiplies bytes: plain loops where the machine has none.
fn swath(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    if !Isa::best().multiplies(Precision::Int8) {
        command.env(ISA_VARIABLE, "portable");
    }
    command.args(words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Images of 24 channels with slopes, edges and some noise, from 0 to 1, as .npy.
fn images(to: &Path, count: usize, seed: u32) {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let mut data = Vec::new();
    for image in 0..count {
        let edge = (7 * image + 5) % SIDE;
        for at in 0..24 * SIDE * SIDE {
            let (row, column) = (at / SIDE % SIDE, at % SIDE);
            let slope = (row + image) as f32 / 40.0;
            let v = 0.2 + 0.3 * slope + if column > edge { 0.25 } else { 0.0 } + 0.08 * noise();
            data.push(v.clamp(0.0, 1.0));
        }
    }
    let mut file = std::fs::File::create(to).unwrap();
    npy::write_to(&mut file, &Shape::new(&[count, 24, SIDE, SIDE]).unwrap(), &data).unwrap();
}

/// Decibels in the line that says what int8 loses.
fn decibels(said: &str) -> f64 {
    let line = said.lines().find(|line| line.contains("int8") && line.contains("goal")).unwrap();
    line.split("int8 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_calibrated_file_runs_in_int8_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let [weights, scene, other, out] = ["demo.pth", "x.npy", "other.npy", "q.safetensors"].map(path);
    std::fs::write(&weights, swath::demo::WEIGHTS).unwrap();
    images(Path::new(&scene), 6, 1);
    images(Path::new(&other), 1, 9);

    let forward = |model: &str, precision: &str, threads: &str| {
        let y = path("y.npz");
        let words =
            ["forward", "-m", model, "-i", &other, "-o", &y, "--precision", precision, "--threads", threads];
        let said = swath(&words);
        (said, std::fs::read(&y).unwrap_or_default())
    };
    let refused = forward(&weights, "int8", "1").0;
    let why = String::from_utf8_lossy(&refused.stderr).to_string();
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("swath weights quantize -m") && why.contains("--calibrate"), "{why}");

    let said = stdout(&swath(&["weights", "quantize", "-m", &weights, "--calibrate", &scene, "-o", &out]));
    assert!(decibels(&said) >= 40.0 && said.contains("products ") && said.contains("int8 4"), "{said}");
    assert!(said.contains("a tile takes ") && said.contains(" ms in int8, "), "{said}");
    let again = swath(&["weights", "quantize", "-m", &weights, "--calibrate", &scene, "-o", &out]);
    assert_eq!(again.status.code(), Some(2), "an existing file is not replaced");

    let (ran, one) = forward(&out, "int8", "1");
    let ran = stdout(&ran);
    assert!(ran.contains("products ") && ran.contains("int8 4"), "{ran}");
    let (_, two) = forward(&out, "int8", "2");
    assert_eq!(one, two, "bits depend on the number of threads");
    // The file is the same network in f32.
    let ((_, from_levels), (_, plain)) = (forward(&out, "f32", "1"), forward(&weights, "f32", "1"));
    assert_eq!(from_levels, plain);
    assert_ne!(one, plain);
}

#[test]
fn products_are_left_out_until_the_goal_is_met() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let [weights, scene, out] = ["demo.pth", "x.npy", "q.safetensors"].map(path);
    std::fs::write(&weights, swath::demo::WEIGHTS).unwrap();
    images(Path::new(&scene), 4, 1);
    let quantize = |goal: &str| {
        swath(&[
            "weights",
            "quantize",
            "-m",
            &weights,
            "--calibrate",
            &scene,
            "-o",
            &out,
            "--goal",
            goal,
            "--overwrite",
        ])
    };
    let whole = decibels(&stdout(&quantize("30")));
    let goal = whole + 3.0;
    let said = stdout(&quantize(&goal.to_string()));
    assert!(decibels(&said) >= goal && said.contains("left in bf16 or f32"), "{said}");
    assert!(said.contains(".weight "), "{said}");
    let why = String::from_utf8_lossy(&quantize("200").stderr).to_string();
    assert!(why.contains("--goal"), "{why}");
}
