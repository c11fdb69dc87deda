//! The networks against PyTorch: small cases of our own (tests/data/models, made by make.py there)
//! and, where they are at hand, those recorded from the published reference programs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use swath::engine::{forward, input_size, DevicePick, Engine, LoadedModel, ModelOptions, Precision, Setup};
use swath::util::npy::{self, Array};

/// What the reference's f32 run differs from its own f64 run by, where a case does not say.
const F32_ERROR: f64 = 1.6e-6;

/// Constructor arguments that tensors do not tell.
const UNTOLD: &[&str] = &["scale", "output_size", "use_reference_frame"];

/// Names that modules have in the graph; files write them with underscores.
const TAPS: &[&str] = &[
    "conv_first",
    "body.0.rdb1",
    "body.0",
    "body",
    "conv_body",
    "conv_up1",
    "conv_hr",
    "encoder",
    "doubleconv2d",
    "residualblocks.1",
    "fusion.fusion.2",
    "sr.upsample.0",
];

struct Case {
    folder: PathBuf,
    meta: Value,
}

impl Case {
    fn new(folder: PathBuf) -> Self {
        let meta = std::fs::read_to_string(folder.join("meta.json")).unwrap();
        Self { folder, meta: serde_json::from_str(&meta).unwrap() }
    }

    fn array(&self, name: &str) -> Option<Array> {
        let path = self.folder.join(name);
        path.exists().then(|| npy::read(&path).unwrap())
    }

    fn settings(&self) -> Vec<(String, String)> {
        let args = self.meta["args"].as_object().unwrap();
        let told = UNTOLD.iter().filter_map(|key| Some((key.to_string(), args.get(*key)?)));
        told.map(|(key, value)| (key, value.to_string())).collect()
    }

    fn model(&self) -> LoadedModel {
        let set = self.settings();
        let options = ModelOptions { set: &set, ..ModelOptions::default() };
        let model = LoadedModel::open(&self.folder.join("weights.pth"), options).unwrap();
        assert_eq!(model.warnings(), [] as [String; 0]);
        let kind = self.meta["kind"].as_str().unwrap();
        assert!(model.family().types.contains(&kind), "{kind} taken for {}", model.family().id);
        model
    }

    /// Ten times the reference's own f32 error plus 1e-5 of the range.
    fn tolerance(&self, wanted: &Array) -> f64 {
        let error = match (self.meta["f32_error"].as_f64(), self.array("output_f64.npy")) {
            (Some(error), _) => error,
            (None, Some(double)) => largest_difference(&self.array("output.npy").unwrap(), &double),
            (None, None) if self.folder.ends_with("srcnn_tiny_upresize") => 1.5e-5,
            (None, None) => F32_ERROR,
        };
        10.0 * error + 1e-5 * range(wanted)
    }

    /// Recorded intermediates: name in the graph and values.
    fn taps(&self) -> Vec<(String, Array)> {
        let files =
            std::fs::read_dir(&self.folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        let acts = files.filter(|file| file.starts_with("act_"));
        acts.map(|file| {
            let stem = file.trim_start_matches("act_").trim_end_matches(".npy");
            // The shared block's third call is the third round.
            let stem = stem.replace("fusion_fusion_0_call2", "fusion.fusion.2").replace('.', "_");
            let name = TAPS.iter().find(|name| name.replace('.', "_") == stem);
            (name.unwrap_or_else(|| panic!("no module for {file}")).to_string(), self.array(&file).unwrap())
        })
        .collect()
    }

    fn wanted(&self) -> Array {
        self.array("output_f64.npy").or_else(|| self.array("output.npy")).unwrap()
    }

    /// Largest difference of the output in bf16, over its range; `None` on a machine without.
    fn rounded(&self) -> Option<f64> {
        let setup = Setup { device: DevicePick::Cpu, precision: Precision::Bf16, ..Setup::default() };
        let (engine, input) = (Engine::open(setup).unwrap(), self.array("input.npy").unwrap());
        let size = input_size(&self.model(), &input.shape).unwrap();
        let ran = engine.plan(&self.model(), size, &[]).unwrap().precisions();
        let results = forward(&engine, &self.model(), &input, &[], None).unwrap();
        let wanted = self.wanted();
        let output = &results.iter().find(|(name, _)| name == "output").unwrap().1;
        (ran.share(Precision::Bf16) > 0.0).then(|| largest_difference(output, &wanted) / range(&wanted))
    }

    /// Runs the case and compares output and intermediates.
    fn check(&self, device: DevicePick, threads: usize) {
        let taps = self.taps();
        let names: Vec<String> = taps.iter().map(|(name, _)| name.clone()).collect();
        let input = self.array("input.npy").unwrap();
        let engine = Engine::new(device, threads).unwrap();
        let results = forward(&engine, &self.model(), &input, &names, None).unwrap();
        let result = |name: &str| &results.iter().find(|(n, _)| n == name).unwrap().1;
        self.compare("output", result("output"), &self.wanted());
        for (name, wanted) in &taps {
            self.compare(name, result(name), wanted);
        }
    }

    fn compare(&self, name: &str, got: &Array, wanted: &Array) {
        let folder = self.folder.display();
        assert_eq!(got.shape, wanted.shape, "{folder}: {name}");
        let (difference, bound) = (largest_difference(got, wanted), self.tolerance(wanted));
        assert!(difference <= bound, "{folder}: {name} differs by {difference:.2e}, bound {bound:.2e}");
    }
}

fn largest_difference(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.shape, b.shape);
    let differences = a.data.iter().zip(&b.data).map(|(a, b)| f64::from((a - b).abs()));
    // A NaN must not pass as the smallest difference.
    differences.fold(0.0, |most, d| if d.is_nan() { f64::INFINITY } else { most.max(d) })
}

