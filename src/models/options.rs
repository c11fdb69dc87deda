//! What tensors cannot tell: options from a converted file's metadata, a BasicSR `.yml` file and
//! `--set key=value`, later ones overriding earlier ones. Keys are the networks' own constructor
//! arguments (`scale`, `revisits`…) and the data's (`n_s2_images`, `s2_bands`).

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml_ng::Value;

use crate::error::{Error, InFile, Result};
use crate::util::nearest;

/// Largest options file read.
const MAX_YML_BYTES: u64 = 1 << 20;

/// Largest count an option may state.
const MAX_COUNT: u32 = 1 << 20;

/// Who said so. A contradiction with the tensors is a warning for a file, an error for `--set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The metadata of a converted weights file.
    Metadata,
    /// An options file.
    Yml,
    /// The command line.
    Set,
}

#[derive(Debug, Clone)]
struct Entry {
    text: String,
    origin: Origin,
}

/// Options by key. Lists are kept as text with commas.
#[derive(Debug, Clone, Default)]
pub struct Options {
    entries: BTreeMap<String, Entry>,
}

impl Options {
    /// Sets an option unless one of a stronger origin is there already.
    pub fn put(&mut self, key: &str, text: impl Into<String>, origin: Origin) {
        match self.entries.get(key) {
            Some(present) if present.origin > origin => {}
            _ => {
                self.entries.insert(key.to_string(), Entry { text: text.into(), origin });
            }
        }
    }

    /// Adds `--set` overrides.
    pub fn set(&mut self, pairs: &[(String, String)]) {
        for (key, text) in pairs {
            self.put(key.trim(), text.trim(), Origin::Set);
        }
    }

    /// Adds the options of a file.
    ///
    /// # Errors
    /// `Io`, `Limit` for a file over 1 MiB, `Format` when it is not YAML.
    pub fn read_yml(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::metadata(path).map_err(|e| Error::io("cannot read", e)).in_file(path)?.len();
        if bytes > MAX_YML_BYTES {
            let message = format!("{bytes} bytes are too many for an options file (at most {MAX_YML_BYTES})");
            return Err(Error::limit(message).in_file(path));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("cannot read", e)).in_file(path)?;
        self.yml(&text).in_file(path)
    }

    /// Adds the options in the text of a BasicSR options file or a Satlas configuration.
    ///
    /// # Errors
    /// `Format` when it is not YAML.
    pub fn yml(&mut self, text: &str) -> Result<()> {
        let not_yaml = |e: serde_yaml_ng::Error| Error::format(format!("not a YAML options file: {e}"));
        let mut root: Value = serde_yaml_ng::from_str(text).map_err(not_yaml)?;
        root.apply_merge().map_err(not_yaml)?;
        if super::satlas::read_config(&root, self) {
            return Ok(());
        }
        self.put_scalar(&root, "scale", "scale");
        self.put_scalar(&root, "n_lr_images", "n_s2_images");
        for group in ["test_datasets", "datasets"] {
            for (_, dataset) in mapping(&root[group]) {
                self.put_scalar(dataset, "n_s2_images", "n_s2_images");
                self.put_scalar(dataset, "s2_bands", "s2_bands");
            }
        }
        self.put_scalar(&root["path"], "param_key_g", "param_key");
        for (key, value) in mapping(&root["network_g"]) {
            if let (Some(key), Some(text)) = (key.as_str(), scalar(value)) {
                self.put(key, text, Origin::Yml);
            }
        }
        Ok(())
    }

    fn put_scalar(&mut self, map: &Value, from: &str, to: &str) {
        if let Some(text) = map.get(from).and_then(scalar) {
            self.put(to, text, Origin::Yml);
        }
    }

    /// Refuses `--set` keys that `known` does not list.
    ///
    /// # Errors
    /// `Usage`, naming the key, the nearest known one and all known ones.
    pub fn check_keys(&self, known: &[&str]) -> Result<()> {
        let unknown =
            self.entries.iter().find(|(k, e)| e.origin == Origin::Set && !known.contains(&k.as_str()));
        let Some((key, _)) = unknown else { return Ok(()) };
        let hint =
            nearest(key, known.iter().copied()).map(|n| format!(" (did you mean {n}?)")).unwrap_or_default();
        Err(Error::usage(format!(
            "--set {key}: this network has no such option{hint}; known: {}",
            known.join(", ")
        )))
    }

    /// Who set an option.
    pub fn origin(&self, key: &str) -> Option<Origin> {
        self.entries.get(key).map(|e| e.origin)
    }

