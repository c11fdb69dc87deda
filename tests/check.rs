//! `swath doctor --kernels` and `swath check` on the processor: what agrees, what does not, and the exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn swath(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swath")).args(args).output().unwrap()
}

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_processors_kernels_agree_with_the_reference() {
    let all = swath(&["doctor", "--kernels", "--device", "cpu", "--threads", "2"]);
    assert!(all.status.success(), "{}", text(&all.stderr));
    let said = text(&all.stdout);
    for contract in swath::kernel::Kernel::CONTRACTS {
        assert!(said.contains(&format!("agrees    {contract}_")), "{contract}:\n{said}");
    }
    let some = text(&swath(&["doctor", "--kernels=softmax", "--device", "cpu"]).stdout);
    assert!(some.contains("softmax_fwd") && !some.contains("pool_fwd"), "{some}");
    let none = swath(&["doctor", "--kernels=nothing", "--device", "cpu"]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
}

#[test]
fn networks_agree_value_by_value() {
    let weights = model("rrdb_scale4/weights.pth");
    let input = model("rrdb_scale4/input.npy");
    let checked =
        swath(&["check", weights.to_str().unwrap(), "-i", input.to_str().unwrap(), "--device", "cpu"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let said = text(&checked.stdout);
    let row = |name: &str| said.lines().position(|l| l.split(' ').next() == Some(name));
    let order = ["conv_first", "body.0.rdb1", "conv_body", "output"].map(|name| row(name).unwrap());
    assert!(order.is_sorted() && said.ends_with("cpu agrees with reference\n"), "{said}");

    let other = model("highresnet_2ref/weights.pth");
    let noise = swath(&["check", other.to_str().unwrap(), "--size", "9", "--device", "cpu"]);
    assert!(noise.status.success(), "{}", text(&noise.stderr));
}

#[test]
fn the_first_value_that_differs_is_named() {
    let weights = model("rrdb_scale4/weights.pth");
    let args = ["check", weights.to_str().unwrap(), "--size", "8", "--tolerance", "0", "--device", "cpu"];
    let checked = swath(&args);
    assert_eq!(checked.status.code(), Some(6));
    assert!(text(&checked.stderr).contains("the first is conv_first"), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("beyond"), "{}", text(&checked.stdout));
    let too_much = swath(&["check", weights.to_str().unwrap(), "--size", "4096", "--memory", "64M"]);
    assert_eq!(too_much.status.code(), Some(4), "{}", text(&too_much.stderr));
}

#[test]
fn runs_are_timed() {
    let weights = model("rrdb_scale4/weights.pth");
    let bench = |more: &[&str]| {
        let words = ["bench", weights.to_str().unwrap(), "--size", "8", "--device", "cpu"];
        swath(&words.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let json: serde_json::Value = serde_json::from_slice(&bench(&["--runs", "3", "--json"]).stdout).unwrap();
    assert!(json["runs"].as_array().unwrap().iter().all(|s| s.as_f64().unwrap() > 0.0), "{json}");
    assert_eq!((json["runs"].as_array().unwrap().len(), json["bytes"].as_array().unwrap().len()), (3, 4));
    let said = text(&bench(&["--batch", "2"]).stdout);
    assert!(said.contains("ms of 5") && said.contains("memory   weights"), "{said}");
    assert_eq!(bench(&["--runs", "0"]).status.code(), Some(2));
    assert_eq!(bench(&["--memory", "1K"]).status.code(), Some(4));
}
