//! The driver's side of the CUDA device over `fake-cuda`: contexts, memory, streams, events, graphs and errors as
//! the program uses them, without a GPU.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod jobs;
mod program;
mod sessions;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fake_cuda::{Fake, VARIABLE};
use swath::engine::{LoadedModel, ModelOptions};

/// A small network's weights.
fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/rrdb_scale4/weights.pth")
}

/// The program, with the driver under its usual name.
fn swath(settings: &str, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Fake::library(), folder.path().join("libcuda.so")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.args(args).env("LD_LIBRARY_PATH", folder.path()).env(VARIABLE, settings).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The network that is part of the program.
fn demo() -> LoadedModel {
    LoadedModel::from_bytes(Path::new("demo"), swath::demo::WEIGHTS.to_vec(), ModelOptions::default())
        .unwrap()
}
