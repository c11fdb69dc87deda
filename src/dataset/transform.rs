//! What is done to an example before the network sees it: cropping, padding, resizing, changes of colour.
//!
//! The reference draws sizes and amounts at random; here they are arguments, so that whoever draws them says how.

use serde_json::Value;

use super::json::{list, short};
use super::labels::{Boxed, Label};
use super::planes::Planes;
use crate::error::{Error, Result};

/// Largest side asked for.
const MAX_SIDE: u64 = 1 << 14;

/// An example in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// All channels of all images.
    pub images: Planes,
    /// Its labels, where it has some.
    pub label: Option<Label>,
}

/// Where the image lies in a larger square, and which part of it is left in a smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// At the upper left; the upper left part.
    TopLeft,
    /// In the middle; the middle. Boxes move with the pixels.
    Centre,
    /// In the middle; but boxes stay where they were, as the reference leaves them.
    CentreBoxesLeft,
}

/// A transform of a configuration. Ranges are those that the reference draws from.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// A square part, perhaps mirrored.
    CropFlip {
        /// Least and largest side; none for the image's own.
        side: Option<Range>,
        /// Whether it may be mirrored left to right.
        horizontal: bool,
        /// Whether it may be mirrored top to bottom.
        vertical: bool,
    },
    /// A square around it.
    Pad {
        /// Least and largest side; none for the image's own.
        side: Option<Range>,
        /// Where the image lies in it.
        mode: PadMode,
    },
    /// Another size.
    Resize {
        /// Least and largest side.
        side: Range,
    },
    /// Exchanges ranges of channels within groups.
    MixChannels {
        /// Groups of ranges, from and to.
        groups: Vec<Vec<[usize; 2]>>,
    },
    /// Adds normally distributed noise.
    Noise {
        /// Its standard deviation, of bytes.
        deviation: f32,
    },
    /// Multiplies and adds.
    Brightness {
        /// The factor is one plus or minus at most this.
        factor: f32,
        /// What is added is at most this.
        bias: f32,
    },
}

/// Sides from the least to the largest, multiples of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub least: usize,
    /// The largest.
    pub most: usize,
    /// What they are rounded down to a multiple of.
    pub multiple: usize,
}

impl Range {
    /// The one side there is, where the range leaves nothing to draw.
    fn only(&self) -> Option<usize> {
        (self.least == self.most).then(|| self.most / self.multiple * self.multiple)
    }
}

impl Transform {
    /// Reads an entry of a configuration's list of transforms.
    ///
    /// # Errors
    /// `Usage` for a name that is not known, `Format` for sides that cannot be.
    pub fn parse(entry: &Value) -> Result<Self> {
        let side = |least: &str, most: &str, one: &str| -> Result<Option<Range>> {
            let number = |value: &Value| -> Result<usize> {
                let found = value.as_u64().filter(|n| (1..=MAX_SIDE).contains(n)).map(|n| n as usize);
                found.ok_or_else(|| Error::format(format!("a side of {}; 1 to {MAX_SIDE}", short(value))))
            };
            let multiple = if entry["MultipleOf"].is_null() { 1 } else { number(&entry["MultipleOf"])? };
            match (&entry[least], &entry[most], &entry[one]) {
                (Value::Null, _, Value::Null) | (_, Value::Null, Value::Null) => Ok(None),
                (Value::Null, _, only) | (_, Value::Null, only) => {
                    number(only).map(|n| Some(Range { least: n, most: n, multiple: 1 }))
                }
                (least, most, _) => Ok(Some(Range { least: number(least)?, most: number(most)?, multiple })),
            }
        };
        let flag = |key: &str| entry[key].as_bool().unwrap_or(false);
        let amount = |key: &str| entry[key].as_f64().unwrap_or(0.0) as f32;
        Ok(match entry["Name"].as_str().unwrap_or_default() {
            "CropFlip" => Self::CropFlip {
                side: side("CropMin", "CropMax", "Crop")?,
                horizontal: flag("HorizontalFlip"),
                vertical: flag("VerticalFlip"),
            },
            "Pad" => Self::Pad {
                side: side("PadMin", "PadMax", "PadTo")?,
                mode: match entry["Mode"].as_str() {
                    None | Some("topleft") => PadMode::TopLeft,
                    Some("center") => PadMode::Centre,
                    Some(other) => return Err(Error::format(format!("Pad: Mode {other} is not known"))),
                },
            },
            "Resize" => Self::Resize {
                side: side("ResizeMin", "ResizeMax", "ResizeTo")?
                    .ok_or_else(|| Error::format("Resize: no ResizeMin and ResizeMax"))?,
            },
            "MixChannels" => Self::MixChannels { groups: groups(&entry["MixGroups"]) },
            "Noise" => Self::Noise { deviation: amount("Noise") },
            "Brightness" => Self::Brightness { factor: amount("MaxFactor"), bias: amount("MaxBias") },
            other => return Err(Error::usage(format!("no transform named \"{other}\""))),
        })
    }

