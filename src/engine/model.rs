//! A weights file, recognised: the network it holds, its options, and its tensors checked.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::{InFile, Result};
use crate::kernel::levels::{Calibration, Levels};
use crate::models::{self, Family, Network, Options, Origin};
use crate::weights::{Rename, Weights};

/// Metadata key of a converted file: the family's id.
pub const FAMILY_KEY: &str = "swath.family";
/// Metadata key of a converted file: the options as a JSON object of texts.
pub const CONFIG_KEY: &str = "swath.config";
/// Metadata key of a converted file: SHA-256 of the file it was converted from.
pub const SOURCE_KEY: &str = "swath.source_sha256";

/// What, besides the file, says which network it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelOptions<'a> {
    /// A BasicSR options file.
    pub config: Option<&'a Path>,
    /// Overrides, `--set key=value`.
    pub set: &'a [(String, String)],
    /// Which state dict of the file.
    pub param_key: Option<&'a str>,
}

/// A network with its weights, not yet compiled for any size or device.
pub struct LoadedModel {
    weights: Arc<Weights>,
    family: &'static Family,
    network: Box<dyn Network>,
    warnings: Vec<String>,
    calibration: Calibration,
    sha256: OnceLock<String>,
}

impl LoadedModel {
    /// Opens a weights file, recognises its network and checks every tensor's name and shape. The
    /// data is not read yet.
    ///
    /// # Errors
    /// `Format`, `Unsupported`, `Limit` or `Io` from the files, `Weights` when the tensors are no known
    /// network's, `Usage` for options that contradict them.
    pub fn open(path: &Path, options: ModelOptions<'_>) -> Result<Self> {
        Self::load(options, |key| Weights::open(path, key)).in_file(path)
    }

    /// The same for a weights file that is in memory; `name` stands for its path.
    ///
    /// # Errors
    /// As [`LoadedModel::open`].
    pub fn from_bytes(name: &Path, bytes: Vec<u8>, options: ModelOptions<'_>) -> Result<Self> {
        Self::load(options, |key| Weights::from_bytes(name, bytes, key)).in_file(name)
    }

    fn load(options: ModelOptions<'_>, open: impl FnOnce(Option<&str>) -> Result<Weights>) -> Result<Self> {
        let mut told = Options::default();
        if let Some(config) = options.config {
            told.read_yml(config)?;
        }
        told.set(options.set);
        let key = options.param_key.or_else(|| told.text("param_key"));
        let weights = open(key)?;
        let mut warnings = Vec::new();
        if let Some(key) = key.filter(|key| !came_from(&weights, key)) {
            warnings
                .push(format!("no state dict {key} in the file; read {} instead", place(weights.wrapper())));
        }
        read_metadata(&weights, &mut told);
        Self::recognise(weights, &told, warnings)
    }

    fn recognise(mut weights: Weights, options: &Options, mut warnings: Vec<String>) -> Result<Self> {
        let renames: Vec<Rename> = models::FAMILIES.iter().flat_map(|f| f.renames).copied().collect();
        weights.rename(&renames);
        let names = weights.names();
        let family = models::recognise(&names, options, &mut warnings)?;
        options.check_keys(family.options)?;
        let network = (family.configure)(&names, options, &mut warnings)?;
        warnings.extend(weights.merge_aliases(&network.aliases())?);
        let graph = models::smallest_graph(network.as_ref())?;
        let wanted = graph.params().map(|(name, value)| (name, value.spec.shape));
        warnings.extend(weights.check(wanted, |name| network.is_unused(name))?);
        let calibration = calibration(&weights)?;
        Ok(Self {
            weights: Arc::new(weights),
            family,
            network,
            warnings,
            calibration,
            sha256: OnceLock::new(),
        })
    }

    /// The same model without a final size made for training chips (see [`Network::for_scenes`]).
    #[must_use]
    pub fn for_scenes(mut self) -> Self {
        if let Some(network) = self.network.for_scenes() {
            self.network = network;
        }
        self
    }

    /// The same model with one head alone, at that place of [`Network::heads`], doing that task; the others are not
    /// computed.
    #[must_use]
    pub fn with_head(mut self, place: usize, task: models::Task) -> Self {
        if let Some(network) = self.network.with_head(place, task) {
            self.network = network;
        }
        self
    }

    /// Levels of what it multiplies, for `--precision int8`; empty where the file has none.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Takes other levels than the file's.
    pub fn set_calibration(&mut self, calibration: Calibration) {
        self.calibration = calibration;
    }

    /// The tensors.
    pub fn weights(&self) -> &Arc<Weights> {
        &self.weights
    }

    /// The table's line for its family.
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// The network.
    pub fn network(&self) -> &dyn Network {
        self.network.as_ref()
    }

    /// What is odd about the file or its options, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// SHA-256 of the weights file, for provenance; computed once.
    ///
    /// # Errors
    /// `Io` when the file cannot be read.
    pub fn sha256(&self) -> Result<&str> {
        if let Some(hash) = self.sha256.get() {
            return Ok(hash);
        }
        let hash = self.weights.sha256()?;
        Ok(self.sha256.get_or_init(|| hash))
    }

    /// What a converted file says of itself, so that it needs no options file.
    ///
    /// # Errors
    /// `Io` when the file cannot be read.
    pub fn metadata(&self) -> Result<Vec<(String, String)>> {
        let config: serde_json::Map<String, serde_json::Value> =
            self.network.config().into_iter().map(|(key, text)| (key.to_string(), text.into())).collect();
        let source = match self.weights.checkpoint().metadata_get(SOURCE_KEY) {
            Some(source) => source.to_string(),
            None => self.sha256()?.to_string(),
        };
        Ok(vec![
            (FAMILY_KEY.to_string(), self.family.id.to_string()),
            (CONFIG_KEY.to_string(), serde_json::Value::Object(config).to_string()),
            (SOURCE_KEY.to_string(), source),
        ])
    }
}

/// The file's levels.
fn calibration(weights: &Weights) -> Result<Calibration> {
    let levels = |(name, [scale, zero]): (String, [Vec<f32>; 2])| {
        let levels = Levels::new(scale, zero).map_err(|e| e.while_doing(&name));
        Ok((name, Arc::new(levels.in_file(weights.path())?)))
    };
    weights.levels()?.into_iter().map(levels).collect()
}

/// Whether the tensors were under `key`, in this file or in the one it was converted from.
fn came_from(weights: &Weights, key: &str) -> bool {
    weights.wrapper() == key || weights.checkpoint().metadata_get("wrapper") == Some(key)
}

fn place(wrapper: &str) -> &str {
    if wrapper.is_empty() {
        "the file's root"
    } else {
        wrapper
    }
}

/// Options that a converted file carries. What is not understood is left: the tensors decide.
fn read_metadata(weights: &Weights, options: &mut Options) {
    let metadata = |key| weights.checkpoint().metadata_get(key);
    if let Some(family) = metadata(FAMILY_KEY) {
        options.put("type", family, Origin::Metadata);
    }
    let config = metadata(CONFIG_KEY).and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    for (key, value) in config.iter().filter_map(|c| c.as_object()).flatten() {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            options.put(key, text, Origin::Metadata);
        }
    }
}
