//! Recorded cases of the reference: where they are, how they are run, how results are compared.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use swath::cpu::Cpu;
use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions, Setup};
use swath::graph::{Builder, Mode, Var};
use swath::models::{Fpn, Upsample};
use swath::passes::optimise;
use swath::plan::{compile, Device};
use swath::tensor::{Shape, TensorStore};
use swath::util::npy::{self, Array};

use swath::weights::Weights;

use crate::weights;

/// One case.
pub struct Fixture {
    pub folder: PathBuf,
    pub name: String,
    meta: Value,
}

/// The cases of a group, if this machine has them.
pub fn fixtures(group: &str, count: usize) -> Option<Vec<Fixture>> {
    let shared = std::env::var_os("SWATH_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("golden/satlas").join(group);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no recorded reference runs at {} (set SWATH_SHARED)", folder.display());
        return None;
    }
    let mut found: Vec<Fixture> =
        std::fs::read_dir(folder).unwrap().map(|entry| Fixture::new(entry.unwrap().path())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found.len(), count, "{group}");
    Some(found)
}

/// A graph's results on the CPU.
pub fn evaluate(
    inputs: &[Array],
    weights: &dyn TensorStore,
    build: impl for<'b> Fn(&'b Builder, &[Var<'b>]) -> Vec<Var<'b>>,
) -> Vec<Array> {
    let b = Builder::new(Mode::Infer);
    let x: Vec<Var<'_>> =
        inputs.iter().enumerate().map(|(k, x)| b.input(&format!("in{k}"), &x.shape)).collect();
    for (k, y) in build(&b, &x).into_iter().enumerate() {
        b.output(&format!("out{k}"), y);
    }
    let mut graph = b.finish().unwrap();
    optimise(&mut graph).unwrap();
    let cpu = Cpu::new(2).unwrap();
    let mut session = cpu.load(compile(&graph, cpu.kernels()).unwrap().into(), weights).unwrap();
    inputs.iter().enumerate().for_each(|(k, x)| session.input(k).copy_from_slice(&x.data));
    session.run().unwrap();
    let ports = session.plan().outputs.iter().enumerate();
    ports.map(|(k, port)| Array { shape: port.shape, data: session.output(k).to_vec() }).collect()
}

/// The first `n` channels of an image batch.
pub fn first_channels(array: &Array, n: usize) -> Array {
    let [images, channels, h, w] = <[usize; 4]>::try_from(&*array.shape).unwrap();
    let data = array.data.chunks(channels * h * w).flat_map(|image| image[..n * h * w].to_vec()).collect();
    Array { shape: Shape::new(&[images, n, h, w]).unwrap(), data }
}

impl Fixture {
    fn new(folder: PathBuf) -> Self {
        let meta = std::fs::read_to_string(folder.join("meta.json")).unwrap();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        Self { name, meta: serde_json::from_str(&meta).unwrap(), folder }
    }

    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    pub fn array(&self, file: &str) -> Option<Array> {
        self.has(file).then(|| npy::read(&self.folder.join(file)).unwrap())
    }

    /// What distinguishes the case's weights.
    pub fn salt(&self) -> &str {
        self.meta["fill_salt"].as_str().or_else(|| self.meta["salt"].as_str()).unwrap()
    }

    /// The key list: the case's own, or that of the case with the same weights.
    fn keys(&self) -> PathBuf {
        let salt = self.salt();
        let beside = std::fs::read_dir(self.folder.parent().unwrap()).unwrap();
        let lists = beside.map(|entry| entry.unwrap().path().join("keys.tsv")).filter(|path| path.exists());
        let own = self.folder.join("keys.tsv");
        if own.exists() {
            return own;
        }
        lists.into_iter().find(|path| weights::keys(path).0 == salt).unwrap()
    }

    /// The configuration: the meta file itself, or the backbone's that its note holds.
    fn config(&self, folder: &Path) -> PathBuf {
        let note = self.meta["note"].as_str().filter(|note| note.starts_with('{'));
        let text = note.map_or(self.meta.to_string(), str::to_string);
        let path = folder.join("config.txt");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn run(&self, threads: usize) -> Vec<(String, Array)> {
        self.run_with(threads, &[])
    }

    /// All outputs of the network on the case's input, and taps.
    pub fn run_with(&self, threads: usize, taps: &[String]) -> Vec<(String, Array)> {
        self.run_as(Setup { device: DevicePick::Cpu, threads, ..Setup::default() }, taps)
    }

    /// The same as a setup says.
    pub fn run_as(&self, setup: Setup, taps: &[String]) -> Vec<(String, Array)> {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("weights.pth");
        let (salt, keys) = weights::keys(&self.keys());
        let clamped = self.name.contains("clamped");
        weights::write(&file, &salt, &keys, |key, values| match clamped && key.ends_with("logit_scale") {
            true => vec![6.0; values.len()],
            false => values,
        });
        let config = self.config(scratch.path());
        let options = ModelOptions { config: Some(&config), ..ModelOptions::default() };
        let model = LoadedModel::open(&file, options).unwrap();
        // Some recordings keep only a few of their configuration's heads.
        let other: Vec<_> =
            model.warnings().iter().filter(|w| !w.starts_with("no tensors of heads.")).collect();
        assert!(other.is_empty(), "{}: {other:?}", self.name);
        let input = npy::read_image(&self.folder.join("input.npy")).unwrap();
        let engine = Engine::open(setup).unwrap();
        forward(&engine, &model, &input, taps, None).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    pub fn result<'r>(run: &'r [(String, Array)], name: &str) -> &'r Array {
        let found = run.iter().find(|(n, _)| n == name);
        &found
            .unwrap_or_else(|| panic!("no {name} among {:?}", run.iter().map(|(n, _)| n).collect::<Vec<_>>()))
            .1
    }

    /// What the reference's f32 run differs from its f64 run by.
    pub fn error(&self, name: &str) -> f64 {
        let errors = &self.meta["f32_vs_f64_maxabs"];
        errors[name].as_f64().unwrap_or_else(|| panic!("{}: no error of {name}", self.name))
    }

    /// A neck by its own weights, on the case's maps.
    pub fn check_neck(&self) {
        let weights = Weights::open(&self.folder.join("weights.pth"), None).unwrap();
        let names = weights.names();
        let inputs: Vec<Array> = (0..4).map(|k| self.array(&format!("in{k}.npy")).unwrap()).collect();
        let keeps = self.name.ends_with("prepend_True");
        let prefix = ["", "fpn."].into_iter().find(|at| names.has_prefix(&format!("{at}inner_blocks.")));
        let outputs = evaluate(&inputs, &weights, |b, maps| match prefix {
            Some(at) => {
                let _scope = b.scope(at.trim_end_matches('.'));
                Fpn::configure(&names, at, keeps).unwrap().unwrap().build(b, maps)
            }
            None => Vec::from_iter(Upsample::configure(&names, "").unwrap().unwrap().build(b, maps)),
        });
        assert!(!self.has(&format!("out{}.npy", outputs.len())));
        for (k, got) in outputs.iter().enumerate() {
            self.compare(&format!("out{k}"), got, &self.array(&format!("out{k}.npy")).unwrap(), 1e-6);
        }
    }

    pub fn check_features(&self, run: &[(String, Array)]) {
        for level in 0..4 {
            let error = self.meta["f32_vs_f64_maxabs"][level].as_f64().unwrap();
            let wanted = self.array(&format!("out{level}.npy")).unwrap();
            let name = format!("feat{level}");
            self.compare(&name, Self::result(run, &name), &wanted, error);
        }
    }

    pub fn check_heads(&self, run: &[(String, Array)], heads: Range<usize>) {
        for head in heads {
            let name = format!("head{head}");
            let Some(wanted) = self.array(&format!("{name}.npy")) else { continue };
            self.compare(&name, Self::result(run, &name), &wanted, self.error(&name));
        }
    }

    /// Compares detections as sets: which of two that hardly differ comes first is left to rounding.
    /// `files` is what the case's files start with, `errors` what its errors do.
    pub fn check_detections(&self, run: &[(String, Array)], image: &str, files: &str, errors: &str) {
        let bounds = ["boxes", "scores"].map(|what| {
            let values = self.array(&format!("{files}_{what}.npy")).unwrap().data;
            let most = values.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            10.0 * self.error(&format!("{errors}_{what}")) + 1e-5 * f64::from(most)
        });
        let masks = self.has(&format!("{files}_masks.npy")).then(|| self.error(&format!("{errors}_masks")));
        self.compare_detections(run, image, files, bounds, masks.unwrap_or(0.0));
    }

    /// The same within `bounds` of boxes and scores; `masks_error` is the reference's own in masks.
    pub fn compare_detections(
        &self,
        run: &[(String, Array)],
        image: &str,
        files: &str,
        bounds: [f64; 2],
        masks_error: f64,
    ) {
        let wanted = |what: &str| self.array(&format!("{files}_{what}.npy")).unwrap();
        let (boxes, scores, labels) = (wanted("boxes"), wanted("scores"), wanted("labels"));
        let got = |what: &str| Self::result(run, &format!("{image}_{what}"));
        let (got_boxes, got_scores, got_labels) = (got("boxes"), got("scores"), got("labels"));
        let name = format!("{}: {image}", self.name);
        assert_eq!(got_labels.data.len(), labels.data.len(), "{name}");
        assert_eq!(*got_boxes.shape, [labels.data.len(), 4], "{name}");
        let mut free: Vec<usize> = (0..labels.data.len()).collect();
        let mut worst = [0.0f64; 2];
        for k in 0..labels.data.len() {
            let distance = |&&g: &&usize| {
                let sides = got_boxes.data[4 * g..][..4].iter().zip(&boxes.data[4 * k..][..4]);
                sides.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
            };
            let score = |g: usize| f64::from((got_scores.data[g] - scores.data[k]).abs());
            let alike = |g: &&usize| got_labels.data[**g] == labels.data[k] && score(**g) <= bounds[1];
            let nearest = free.iter().filter(alike).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            let nearest = *nearest.unwrap_or_else(|| panic!("{name}: nothing like detection {k}"));
            worst = [worst[0].max(distance(&&nearest)), worst[1].max(score(nearest))];
            assert!(worst[0] <= bounds[0], "{name}: detection {k} is {} px off", worst[0]);
            if let Some(masks) = self.array(&format!("{files}_masks.npy")) {
                let mask = |array: &Array, k: usize| {
                    let n = array.shape[2] * array.shape[3];
                    let data = array.data[k * n..][..n].to_vec();
                    Array { shape: Shape::new(&[n]).unwrap(), data }
                };
                let (a, b) = (mask(got("masks"), nearest), mask(&masks, k));
                self.compare(&format!("mask {k}"), &a, &b, masks_error);
            }
            free.retain(|&g| g != nearest);
        }
        eprintln!(
            "{name}: {} detections, off by {:.1e} px and {:.1e}",
            labels.data.len(),
            worst[0],
            worst[1]
        );
    }

    /// Ten times the reference's own f32 error plus 1e-5 of the largest value.
    pub fn compare(&self, name: &str, got: &Array, wanted: &Array, error: f64) {
        assert_eq!(got.shape, wanted.shape, "{}: {name}", self.name);
        let most = wanted.data.iter().fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
        let bound = 10.0 * error + 1e-5 * most;
        let differences = got.data.iter().zip(&wanted.data).map(|(a, b)| f64::from((a - b).abs()));
        // A NaN must not pass as the smallest difference.
        let worst = differences.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { d.max(m) });
        if !name.starts_with("mask") {
            eprintln!("{}: {name} differs by {worst:.2e} of {most:.2e}, bound {bound:.2e}", self.name);
        }
        assert!(worst <= bound, "{}: {name} differs by {worst:.2e}, bound {bound:.2e}", self.name);
    }
}
