//! Flags that name a network, shared by all commands that run or show one.

use std::path::{Path, PathBuf};

use clap::Args;

use super::values::key_value;
use crate::demo;
use crate::engine::{LoadedModel, ModelOptions};
use crate::error::Result;

/// Name of the weights that are part of the program.
pub const BUILTIN: &str = "demo";

/// Opens the weights that are part of the program.
///
/// # Errors
/// None in a program that was built whole.
pub fn open_builtin() -> Result<LoadedModel> {
    LoadedModel::from_bytes(Path::new(BUILTIN), demo::WEIGHTS.to_vec(), ModelOptions::default())
}

/// What, besides the weights file, says which network it is.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// The reference programs' .yml options, for what tensors cannot tell.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Overrides one option, e.g. --set scale=2. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Which set of weights in the file: params_ema, params, ...
    #[arg(long, value_name = "KEY")]
    pub param_key: Option<String>,
}

/// A weights file and what says which network it is.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// Weights (.pth or .safetensors); `demo` means the small ones built into the program.
    #[arg(short, long, value_name = "FILE")]
    pub model: PathBuf,
    /// What says which network it is.
    #[command(flatten)]
    pub network: NetworkArgs,
}

impl NetworkArgs {
    /// The same as the engine takes it.
    pub fn options(&self) -> ModelOptions<'_> {
        ModelOptions { config: self.config.as_deref(), set: &self.set, param_key: self.param_key.as_deref() }
    }

    /// Opens and recognises the model of that file; prints what is odd about it on stderr.
    ///
    /// # Errors
    /// As [`LoadedModel::open`].
    pub fn open(&self, file: &Path) -> Result<LoadedModel> {
        let model = match file.as_os_str() == BUILTIN && !file.exists() {
            true => open_builtin()?,
            false => LoadedModel::open(file, self.options())?,
        };
        for warning in model.warnings() {
            eprintln!("swath: warning: {}: {warning}", file.display());
        }
        Ok(model)
    }
}

impl ModelArgs {
    /// As [`NetworkArgs::open`].
    ///
    /// # Errors
    /// As [`LoadedModel::open`].
    pub fn open(&self) -> Result<LoadedModel> {
        self.network.open(&self.model)
    }
}
