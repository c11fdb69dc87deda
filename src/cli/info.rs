//! `swath info`: what a file holds.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::model::NetworkArgs;
use super::weights::{not_json, print};
use crate::engine::LoadedModel;
use crate::error::{InFile, Result};
use crate::raster::scene::describe;
use crate::raster::OpenOptions;

/// Says what a scene or a weights file holds: dates, bands, place; or network, input, cost.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A .SAFE folder, an image, a folder of those; or weights (.pth, .safetensors).
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
/// As [`LoadedModel::open`] and [`describe`].
pub fn run(args: &Args) -> Result<()> {
    if !is_weights(&args.file) {
        let report = describe(&args.file, &OpenOptions::default())?;
        return print(&report, || serde_json::to_value(&report).map_err(not_json), args.json);
    }
    let model = LoadedModel::open(&args.file, args.network.options())?;
    let description = model.describe().in_file(&args.file)?;
    print(&description, || serde_json::to_value(&description).map_err(not_json), args.json)
}

/// Whether a file's name says that it holds weights.
fn is_weights(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(extension.as_str(), "pth" | "pt" | "bin" | "ckpt" | "state" | "safetensors")
}
