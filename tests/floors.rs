//! The floor plan, read from the sources: modules use those below them only, `unsafe` stays where
//! it is allowed and says why, files stay short and say what they are for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the ground up; each may use those before it.
const ORDER: &[&str] = &[
    "error",
    "tensor",
    "util",
    "memory",
    "kernel",
    "ops",
    "graph",
    "passes",
    "plan",
    "reference",
    "cpu",
    "cuda",
    "weights",
    "models",
    "tile",
    "detect",
    "raster",
    "dataset",
    "demo",
    "metrics",
    "engine",
    "pipeline",
    "evaluation",
    "cli",
];

/// All that knows of tensors and is below the networks.
const TENSORS: &[&str] =
    &["tensor", "memory", "kernel", "ops", "graph", "passes", "plan", "reference", "cpu", "cuda", "weights"];

/// The networks.
const NETWORKS: &[&str] = &["models"];

/// What runs plans.
const DEVICES: &[&str] = &["memory", "kernel", "ops", "graph", "passes", "plan", "reference", "cpu", "cuda"];

/// Modules that must not see some of those below them.
const BLIND: &[(&str, &[&[&str]])] = &[
    ("reference", &[&["ops", "graph", "passes"]]),
    ("cpu", &[&["ops", "graph", "passes", "reference"]]),
    ("cuda", &[&["ops", "graph", "passes", "reference", "cpu"]]),
    ("weights", &[DEVICES]),
    ("models", &[&["memory", "passes", "plan", "reference", "cpu", "cuda"]]),
    ("tile", &[TENSORS, NETWORKS]),
    ("detect", &[TENSORS, NETWORKS]),
    ("raster", &[TENSORS, NETWORKS]),
    ("dataset", &[TENSORS]),
    ("demo", &[TENSORS, NETWORKS]),
    ("metrics", &[TENSORS, NETWORKS]),
    ("pipeline", &[DEVICES]),
    ("evaluation", &[DEVICES]),
];

/// Files and folders that may hold `unsafe`: maps of files, the arena, kernels, the CUDA driver, the JP2 binding.
const UNSAFE: &[&str] =
    &["memory/arena.rs", "cpu/", "cuda/driver/", "raster/bytes.rs", "raster/jp2/openjpeg"];

/// Longest file, in lines.
const LONGEST: usize = 800;

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files: path below `src` and text.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, out),
                false if path.extension().is_some_and(|e| e == "rs") => out.push(path),
                false => {}
            }
        }
    }
    let mut paths = Vec::new();
    walk(&source_folder(), &mut paths);
    paths.sort();
    let root = source_folder();
    let name = |p: &Path| p.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
    paths.iter().map(|p| (name(p), fs::read_to_string(p).unwrap())).collect()
}

/// Fails with the list of what is wrong with any file.
fn check(faults: impl Fn(&str, &str) -> Vec<String>) {
    let wrong: Vec<String> = sources().iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The part of a file that is not its tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// Modules of this crate that a text names.
fn used(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(code) {
        for after in line.split("crate::").skip(1) {
            let names: Vec<&str> = match after.strip_prefix('{') {
                Some(list) => list.split(['}', ',']).collect(),
                None => vec![after],
            };
            for name in names {
                let end = name.trim().find(|c: char| !c.is_ascii_lowercase() && c != '_');
                found.insert(name.trim()[..end.unwrap_or(name.trim().len())].to_string());
            }
        }
    }
    found.retain(|name| ORDER.contains(&name.as_str()));
    found
}

fn module(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or(path)
}

#[test]
fn every_module_has_a_floor() {
    let modules: BTreeSet<String> = sources().iter().map(|(path, _)| module(path).to_string()).collect();
    let known: BTreeSet<String> = ORDER.iter().chain(&["lib", "bin"]).map(|m| m.to_string()).collect();
    let unknown: Vec<_> = modules.difference(&known).collect();
    assert!(unknown.is_empty(), "modules without a floor: {unknown:?}");
}

#[test]
fn arrows_point_down() {
    check(|path, text| {
        let from = module(path);
        let Some(floor) = ORDER.iter().position(|m| *m == from) else { return Vec::new() };
        let blind: Vec<&str> =
            BLIND.iter().filter(|(m, _)| *m == from).flat_map(|(_, not)| not.concat()).collect();
        let above = |to: &str| ORDER.iter().position(|m| *m == to).unwrap() > floor;
        let used = used(shipped(text)).into_iter();
        used.filter(|to| above(to) || blind.contains(&to.as_str()))
            .map(|to| format!("{path} uses {to}"))
            .collect()
    });
}

#[test]
fn unsafe_stays_where_it_is_allowed_and_says_why() {
    check(|path, text| {
        let allowed = UNSAFE.iter().any(|place| path.starts_with(place));
        let lines: Vec<&str> = text.lines().collect();
        let mut wrong = Vec::new();
        for (k, line) in lines.iter().enumerate() {
            let words: Vec<&str> = code(line).split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if !words.contains(&"unsafe") || line.contains("unsafe_op_in_unsafe_fn") {
                continue;
            }
            if !allowed {
                wrong.push(format!("{path}:{} unsafe is not allowed here", k + 1));
            }
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            let reasons = lines[k.saturating_sub(8)..=k].iter();
            if opens && !reasons.clone().any(|l| l.contains("SAFETY:")) {
                wrong.push(format!("{path}:{} unsafe without its reason", k + 1));
            }
        }
        wrong
    });
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    check(|path, text| {
        let lines = text.lines().count();
        let silent = !text.starts_with("//!");
        let long = lines > LONGEST;
        let wrong = [
            silent.then(|| format!("{path} does not say what it is responsible for")),
            long.then(|| format!("{path} has {lines} lines (at most {LONGEST})")),
        ];
        wrong.into_iter().flatten().collect()
    });
}