    /// An option as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|e| e.text.as_str())
    }

    /// An option as a count of at least one.
    ///
    /// # Errors
    /// `Usage` when it is not a whole number from 1 to 2^20.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        self.number(key, 1)
    }

    fn number(&self, key: &str, least: u32) -> Result<Option<usize>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse::<f64>()
            .ok()
            .filter(|v| v.fract() == 0.0 && (f64::from(least)..=f64::from(MAX_COUNT)).contains(v))
            .map(|v| Some(v as usize))
            .ok_or_else(|| {
                Error::usage(format!("{key}={text} is not a whole number from {least} to {MAX_COUNT}"))
            })
    }

    /// An option as yes or no, in the spellings of YAML 1.1.
    ///
    /// # Errors
    /// `Usage` when it is neither.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(Error::usage(format!("{key}={text} is neither true nor false"))),
        }
    }

    /// An option as a list of words.
    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        let words = self.text(key)?.trim_matches(['[', ']']).split(',');
        Some(
            words.map(|w| w.trim().trim_matches(['\'', '"']).to_string()).filter(|w| !w.is_empty()).collect(),
        )
    }

    /// Compares an option with what the tensors say. The tensors win; a file's contradiction is
    /// added to `warnings`.
    ///
    /// # Errors
    /// `Usage` when `--set` contradicts the tensors or the option is not a count.
    pub fn agree(&self, key: &str, derived: usize, warnings: &mut Vec<String>) -> Result<()> {
        match self.number(key, 0)? {
            Some(said) if said != derived => self.contradiction(key, &derived.to_string(), warnings),
            _ => Ok(()),
        }
    }

    /// Reports that option `key` is not what the tensors say.
    ///
    /// # Errors
    /// `Usage` when the option came from `--set`.
    pub fn contradiction(&self, key: &str, derived: &str, warnings: &mut Vec<String>) -> Result<()> {
        let said = self.text(key).unwrap_or_default();
        let message = format!("{key}={said}, but the tensors say {derived}");
        match self.origin(key) {
            Some(Origin::Set) => Err(Error::usage(format!("--set {message}"))),
            Some(Origin::Yml) => {
                warnings.push(format!("options file: {message}; the tensors win"));
                Ok(())
            }
            _ => {
                warnings.push(format!("metadata: {message}; the tensors win"));
                Ok(())
            }
        }
    }
}

/// Entries of a mapping; none for anything else.
fn mapping(value: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    value.as_mapping().into_iter().flatten()
}

/// A scalar, or a list of scalars, as text. Null, mappings and unknown tags' contents that are
/// neither give `None`.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.trim().to_string()),
        Value::Sequence(items) => Some(items.iter().filter_map(scalar).collect::<Vec<_>>().join(",")),
        Value::Tagged(tagged) => scalar(&tagged.value),
        Value::Null | Value::Mapping(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YML: &str = "
scale: 4
datasets:
  train: &data
    n_s2_images: 8
    s2_bands: ['b08', 'tci']
    use_3d: True
  val:
    <<: *data
    phase: val
network_g: {type: SSR_RRDBNet, num_in_ch: 36, scale: 2, num_feat: 64.0}
path: {pretrain_network_g: ~, param_key_g: params_ema}
train: {total_iter: !!float 1e8, ema_decay: 0.999, lr: 1e-4}
";

    #[test]
    fn a_basicsr_file_is_read() {
        let mut options = Options::default();
        options.yml(YML).unwrap();
        assert_eq!(options.count("scale").unwrap(), Some(2), "network_g.scale is the generator's own");
        assert_eq!(options.count("num_feat").unwrap(), Some(64));
        assert_eq!(options.list("s2_bands").unwrap(), ["b08", "tci"]);
        assert_eq!(options.text("param_key"), Some("params_ema"));
        assert_eq!(options.text("type"), Some("SSR_RRDBNet"));
        assert!(options.text("phase").is_none());
    }

    #[test]
    fn the_command_line_overrides_files_and_may_not_contradict_tensors() {
        let mut options = Options::default();
        options.set(&[("scale".into(), "8".into())]);
        options.yml(YML).unwrap();
        assert_eq!(options.text("scale"), Some("8"));
        let mut warnings = Vec::new();
        options.agree("num_in_ch", 24, &mut warnings).unwrap();
        assert_eq!(warnings, ["options file: num_in_ch=36, but the tensors say 24; the tensors win"]);
        assert!(options.agree("scale", 4, &mut warnings).is_err());
    }

    #[test]
    fn unknown_keys_of_the_command_line_are_refused_with_the_nearest() {
        let mut options = Options::default();
        options.set(&[("revisit".into(), "8".into())]);
        let message = options.check_keys(&["revisits", "scale"]).unwrap_err().to_string();
        assert!(message.contains("did you mean revisits"), "{message}");
    }

    #[test]
    fn numbers_and_flags_are_checked() {
        let mut options = Options::default();
        options.set(&[("a".into(), "1.5".into()), ("b".into(), "0".into()), ("c".into(), "Yes".into())]);
        assert!(options.count("a").is_err());
        assert!(options.count("b").is_err());
        assert_eq!(options.flag("c").unwrap(), Some(true));
        assert!(options.flag("a").is_err());
        assert!(Options::default().yml("a: [1").is_err());
    }
}
