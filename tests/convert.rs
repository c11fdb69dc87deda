//! Weights converted to safetensors and back: PyTorch loads the result safely and computes the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Python with PyTorch: `SWATH_PYTHON`, or `python3`; `None`, said aloud, if there is none.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("SWATH_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import torch, numpy"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {} has no PyTorch (set SWATH_PYTHON)", python.display());
    None
}

fn convert(from: &Path, to: &Path) {
    let swath = Path::new(env!("CARGO_BIN_EXE_swath"));
    let done = Command::new(swath).args(["weights", "convert"]).args([from, to]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn pytorch_computes_the_same_from_weights_that_were_converted_and_back() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cases = std::fs::read_dir(repository().join("tests/data/models")).unwrap();
    let cases = cases.map(|entry| entry.unwrap().path()).filter(|path| path.join("weights.pth").exists());
    let mut words = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let [there, back] = ["safetensors", "pth"].map(|kind| folder.path().join(format!("{name}.{kind}")));
        convert(&case.join("weights.pth"), &there);
        convert(&there, &back);
        words.extend([case, back]);
    }
    assert!(words.len() >= 16, "{words:?}");
    let script = repository().join("tests/tools/convert_back.py");
    let done = Command::new(python).arg(script).args(&words).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(said.matches(" equal").count(), words.len() / 2, "{said}");
}
