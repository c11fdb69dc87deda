//! Recorded cases of the reference: where they are, how they are run, how results are compared.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::tensor::Shape;
use swath::util::npy::{self, Array};

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

    /// The key list: the case's own, or that of the case with the same weights.
    fn keys(&self) -> PathBuf {
        let salt = self.meta["fill_salt"].as_str().or_else(|| self.meta["salt"].as_str()).unwrap();
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
        assert_eq!(model.warnings(), [] as [String; 0], "{}", self.name);
        let input = npy::read_image(&self.folder.join("input.npy")).unwrap();
        let engine = Engine::new(DevicePick::Cpu, threads).unwrap();
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

    /// Ten times the reference's own f32 error plus 1e-5 of the largest value.
    pub fn compare(&self, name: &str, got: &Array, wanted: &Array, error: f64) {
        assert_eq!(got.shape, wanted.shape, "{}: {name}", self.name);
        let most = wanted.data.iter().fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
        let bound = 10.0 * error + 1e-5 * most;
        let differences = got.data.iter().zip(&wanted.data).map(|(a, b)| f64::from((a - b).abs()));
        // A NaN must not pass as the smallest difference.
        let worst = differences.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { d.max(m) });
        eprintln!("{}: {name} differs by {worst:.2e} of {most:.2e}, bound {bound:.2e}", self.name);
        assert!(worst <= bound, "{}: {name} differs by {worst:.2e}, bound {bound:.2e}", self.name);
    }
}
