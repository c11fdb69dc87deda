//! `swath info`: what a file holds.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::model::NetworkArgs;
use super::weights::{not_json, print};
use crate::engine::LoadedModel;
use crate::error::{InFile, Result};

/// Says what a weights file holds: network, options, input, cost, tiles.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Weights (.pth or .safetensors).
    file: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// As [`LoadedModel::open`].
pub fn run(args: &Args) -> Result<()> {
    let model = LoadedModel::open(&args.file, args.network.options())?;
    let description = model.describe().in_file(&args.file)?;
    print(&description, || serde_json::to_value(&description).map_err(not_json), args.json)
}