    /// Does to an example what leaves nothing to draw; `boxes_left` keeps the reference's habit.
    ///
    /// # Errors
    /// `Usage` for a transform that draws; `Limit`.
    pub fn apply(&self, sample: Sample, boxes_left: bool) -> Result<Sample> {
        let own = sample.images.height;
        match self {
            Self::Pad { side, mode } => {
                let Some(side) = side.map_or(Some(own), |side| side.only()) else { return Err(self.draws()) };
                let left = *mode == PadMode::Centre && boxes_left;
                pad(sample, side, if left { PadMode::CentreBoxesLeft } else { *mode })
            }
            Self::Resize { side } => match side.only() {
                Some(side) => resize(sample, side),
                None => Err(self.draws()),
            },
            _ => Err(self.draws()),
        }
    }

    fn draws(&self) -> Error {
        let name = match self {
            Self::CropFlip { .. } => "CropFlip",
            Self::Pad { .. } => "Pad of several sizes",
            Self::Resize { .. } => "Resize to several sizes",
            Self::MixChannels { .. } => "MixChannels",
            Self::Noise { .. } => "Noise",
            Self::Brightness { .. } => "Brightness",
        };
        Error::usage(format!(
            "{name} draws at random, and an evaluation must not; take it out of the transforms"
        ))
    }
}

fn groups(value: &Value) -> Vec<Vec<[usize; 2]>> {
    let range = |value: &Value| -> Option<[usize; 2]> {
        let ends: Vec<usize> = list(value).iter().filter_map(|v| v.as_u64().map(|v| v as usize)).collect();
        ends.try_into().ok()
    };
    list(value).iter().map(|group| list(group).iter().filter_map(range).collect()).collect()
}

/// A square part of an example, perhaps mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crop {
    /// Its side, in pixels; beyond the image are zeros.
    pub side: usize,
    /// Columns left of it.
    pub left: usize,
    /// Rows above it.
    pub top: usize,
    /// Whether left and right are exchanged.
    pub horizontal: bool,
    /// Whether top and bottom are.
    pub vertical: bool,
}

/// Cuts a part out. Objects stay whose centre lies within it and whose mask is not empty; their boxes are moved,
/// not cut.
///
/// # Errors
/// `Limit` for a part too large to hold.
pub fn crop(sample: Sample, crop: Crop) -> Result<Sample> {
    let Crop { side, left, top, horizontal, vertical } = crop;
    let turned = |at: usize, flip: bool| if flip { side - 1 - at } else { at };
    let from = |y: usize, x: usize| Some([turned(y, vertical) + top, turned(x, horizontal) + left]);
    let sample = remapped(sample, [side; 2], from)?;
    let (size, corner) = (side as f32, [left as f32, top as f32]);
    Ok(with_objects(sample, |object| {
        let centre = centre(object);
        let inside = |axis: usize| centre[axis] > corner[axis] && centre[axis] < corner[axis] + size;
        let [x0, y0, x1, y1] = object.bounds;
        let [mut x, mut y] = [[x0 - corner[0], x1 - corner[0]], [y0 - corner[1], y1 - corner[1]]];
        for (ends, flip) in [(&mut x, horizontal), (&mut y, vertical)] {
            if flip {
                *ends = [size - ends[1], size - ends[0]];
            }
        }
        (inside(0) && inside(1)).then_some([x[0], y[0], x[1], y[1]])
    }))
}

/// Puts an example into a square, or takes a square out of it. Objects stay whose centre lies above and left of
/// its lower right end and whose mask is not empty.
///
/// # Errors
/// `Limit` for a square too large to hold.
pub fn pad(sample: Sample, side: usize, mode: PadMode) -> Result<Sample> {
    // Pixels before the image, and pixels of it that are left out there.
    let ends = |extent: usize| match (mode, extent < side) {
        (PadMode::TopLeft, _) => [0, 0],
        (_, true) => [side - extent - (side - extent) / 2, 0],
        (_, false) => [0, (extent - side) / 2],
    };
    let [rows, columns] = [ends(sample.images.height), ends(sample.images.width)];
    let from = |y: usize, x: usize| {
        Some([(y + rows[1]).checked_sub(rows[0])?, (x + columns[1]).checked_sub(columns[0])?])
    };
    let sample = remapped(sample, [side; 2], from)?;
    let shift = |[before, cut]: [usize; 2]| before as f32 - cut as f32;
    let [dx, dy] = match mode {
        PadMode::CentreBoxesLeft => [0.0; 2],
        _ => [shift(columns), shift(rows)],
    };
    Ok(with_objects(sample, |object| {
        let [x0, y0, x1, y1] = object.bounds;
        let moved = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
        let inside = |v: f32| v < side as f32 && (mode != PadMode::Centre || v > 0.0);
        centre(&Boxed { bounds: moved, ..*object }).into_iter().all(inside).then_some(moved)
    }))
}

