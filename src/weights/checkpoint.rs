//! A state dict of a weights file under a network's own names, read tensor by tensor.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use weights_tools::{Checkpoint, Limits, TensorInfo};

use super::names::Names;
use super::rename::{rename, shared_prefix, Rename};
use super::report::WeightReport;
use crate::error::{Error, InFile, Result};
use crate::tensor::{Shape, TensorStore};

/// What training programs and their wrappers put before all names of a generator.
const PREFIXES: &[&str] = &["net_g.", "netG.", "generator.", "model.", "net.", "module.", "_orig_mod."];

/// What the names of tensors begin with that say what bytes stand for: the name of a parameter follows, and the rows
/// are scales and zeros of the channels of what it is multiplied with.
pub const LEVELS: &str = "swath.levels.";

/// The tensors of one network in a weights file. Data stays in the mapped file until it is read.
pub struct Weights {
    path: PathBuf,
    checkpoint: Checkpoint,
    wrapper: String,
    tensors: Vec<TensorInfo>,
    /// Tensors that say what bytes stand for, by the network's parameter.
    levels: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
    /// Of weights in memory; a file's is computed when asked for.
    sha256: Option<String>,
}

impl Weights {
    /// Opens a `.pth` or safetensors file and picks the state dict under `key` (`params_ema`…);
    /// without one, the preferred of those it holds.
    ///
    /// # Errors
    /// What `weights-tools` finds wrong with the file.
    pub fn open(path: &Path, key: Option<&str>) -> Result<Self> {
        let checkpoint = Checkpoint::open(path).map_err(Error::from).in_file(path)?;
        Self::select(path, checkpoint, key, None)
    }

    /// The same for a file that is in memory; `name` stands for its path.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn from_bytes(name: &Path, bytes: Vec<u8>, key: Option<&str>) -> Result<Self> {
        let sha256 = hexadecimal(Sha256::digest(&bytes));
        let checkpoint =
            Checkpoint::from_bytes(bytes, &Limits::default()).map_err(Error::from).in_file(name)?;
        Self::select(name, checkpoint, key, Some(sha256))
    }

    fn select(
        path: &Path,
        checkpoint: Checkpoint,
        key: Option<&str>,
        sha256: Option<String>,
    ) -> Result<Self> {
        let state = checkpoint.select(key).map_err(Error::from).in_file(path)?;
        let wrapper = state.wrapper().to_string();
        let (levels, tensors): (Vec<_>, Vec<_>) = state.tensors().partition(|t| t.name.starts_with(LEVELS));
        let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        let prefix = shared_prefix(&names, PREFIXES).len();
        let without = |t: &TensorInfo, prefix: usize| TensorInfo {
            name: t.name.get(prefix..).unwrap_or_default().to_string(),
            ..t.clone()
        };
        let tensors: Vec<TensorInfo> = tensors.into_iter().map(|t| without(t, prefix)).collect();
        let levels = levels.into_iter().map(|t| without(t, LEVELS.len())).collect();
        drop(state);
        let mut weights = Self {
            path: path.to_path_buf(),
            checkpoint,
            wrapper,
            tensors,
            levels,
            by_name: HashMap::new(),
            sha256,
        };
        weights.index();
        Ok(weights)
    }

    fn index(&mut self) {
        self.by_name = self.tensors.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
    }

    /// What bytes stand for, where the file says so: a parameter, and scales and zeros of the channels of what it is
    /// multiplied with.
    ///
    /// # Errors
    /// `Weights` for tensors that are not two rows; `Format` or `Io` when one cannot be read.
    pub fn levels(&self) -> Result<Vec<(String, [Vec<f32>; 2])>> {
        let rows = |info: &TensorInfo| {
            let &[2, channels] = &info.shape[..] else {
                return Err(Error::weights(format!("levels of {} in {:?}", info.name, info.shape)));
            };
            let mut scale = self.checkpoint.f32_of(info)?;
            let zero = scale.split_off(channels.min(scale.len()));
            Ok((info.name.clone(), [scale, zero]))
        };
        self.levels.iter().map(|info| rows(info).in_file(&self.path)).collect()
    }

    /// Gives tensors of older spellings their network's names.
    pub fn rename(&mut self, renames: &[Rename]) {
        for tensor in &mut self.tensors {
            tensor.name = rename(&tensor.name, renames);
        }
        self.index();
    }

    /// Makes tensors saved under two prefixes one: `(used, copy)` pairs, of which the last name in
    /// file order counts, as when PyTorch loads it. Copies leave the table. Says which differ.
    ///
    /// # Errors
    /// `Format` or `Io` when a tensor cannot be read for the comparison.
    pub fn merge_aliases(&mut self, aliases: &[(String, String)]) -> Result<Vec<String>> {
        let used_name = |name: &str| {
            aliases
                .iter()
                .find_map(|(used, copy)| Some(format!("{used}{}", name.strip_prefix(copy.as_str())?)))
        };
        let mut warnings = Vec::new();
        let mut kept: Vec<TensorInfo> = Vec::with_capacity(self.tensors.len());
        let mut places = HashMap::new();
        for tensor in &self.tensors {
            let name = used_name(&tensor.name).unwrap_or_else(|| tensor.name.clone());
            let renamed = TensorInfo { name: name.clone(), ..tensor.clone() };
            match places.get(&name).copied() {
                None => {
                    places.insert(name, kept.len());
                    kept.push(renamed);
                }
                Some(at) => {
                    let earlier: &mut TensorInfo = &mut kept[at];
                    if !self.same_data(earlier, tensor)? {
                        warnings.push(format!(
                            "{} is saved twice and differs; the last, {}, counts",
                            name, tensor.name
                        ));
                    }
                    *earlier = renamed;
                }
            }
        }
        self.tensors = kept;
        self.index();
        Ok(warnings)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        let at = self.by_name.get(name).ok_or_else(|| Error::weights(format!("no tensor named {name}")));
        Ok(&self.tensors[*at.in_file(&self.path)?])
    }

    fn same_data(&self, a: &TensorInfo, b: &TensorInfo) -> Result<bool> {
        let one_memory = a.storage == b.storage && a.offset == b.offset && a.strides == b.strides;
        if a.shape != b.shape || a.dtype != b.dtype || one_memory {
            return Ok(a.shape == b.shape && one_memory);
        }
        let bytes = |t: &TensorInfo| self.checkpoint.bytes_of(t).map_err(Error::from).in_file(&self.path);
        Ok(bytes(a)? == bytes(b)?)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's structure.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Key of the chosen state dict; empty when the file is one.
    pub fn wrapper(&self) -> &str {
        &self.wrapper
    }

    /// Tensors under the network's names, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Names and shapes.
    pub fn names(&self) -> Names {
        Names::new(self.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())))
    }

    /// Number of stored values.
    pub fn numel(&self) -> usize {
        self.tensors.iter().map(TensorInfo::numel).sum()
    }

    /// Compares with the tensors that a network wants.
    ///
    /// # Errors
    /// `Weights` with all missing, unexpected and misshapen tensors at once.
    pub fn check<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a str, Shape)>,
        unused: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        WeightReport::compare(&self.names(), wanted, unused).into_warnings().in_file(&self.path)
    }

    /// SHA-256 of the file, in hexadecimal.
    ///
    /// # Errors
    /// `Io` when the file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        if let Some(hash) = &self.sha256 {
            return Ok(hash.clone());
        }
        let hash = || -> std::io::Result<String> {
            let mut file = File::open(&self.path)?;
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 1 << 20];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(hexadecimal(hasher.finalize())),
                    n => hasher.update(&buffer[..n]),
                }
            }
        };
        hash().map_err(|e| Error::io("cannot read", e)).in_file(&self.path)
    }
}

fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl TensorStore for Weights {
    fn shape(&self, name: &str) -> Option<Shape> {
        self.by_name.get(name).and_then(|&at| Shape::new(&self.tensors[at].shape).ok())
    }

    fn read(&self, name: &str, out: &mut [f32]) -> Result<()> {
        let info = self.info(name)?;
        let read;
        let data = match self.checkpoint.view_f32(info) {
            Some(data) => data,
            None => {
                read = self.checkpoint.f32_of(info).map_err(Error::from).in_file(&self.path)?;
                &read
            }
        };
        if data.len() != out.len() {
            let message = format!("tensor {name} has {} elements, {} wanted", data.len(), out.len());
            return Err(Error::weights(message).in_file(&self.path));
        }
        out.copy_from_slice(data);
        Ok(())
    }

    fn view(&self, name: &str) -> Option<&[f32]> {
        self.checkpoint.view_f32(self.info(name).ok()?)
    }

    fn let_go(&self, name: &str) {
        if let Ok(info) = self.info(name) {
            self.checkpoint.let_go(info);
        }
    }
}

impl From<weights_tools::Error> for Error {
    fn from(error: weights_tools::Error) -> Self {
        use weights_tools::Kind as From;
        let (message, file) = (error.message().to_string(), error.file().map(Path::to_path_buf));
        let converted = match error.kind() {
            From::Format => Self::format(message),
            From::Unsupported => Self::unsupported(message),
            From::Limit => Self::limit(message),
            From::Refused | From::Missing => Self::weights(message),
            From::Io => match error.into_io() {
                Some(source) => Self::io(message, source),
                None => Self::format(message),
            },
        };
        match file {
            Some(file) => converted.in_file(file),
            None => converted,
        }
    }
}
