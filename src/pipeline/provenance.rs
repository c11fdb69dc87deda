//! What results say of their origin: the program, the network, the tiles, every date and what was done to it.

use std::path::Path;

use super::input::Input;
use super::job::JobOptions;
use crate::engine::LoadedModel;
use crate::error::Result;
use crate::raster::{FrameInfo, FrameSource};

/// Names and values, without the time of writing. `values` says what the numbers mean.
///
/// # Errors
/// `Io` when the weights file cannot be read.
pub fn provenance(
    options: &JobOptions,
    input: &Input,
    model: &LoadedModel,
    values: &str,
) -> Result<Vec<(String, String)>> {
    let config: Vec<String> = model
        .network()
        .config()
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let shared = options.overlap.pixels(model)?;
    let mut items = vec![
        ("SOFTWARE", format!("swath {}", env!("CARGO_PKG_VERSION"))),
        ("MODEL", format!("{} ({})", model_name(model), model.family().title)),
        ("MODEL_SHA256", model.sha256()?.to_string()),
        ("MODEL_OPTIONS", config.join(" ")),
        ("TILES", format!("overlap {shared} px, {:?}, seed {}", options.blend, options.seed).to_lowercase()),
        ("VALUES", values.to_string()),
    ];
    if input.series.grid().georef.is_none() {
        items.push(("GEOREFERENCING", "none: the input has no coordinates".to_string()));
    }
    let mut items: Vec<(String, String)> =
        items.into_iter().map(|(k, v)| (format!("SWATH_{k}"), v)).collect();
    for (i, frame) in input.series.frames().iter().enumerate() {
        let notes: String = frame.notes.iter().map(|n| format!("; {n}")).collect();
        items.push((format!("SWATH_DATE_{}", i + 1), format!("{}{notes}", frame.label)));
    }
    Ok(items)
}

/// The weights file's name.
pub fn model_name(model: &LoadedModel) -> String {
    model.weights().path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a date was read from: the product, or the file it begins with.
pub fn source_name(frame: &FrameInfo) -> String {
    let Some(file) = frame.files.first() else { return frame.label.clone() };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let product = |path: &&Path| name(path).to_ascii_uppercase().contains(".SAFE");
    name(file.ancestors().find(product).unwrap_or(file))
}