/// Changes the size of a square example: images by a triangle filter as wide as a pixel of the coarser side,
/// labels by the nearest pixel, boxes in proportion.
///
/// # Errors
/// `Shape` for an image that is no square, `Limit` for one too large to hold.
pub fn resize(sample: Sample, side: usize) -> Result<Sample> {
    let Planes { height, width, .. } = sample.images;
    if height != width || side == 0 {
        return Err(Error::shape(format!("{width}x{height} pixels cannot be resized to {side}x{side}")));
    }
    let mut images = Planes::zeros(sample.images.count, side, side)?;
    for plane in 0..sample.images.count {
        let source: Vec<f32> = sample.images.plane(plane).iter().map(|v| f32::from(*v)).collect();
        for (pixel, value) in images.plane_mut(plane).iter_mut().zip(triangle(&source, height, side)) {
            *pixel = value.round().clamp(0.0, 255.0) as u8;
        }
    }
    // The quotient is f32, as in PyTorch, so that a pixel on the edge falls on the same side.
    let scale = height as f32 / side as f32;
    let nearest = |at: usize| ((at as f32 * scale) as usize).min(height - 1);
    let label = sample.label.map(|label| {
        map_label(label, |planes| planes.remapped([side; 2], |y, x| Some([nearest(y), nearest(x)])))
    });
    let sample = Sample { images, label: label.transpose()? };
    let factor = (side as f64 / height as f64) as f32;
    Ok(with_boxes(sample, |object| Some(object.bounds.map(|v| v * factor)), false))
}

/// A square plane in another size, by a triangle filter: PyTorch's bilinear interpolation with antialiasing.
pub fn triangle(source: &[f32], from: usize, to: usize) -> Vec<f32> {
    let weights = weights(from, to);
    let mut columns = vec![0.0; from * to];
    for (row, out) in source.chunks_exact(from).zip(columns.chunks_exact_mut(to)) {
        for ((first, weights), out) in weights.iter().zip(out) {
            *out = weights.iter().zip(&row[*first..]).map(|(w, v)| w * v).sum();
        }
    }
    let mut out = vec![0.0; to * to];
    for ((first, weights), row) in weights.iter().zip(out.chunks_exact_mut(to)) {
        for (k, weight) in weights.iter().enumerate() {
            let source = &columns[(first + k) * to..][..to];
            row.iter_mut().zip(source).for_each(|(out, v)| *out += weight * v);
        }
    }
    out
}

/// For each pixel of the new side, the first pixel of the old one that counts and the weights from there on.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    (0..to)
        .map(|at| {
            let centre = scale * (at as f64 + 0.5);
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let weight = |k: usize| (1.0 - ((k as f64 - centre + 0.5) / support).abs()).max(0.0);
            let all: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = all.iter().sum();
            (first, all.iter().map(|w| (w / sum) as f32).collect())
        })
        .collect()
}

/// Multiplies every byte by `factor`, adds `bias`, and cuts at 0 and 255 and fractions off.
pub fn brighten(planes: &mut Planes, factor: f32, bias: f32) {
    planes.data.iter_mut().for_each(|v| *v = (f32::from(*v) * factor + bias).clamp(0.0, 255.0) as u8);
}

/// Adds `deviation` times the draws, one for each byte, and cuts at 0 and 255 and fractions off.
pub fn roughen(planes: &mut Planes, deviation: f32, draws: &[f32]) {
    for (v, draw) in planes.data.iter_mut().zip(draws) {
        *v = (f32::from(*v) + deviation * draw).clamp(0.0, 255.0) as u8;
    }
}

/// Copies ranges of channels over others: each pair's first onto its second. Ranges that are not of equal length,
/// or not there, are left.
pub fn mix_channels(planes: &mut Planes, pairs: &[([usize; 2], [usize; 2])]) {
    let before = planes.clone();
    for ([from, from_end], [to, to_end]) in pairs {
        let count = from_end.saturating_sub(*from);
        if to_end.saturating_sub(*to) != count || *from_end.max(to_end) > planes.count {
            continue;
        }
        (0..count).for_each(|k| planes.plane_mut(to + k).copy_from_slice(before.plane(from + k)));
    }
}

fn centre(object: &Boxed) -> [f32; 2] {
    let [x0, y0, x1, y1] = object.bounds;
    [(x0 + x1) / 2.0, (y0 + y1) / 2.0]
}

