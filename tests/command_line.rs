//! The command line as people meet it: help, run files, what a plan prints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["upscale"],
    &["evaluate"],
    &["forward"],
    &["info"],
    &["demo"],
    &["doctor"],
    &["smooth"],
    &["check"],
    &["bench"],
    &["weights"],
    &["weights", "inspect"],
    &["weights", "convert"],
    &["weights", "diff"],
    &["weights", "quantize"],
];

fn swath<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swath")).args(args).env("COLUMNS", "200").output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(name)
}

#[test]
fn help_fits_eighty_columns_and_lists_every_command() {
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let help = stdout(&swath(command.iter().copied().chain([flag])));
            let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{command:?} {flag}: {wide:#?}");
        }
    }
    let help = stdout(&swath(["--help"]));
    for command in COMMANDS.iter().filter_map(|words| words.first()) {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is missing in\n{help}");
    }
}

#[test]
fn a_run_file_gives_flags_and_paths_of_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(case("srcnn_zoom3").join("input.npy"), folder.path().join("x.npy")).unwrap();
    let run_file = folder.path().join("job.toml");
    let toml = format!(
        "model = {:?}\ninput = 'x.npy'\noutput = 'y.npz'\nthreads = 1\ntap = ['encoder', 'sr.upsample.0']\n\
         [set]\noutput_size = 24\n",
        case("srcnn_zoom3").join("weights.pth")
    );
    std::fs::write(&run_file, toml).unwrap();
    let run = |more: &[&str]| {
        let words =
            ["forward", "--run-file", run_file.to_str().unwrap()].into_iter().chain(more.iter().copied());
        stdout(&swath(words))
    };
    let said = run(&[]);
    assert!(said.contains("encoder") && said.contains("sr.upsample.0") && said.contains("24x24"), "{said}");
    assert!(folder.path().join("y.npz").exists());

    let elsewhere = folder.path().join("z.npz");
    let said = run(&["-o", elsewhere.to_str().unwrap(), "--set", "output_size=12", "--tap", "encoder"]);
    assert!(said.contains("12x12") && !said.contains("sr.upsample.0"), "{said}");
    assert!(elsewhere.exists());
}

#[test]
fn a_run_file_that_is_wrong_is_a_usage_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let run_file = folder.path().join("job.toml");
    for (toml, part) in
        [("modle = 'x'", "did you mean model?"), ("tap = 'a", "line 1"), ("threads = 'x'", "--threads")]
    {
        std::fs::write(&run_file, toml).unwrap();
        let output =
            swath(["forward", "-m", "a", "-i", "b", "-o", "c", "--run-file", run_file.to_str().unwrap()]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part) && message.contains("job.toml"), "{message}");
    }
    let output = swath(["doctor", "--run-file", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_plan_names_the_kernels_and_the_memory() {
    let weights = case("rrdb_scale4").join("weights.pth");
    let plan = |words: &[&str]| {
        let all = ["info", weights.to_str().unwrap(), "--plan"].into_iter().chain(words.iter().copied());
        stdout(&swath(all))
    };
    let cpu = plan(&["--tile", "16", "--device", "cpu"]);
    assert!(cpu.contains("plan for 16 x 16 pixels on cpu"), "{cpu}");
    let step = cpu.lines().find(|line| line.contains("body.0.rdb1.conv1.weight") && line.starts_with("run "));
    let (name, kernels) =
        (step.unwrap().split(['[', ']']).nth(1).unwrap(), cpu.lines().rev().nth(1).unwrap());
    assert!(name.starts_with("conv2d_fwd_f32__direct_") && kernels.contains(name), "{cpu}");
    assert!(cpu.contains("memory: params"), "{cpu}");
    assert!(plan(&["--tile", "16", "--device", "reference"]).contains("conv2d_fwd_any__reference"));
    assert_eq!(swath(["info", weights.to_str().unwrap(), "--tile", "16"]).status.code(), Some(2));
}

#[test]
fn the_times_of_steps_add_up_to_the_whole() {
    for layers in [&["--layers"][..], &[]] {
        let words = ["bench", "demo", "--size", "40x56", "--runs", "2", "--threads", "1"];
        let said = stdout(&swath(words.iter().chain(layers)));
        let (_, table) = said.split_once("what\n").unwrap();
        let whole = said.split_once("all steps of a run of ").unwrap().1.split(' ').next().unwrap();
        let whole: f64 = whole.parse().unwrap();
        let times = table.lines().map(|l| l.split_whitespace().next().unwrap().parse::<f64>().unwrap());
        let times: Vec<f64> = times.collect();
        let (all, rows) = times.split_last().unwrap();
        assert!(
            rows.len() > 3 && (rows.iter().sum::<f64>() - all).abs() < 0.001 * times.len() as f64,
            "{said}"
        );
        // A debug build fills memory with NaN before the first step, which is part of it.
        assert!((0.97 * whole..=whole).contains(all), "{said}");
        assert_eq!(said.contains("conv_first"), !layers.is_empty(), "{said}");
    }
    let refused = swath(["bench", "demo", "--size", "0x4"]);
    assert_eq!(refused.status.code(), Some(2));
}
