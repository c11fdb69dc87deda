//! What results say of their origin: the program, the network, the tiles, every date and what was done to it.

use std::path::Path;

use super::input::Input;
use super::job::JobOptions;
use crate::engine::LoadedModel;
use crate::error::Result;
use crate::raster::vector::Value;
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
    let frames = input.series.frames();
    for (name, frame) in [("SWATH_START", frames.first()), ("SWATH_END", frames.last())] {
        items.extend(frame.map(|frame| (name.to_string(), frame.label.clone())));
    }
    for (i, frame) in frames.iter().enumerate() {
        let notes: String = frame.notes.iter().map(|n| format!("; {n}")).collect();
        items.push((format!("SWATH_DATE_{}", i + 1), format!("{}{notes}", frame.label)));
    }
    Ok(items)
}

/// The weights file's name.
pub fn model_name(model: &LoadedModel) -> String {
    model.weights().path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a date was read from: the product, the folder of several files, or the file.
fn source_name(frame: &FrameInfo) -> String {
    let Some(file) = frame.files.first() else { return frame.label.clone() };
    let folder = file.parent().filter(|_| frame.files.len() > 1);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let product = |path: &&Path| name(path).to_ascii_uppercase().contains(".SAFE");
    name(file.ancestors().find(product).or(folder).unwrap_or(file))
}

/// Values of features made from dates, in time order: the first, the last, and what they were read from.
pub fn dates_of(frames: &[&FrameInfo]) -> [Value; 3] {
    let label = |frame: Option<&&FrameInfo>| frame.map_or(Value::Null, |f| Value::Text(f.label.clone()));
    let sources: Vec<String> = frames.iter().map(|frame| source_name(frame)).collect();
    [label(frames.first()), label(frames.last()), Value::Text(sources.join(", "))]
}