/// All planes of an example, images and labels, in another size.
fn remapped(
    sample: Sample,
    size: [usize; 2],
    from: impl Fn(usize, usize) -> Option<[usize; 2]> + Copy,
) -> Result<Sample> {
    let images = sample.images.remapped(size, from)?;
    let label = sample.label.map(|label| map_label(label, |planes| planes.remapped(size, from)));
    Ok(Sample { images, label: label.transpose()? })
}

fn map_label(label: Label, change: impl Fn(&Planes) -> Result<Planes>) -> Result<Label> {
    Ok(match label {
        Label::Map { planes, known } => Label::Map { planes: change(&planes)?, known: change(&known)? },
        Label::Objects { objects, masks } => {
            Label::Objects { objects, masks: masks.map(|masks| change(&masks)).transpose()? }
        }
        classes @ (Label::Class(_) | Label::Classes(_)) => classes,
    })
}

/// Objects with other boxes; those without one, and those whose mask is empty, are left out.
fn with_objects(sample: Sample, change: impl Fn(&Boxed) -> Option<[f32; 4]>) -> Sample {
    with_boxes(sample, change, true)
}

fn with_boxes(mut sample: Sample, change: impl Fn(&Boxed) -> Option<[f32; 4]>, drop_empty: bool) -> Sample {
    let Some(Label::Objects { objects, masks }) = &mut sample.label else { return sample };
    let seen = |at: usize| match &*masks {
        Some(masks) if drop_empty => masks.plane(at).iter().any(|v| *v != 0),
        _ => true,
    };
    let changed: Vec<Option<Boxed>> = objects
        .iter()
        .enumerate()
        .map(|(at, object)| change(object).filter(|_| seen(at)).map(|bounds| Boxed { bounds, ..*object }))
        .collect();
    let keep: Vec<bool> = changed.iter().map(Option::is_some).collect();
    if let Some(masks) = masks {
        masks.retain(&keep);
    }
    *objects = changed.into_iter().flatten().collect();
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_draws_at_random_is_no_part_of_an_evaluation() {
        let sample = || Sample { images: Planes::zeros(1, 4, 4).unwrap(), label: None };
        let apply = |entry: Value| Transform::parse(&entry).and_then(|t| t.apply(sample(), false));
        assert_eq!(apply(json!({"Name": "Pad", "PadTo": 6})).unwrap().images.width, 6);
        assert_eq!(apply(json!({"Name": "Pad"})).unwrap().images.width, 4);
        let resize = json!({"Name": "Resize", "ResizeMin": 9, "ResizeMax": 9, "MultipleOf": 4});
        assert_eq!(apply(resize).unwrap().images.width, 8);
        for entry in [
            json!({"Name": "Resize", "ResizeMin": 8, "ResizeMax": 9}),
            json!({"Name": "CropFlip", "Crop": 2}),
            json!({"Name": "Noise", "Noise": 5}),
            json!({"Name": "Blur"}),
        ] {
            assert_eq!(apply(entry.clone()).unwrap_err().kind(), crate::Kind::Usage, "{entry}");
        }
        for entry in [
            json!({"Name": "Pad", "PadTo": 0}),
            json!({"Name": "Pad", "PadTo": 1e9}),
            json!({"Name": "Resize"}),
        ] {
            assert_eq!(apply(entry.clone()).unwrap_err().kind(), crate::Kind::Format, "{entry}");
        }
    }

    #[test]
    fn boxes_move_with_the_pixels_unless_the_reference_is_followed() {
        let images = Planes { count: 1, height: 2, width: 2, data: vec![1, 2, 3, 4] };
        let object = Boxed { bounds: [0.0, 0.0, 2.0, 1.0], category: 1 };
        let label = Label::Objects { objects: vec![object], masks: None };
        let sample = || Sample { images: images.clone(), label: Some(label.clone()) };
        let bounds = |sample: &Sample| match &sample.label {
            Some(Label::Objects { objects, .. }) => objects[0].bounds,
            _ => panic!(),
        };
        let padded = pad(sample(), 5, PadMode::Centre).unwrap();
        assert_eq!(padded.images.data[10..15], [0, 0, 1, 2, 0]);
        assert_eq!(bounds(&padded), [2.0, 2.0, 4.0, 3.0]);
        assert_eq!(bounds(&pad(sample(), 5, PadMode::CentreBoxesLeft).unwrap()), object.bounds);
        let crop = Crop { side: 2, left: 1, top: 0, horizontal: true, vertical: true };
        let cut = super::crop(sample(), crop).unwrap();
        assert_eq!(cut.images.data, [0, 4, 0, 2]);
        assert_eq!(
            cut.label,
            Some(Label::Objects { objects: vec![], masks: None }),
            "its centre is on the edge"
        );
    }
}
