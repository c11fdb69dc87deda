//! A network on a raw tensor, as people compare it with PyTorch.

use super::detections;
use super::model::LoadedModel;
use super::session::{Engine, Session};
use crate::error::{Error, Result};
use crate::models::{Frames, InputSize, InputSpec};
use crate::util::npy::Array;

/// Runs the model on `input`, normalised already, of N,C,H,W or, for networks that take dates
/// apart, N,T,C,H,W. Gives every output by name, detections as one list per image, then the taps.
///
/// # Errors
/// `Shape` for an input the network cannot take; as [`Engine::compile`].
pub fn forward(
    engine: &Engine,
    model: &LoadedModel,
    input: &Array,
    taps: &[String],
    budget: Option<u64>,
) -> Result<Vec<(String, Array)>> {
    let size = input_size(model, &input.shape)?;
    let mut session = engine.compile(model, size, taps, budget)?;
    session.run(&input.data)?;
    results(&session)
}

/// Every output of a run by name, detections as one list per image.
///
/// # Errors
/// None for what networks give.
pub fn results(session: &Session) -> Result<Vec<(String, Array)>> {
    let outputs = session.outputs();
    let arrays = outputs.map(|(name, shape, data)| (name.to_string(), Array { shape, data: data.to_vec() }));
    detections::apart(arrays.collect())
}

/// Frames that so many stacked channels are, where the network takes as many; else those it was made for.
fn frames_in(spec: &InputSpec, channels: usize) -> usize {
    let frames = channels / spec.channels.max(1);
    let fits = frames * spec.channels == channels && spec.frames.contains(&frames);
    if fits {
        frames
    } else {
        spec.default_frames
    }
}

/// The size an input of those extents has for the model.
///
/// # Errors
/// `Shape` when rank or channels are not the model's.
pub fn input_size(model: &LoadedModel, dims: &[usize]) -> Result<InputSize> {
    let spec = model.network().input();
    let (batch, frames, channels, height, width) = match (spec.layout, dims) {
        (Frames::Stacked, &[n, c, h, w]) => (n, frames_in(&spec, c), c, h, w),
        (Frames::Apart, &[n, t, c, h, w]) => (n, t, c, h, w),
        (layout, _) => {
            let wanted = match layout {
                Frames::Stacked => "N,C,H,W",
                Frames::Apart => "N,T,C,H,W",
            };
            return Err(Error::shape(format!("an input of {dims:?}, but this network takes {wanted}")));
        }
    };
    let wanted = match spec.layout {
        Frames::Stacked => frames * spec.channels,
        Frames::Apart => spec.channels,
    };
    if channels != wanted {
        let (least, most) = (*spec.frames.start(), *spec.frames.end());
        let takes = match (spec.layout, spec.channels) {
            (Frames::Stacked, date) if least < most => format!("{date} a date, {least} to {most} dates"),
            (Frames::Stacked, date) if most == 1 && channels % date.max(1) == 0 => {
                format!(
                    "{wanted}, one date; --set n_s2_images={} makes it take as many",
                    channels / date.max(1)
                )
            }
            _ => wanted.to_string(),
        };
        let message = format!("an input of {channels} channels ({dims:?}), but this network takes {takes}");
        return Err(Error::shape(message));
    }
    Ok(InputSize { batch, frames, height, width })
}