fn range(array: &Array) -> f64 {
    let (low, high) = array.data.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    f64::from(high) - f64::from(low)
}

fn cases(folder: &Path, kinds: &[&str]) -> Vec<Case> {
    let mut found: Vec<Case> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("meta.json").exists() && path.join("weights.pth").exists())
        .map(Case::new)
        .filter(|case| case.meta["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)))
        .collect();
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    found
}

const KINDS: &[&str] = &["SSR_RRDBNet", "SRCNN", "HighResNet"];

fn own_cases() -> Vec<Case> {
    let cases = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models"), KINDS);
    assert_eq!(cases.len(), 8);
    cases
}

/// The folder of recorded reference runs, if this machine has it.
fn recorded() -> Option<PathBuf> {
    let shared = std::env::var_os("SWATH_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("golden/ssr");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no recorded reference runs at {} (set SWATH_SHARED)", folder.display());
    None
}

#[test]
fn own_cases_on_the_cpu() {
    for threads in [1, 2] {
        own_cases().iter().for_each(|case| case.check(DevicePick::Cpu, threads));
    }
}

#[test]
fn own_cases_on_the_reference_device() {
    own_cases().iter().for_each(|case| case.check(DevicePick::Reference, 1));
}

#[test]
fn bf16_stays_within_a_hundredth_of_the_range() {
    let recorded = recorded().map_or(Vec::new(), |folder| cases(&folder, KINDS));
    for case in own_cases().iter().chain(&recorded) {
        let difference = case.rounded().unwrap_or(0.0);
        assert!(difference <= 1e-2, "{}: {difference:.2e}", case.folder.display());
    }
}

#[test]
fn recorded_generators() {
    let Some(folder) = recorded() else { return };
    let cases = cases(&folder, &["SSR_RRDBNet"]);
    assert_eq!(cases.len(), 5);
    cases.iter().for_each(|case| case.check(DevicePick::Cpu, 2));
}

#[test]
fn recorded_networks_that_take_dates_apart() {
    let Some(folder) = recorded() else { return };
    let cases = cases(&folder, &["SRCNN", "HighResNet"]);
    assert_eq!(cases.len(), 5);
    cases.iter().for_each(|case| case.check(DevicePick::Cpu, 2));
}

#[test]
fn one_thread_and_many_give_the_same_bits() {
    let case = &own_cases()[0];
    let input = case.array("input.npy").unwrap();
    let run = |threads| {
        let engine = Engine::new(DevicePick::Cpu, threads).unwrap();
        forward(&engine, &case.model(), &input, &[], None).unwrap()
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_budget_that_is_short_is_refused_with_the_table() {
    let case = &own_cases()[0];
    let input = case.array("input.npy").unwrap();
    let engine = Engine::new(DevicePick::Cpu, 1).unwrap();
    let error = forward(&engine, &case.model(), &input, &[], Some(1000)).unwrap_err();
    assert_eq!(error.kind(), swath::Kind::Limit);
    let message = error.to_string();
    assert!(message.contains("intermediates") && message.contains("--memory"), "{message}");
}

#[test]
fn inputs_and_taps_that_do_not_fit_are_refused() {
    let case = Case::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/rrdb_scale4"));
    let model = case.model();
    let engine = Engine::new(DevicePick::Cpu, 1).unwrap();
    let array = |dims: &[usize]| {
        let shape = swath::tensor::Shape::new(dims).unwrap();
        Array { shape, data: vec![0.0; shape.numel()] }
    };
    let run = |dims: &[usize], taps: &[String]| forward(&engine, &model, &array(dims), taps, None);
    for (dims, part) in
        [(&[1, 24, 8, 8][..], "takes 12"), (&[1, 4, 3, 8, 8], "N,C,H,W"), (&[0, 12, 8, 8], "at most")]
    {
        let message = run(dims, &[]).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let message = run(&[1, 12, 8, 8], &["conv_firts".to_string()]).unwrap_err().to_string();
    assert!(message.contains("conv_firts"), "{message}");
}

fn swath(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_swath")).args(args).output().unwrap()
}

#[test]
fn the_command_writes_outputs_and_taps_by_name() {
    let case = Case::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/srcnn_zoom3"));
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("y.npz");
    let path = |name: &str| case.folder.join(name).display().to_string();
    let done = swath(&[
        "forward",
        "-m",
        &path("weights.pth"),
        "--set",
        "output_size=24",
        "--input",
        &path("input.npy"),
        "--output",
        output.to_str().unwrap(),
        "--tap",
        "sr.upsample.0",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(output).unwrap()).unwrap();
    for (entry, name, file) in [
        ("output.npy", "output", "output.npy"),
        ("sr.upsample.0.npy", "sr.upsample.0", "act_sr.upsample.0.npy"),
    ] {
        let mut entry = archive.by_name(entry).unwrap();
        let length = entry.size();
        case.compare(name, &npy::read_from(&mut entry, length).unwrap(), &case.array(file).unwrap());
    }
}

#[test]
fn a_device_that_cannot_be_had_is_an_error() {
    let case = &own_cases()[0];
    let path = |name: &str| case.folder.join(name).display().to_string();
    let done = swath(&[
        "forward",
        "-m",
        &path("weights.pth"),
        "-i",
        &path("input.npy"),
        "-o",
        "unused.npz",
        "--device",
        "cuda:99",
    ]);
    assert_eq!(done.status.code(), Some(6));
    let message = String::from_utf8_lossy(&done.stderr);
    assert!(message.contains("CUDA") && message.contains("--device"), "{message}");
}
