//! An example's labels: maps from `gt.png`, objects from `gt.json`, classes from `gt.txt`.

use std::path::Path;

use serde_json::Value;

use super::config::{DatasetConfig, TaskConfig};
use super::json::{self, list, number, pair, read_text, short, whole};
use super::planes::Planes;
use super::ring::fill;
use crate::error::{Error, InFile, Result};
use crate::models::Task;
use crate::raster::{Picture, Samples};

/// Most objects of one example.
const MAX_OBJECTS: usize = 1 << 16;
/// Most points of one ring.
const MAX_POINTS: usize = 1 << 16;
/// Bits of classes in a file of three bands.
const WIDE_BITS: usize = 24;

/// A labelled object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boxed {
    /// Left, top, right, bottom in pixels.
    pub bounds: [f32; 4],
    /// Place of its category.
    pub category: usize,
}

/// What is labelled.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// A class or number per pixel (one plane), or zero and one per class (a plane each), and one plane that is
    /// not zero where they are known.
    Map {
        /// The labels.
        planes: Planes,
        /// Where they are known.
        known: Planes,
    },
    /// Objects, with a plane of zeros and ones each where the task has masks.
    Objects {
        /// The objects.
        objects: Vec<Boxed>,
        /// Their masks.
        masks: Option<Planes>,
    },
    /// One class.
    Class(usize),
    /// Any of the classes.
    Classes(Vec<bool>),
}

/// What reads a kind of file.
type Reader = fn(&Path, &TaskConfig, &DatasetConfig) -> Result<Label>;

/// Reads an example's labels; `None` when it has none.
///
/// # Errors
/// `Io`; `Format` for labels that the task does not have, `Shape` for maps of another size, `Limit`.
pub fn read_label(folder: &Path, task: &TaskConfig, config: &DatasetConfig) -> Result<Option<Label>> {
    let (end, read): (&str, Reader) = match task.task {
        Task::Segment | Task::Regress => ("png", numbers),
        Task::BinSegment => ("png", bits),
        Task::Detect => ("json", boxes),
        Task::Instance => ("json", instances),
        Task::Classification => ("txt", class),
        Task::MultiLabel => ("txt", classes),
    };
    let path = folder.join(format!("gt.{end}"));
    path.is_file().then(|| read(&path, task, config)).transpose()
}

/// A grey picture's samples, of any width.
fn grey(path: &Path) -> Result<(Picture, Vec<u32>)> {
    let picture = Picture::read(path)?;
    let samples = match &picture.samples {
        Samples::U8(samples) => samples.iter().map(|v| u32::from(*v)).collect(),
        Samples::U16(samples) => samples.iter().map(|v| u32::from(*v)).collect(),
        Samples::F32(_) => Vec::new(),
    };
    Ok((picture, samples))
}

fn sized(picture: &Picture, bands: usize, config: &DatasetConfig, path: &Path) -> Result<()> {
    let (w, h, chip) = (picture.width, picture.height, config.chip);
    if picture.bands != bands {
        let message = format!("{} bands, where labels have {bands}", picture.bands);
        return Err(Error::shape(message).in_file(path));
    }
    if !config.any_size && [w, h] != [chip, chip] {
        let message = format!("{w}x{h} pixels, where {chip}x{chip} are expected (ChipSize)");
        return Err(Error::shape(message).in_file(path));
    }
    Ok(())
}

fn numbers(path: &Path, task: &TaskConfig, config: &DatasetConfig) -> Result<Label> {
    let (picture, samples) = grey(path)?;
    sized(&picture, 1, config, path)?;
    let mut planes = Planes::zeros(1, picture.height, picture.width)?;
    let classes = task.categories.len();
    for (pixel, sample) in planes.data.iter_mut().zip(samples) {
        let value = match task.class_map.is_empty() {
            true => sample,
            // Classes that are not named become the first.
            false => {
                let to = task.class_map.iter().rev().find(|(from, _)| *from == sample as usize);
                to.map_or(0, |(_, to)| *to as u32)
            }
        };
        let allowed = task.task == Task::Regress || (value as usize) < classes;
        *pixel = u8::try_from(value).ok().filter(|_| allowed).ok_or_else(|| {
            let most = if task.task == Task::Regress { 255 } else { classes - 1 };
            Error::format(format!("a pixel of value {value}; labels go up to {most}")).in_file(path)
        })?;
    }
    let mut known = planes.clone();
    known.data.iter_mut().for_each(|v| *v = u8::from(!task.background_unknown || *v > 0));
    Ok(Label::Map { planes, known })
}

fn bits(path: &Path, task: &TaskConfig, config: &DatasetConfig) -> Result<Label> {
    let classes = task.categories.len();
    let (bands, a_file) = if task.wide_bits { (3, WIDE_BITS) } else { (1, classes.max(1)) };
    let mut planes: Option<Planes> = None;
    for (file, first) in (0..classes).step_by(a_file).enumerate() {
        let path = match file {
            0 => path.to_path_buf(),
            more => path.with_file_name(format!("gt_{more}.png")),
        };
        let (picture, samples) = grey(&path)?;
        sized(&picture, bands, config, &path)?;
        let planes = match &mut planes {
            Some(planes) => planes,
            none => none.insert(Planes::zeros(classes, picture.height, picture.width)?),
        };
        if planes.area() != picture.width * picture.height {
            return Err(Error::shape("another size than gt.png").in_file(path));
        }
        for class in first..classes.min(first + a_file) {
            let bit = class - first;
            let pixels = planes.plane_mut(class).iter_mut().zip(samples.chunks_exact(bands));
            pixels.for_each(|(pixel, samples)| *pixel = has_bit(samples, bit));
        }
    }
    let Some(mut planes) = planes else { return Err(Error::format("no classes").in_file(path)) };
    if !task.class_map.is_empty() {
        let mut mapped = Planes::zeros(classes, planes.height, planes.width)?;
        for &(from, to) in &task.class_map {
            mapped.plane_mut(from).fill(0);
            for (pixel, set) in mapped.plane_mut(to).iter_mut().zip(planes.plane(from)) {
                *pixel |= set;
            }
        }
        planes = mapped;
    }
    let mut known = Planes::zeros(1, planes.height, planes.width)?;
    for (at, pixel) in known.data.iter_mut().enumerate() {
        let any = || (0..classes).any(|class| planes.plane(class)[at] != 0);
        *pixel = u8::from(!task.background_unknown || any());
    }
    Ok(Label::Map { planes, known })
}

/// A bit of a pixel's sample, or of its three, eight each.
fn has_bit(samples: &[u32], bit: usize) -> u8 {
    let sample = match samples {
        [one] => u32::try_from(bit).ok().and_then(|bit| one.checked_shr(bit)),
        more => more.get(bit / 8).map(|sample| sample >> (bit % 8)),
    };
    sample.map_or(0, |shifted| (shifted & 1) as u8)
}

fn entries(path: &Path) -> Result<Vec<Value>> {
    match json::read(path)? {
        Value::Array(entries) if entries.len() <= MAX_OBJECTS => Ok(entries),
        Value::Array(entries) => {
            Err(Error::limit(format!("{} objects; at most {MAX_OBJECTS}", entries.len())).in_file(path))
        }
        _ => Err(Error::format("no list of objects").in_file(path)),
    }
}

fn boxes(path: &Path, task: &TaskConfig, _: &DatasetConfig) -> Result<Label> {
    let object = |entry: &Value| -> Result<Boxed> {
        let [x0, y0, x1, y1, category, ..] = list(entry) else {
            return Err(Error::format(format!("{} is no [x1, y1, x2, y2, category]", short(entry))));
        };
        let mut bounds = [0.0; 4];
        for (side, value) in bounds.iter_mut().zip([x0, y0, x1, y1]) {
            *side = number(value)? as f32;
        }
        Ok(Boxed { bounds, category: task.category(category.as_str().unwrap_or_default())? })
    };
    let objects: Vec<Boxed> = entries(path)?.iter().map(object).collect::<Result<_>>().in_file(path)?;
    let objects = objects.into_iter().filter(|o| wanted(task, o.category)).collect();
    Ok(Label::Objects { objects, masks: None })
}

fn wanted(task: &TaskConfig, category: usize) -> bool {
    task.only.is_empty() || task.only.contains(&category)
}

fn instances(path: &Path, task: &TaskConfig, config: &DatasetConfig) -> Result<Label> {
    let side = config.chip;
    let mut objects = Vec::new();
    let mut kept: Vec<Rings> = Vec::new();
    let mut mask = vec![0u8; side * side];
    for entry in entries(path)? {
        let (object, rings) = instance(&entry, task, side).in_file(path)?;
        let bounds = object.bounds;
        let [w, h] = [bounds[2] - bounds[0], bounds[3] - bounds[1]];
        let small = f64::from(w) < task.least_side || f64::from(h) < task.least_side;
        let short = task.least_perimeter.is_some_and(|least| f64::from(2.0 * (w + h)) < least);
        if small || short || !wanted(task, object.category) {
            continue;
        }
        draw(&rings, side, &mut mask);
        if mask.iter().any(|v| *v != 0) {
            objects.push(object);
            kept.push(rings);
        }
    }
    let mut masks = Planes::zeros(objects.len(), side, side).in_file(path)?;
    for (at, rings) in kept.iter().enumerate() {
        draw(rings, side, masks.plane_mut(at));
    }
    Ok(Label::Objects { objects, masks: Some(masks) })
}

fn draw(rings: &[Vec<[i32; 2]>], side: usize, mask: &mut [u8]) {
    mask.fill(0);
    for (at, ring) in rings.iter().enumerate() {
        fill(ring, side, side, mask, u8::from(at == 0));
    }
}

/// Rings of an object, the exterior first.
type Rings = Vec<Vec<[i32; 2]>>;

/// The box within the chip and the rings of `[id, rings, category, properties]`.
fn instance(entry: &Value, task: &TaskConfig, side: usize) -> Result<(Boxed, Rings)> {
    let [_, rings, category, ..] = list(entry) else {
        return Err(Error::format(format!("{} is no [id, rings, category, properties]", short(entry))));
    };
    let ring = |value: &Value| -> Result<Vec<[i32; 2]>> {
        let points = list(value);
        match points.len() <= MAX_POINTS {
            true => points.iter().map(|point| pair(point, whole)).collect(),
            false => Err(Error::limit(format!("a ring of {} points; at most {MAX_POINTS}", points.len()))),
        }
    };
    let rings: Rings = list(rings).iter().map(ring).collect::<Result<_>>()?;
    let Some(exterior) = rings.first().filter(|ring| !ring.is_empty()) else {
        return Err(Error::format(format!("{} has no exterior", short(entry))));
    };
    let category = task.category(category.as_str().unwrap_or_default())?;
    let within = |v: i32| v.clamp(0, i32::try_from(side).unwrap_or(i32::MAX));
    let mut bounds = [i32::MAX, i32::MAX, i32::MIN, i32::MIN];
    for [x, y] in exterior {
        bounds = [bounds[0].min(*x), bounds[1].min(*y), bounds[2].max(*x), bounds[3].max(*y)];
    }
    Ok((Boxed { bounds: bounds.map(|v| within(v) as f32), category }, rings))
}

/// Most bytes of a text file of classes.
const MAX_TEXT: u64 = 1 << 20;

fn class(path: &Path, task: &TaskConfig, _: &DatasetConfig) -> Result<Label> {
    let text = read_text(path, MAX_TEXT)?;
    let name = text.lines().next().unwrap_or_default().trim();
    task.category(name).map(Label::Class).in_file(path)
}

fn classes(path: &Path, task: &TaskConfig, _: &DatasetConfig) -> Result<Label> {
    let text = read_text(path, MAX_TEXT)?;
    let mut classes = vec![false; task.categories.len()];
    // Words that are no numbers are passed over.
    for word in text.lines().next().unwrap_or_default().split(',') {
        let Ok(number) = word.replace(' ', "").parse::<usize>() else { continue };
        let Some(class) = classes.get_mut(number) else {
            let message = format!("class {number}; there are {}", task.categories.len());
            return Err(Error::format(message).in_file(path));
        };
        *class = true;
    }
    Ok(Label::Classes(classes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::png;
    use serde_json::json;

    fn config(task: &Value) -> DatasetConfig {
        DatasetConfig::parse(&json!({"ChipSize": 8, "Tasks": [task]})).unwrap()
    }

    fn inline(kind: &str, more: &Value) -> Value {
        let mut task = json!({"Name": "t", "Task": {"type": kind, "categories": ["a", "b", "c"]}});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    }

    fn read(folder: &Path, config: &DatasetConfig) -> Result<Option<Label>> {
        read_label(folder, &config.tasks[0], config)
    }

    fn write_map(folder: &Path, file: &str, bands: usize, values: impl Fn(usize) -> u8) {
        let samples = Samples::U8((0..64 * bands).map(values).collect());
        png::write(&folder.join(file), 8, 8, bands, &samples).unwrap();
    }

    #[test]
    fn maps_hold_classes_or_bits_and_classes_may_become_others() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(read(folder, &config(&inline("segment", &json!({})))).unwrap(), None);
        write_map(folder, "gt.png", 1, |at| (at % 3) as u8);
        let Some(Label::Map { planes, known }) =
            read(folder, &config(&inline("segment", &json!({"ClassMap": {"c": 1}})))).unwrap()
        else {
            panic!()
        };
        assert_eq!((&planes.data[..4], &known.data[..4]), (&[0, 0, 1, 0][..], &[1; 4][..]));
        let mut unknown = inline("bin_segment", &json!({"ClassMap": {"b": 0, "a": 0}}));
        unknown["Task"]["BackgroundInvalid"] = json!(true);
        let Some(Label::Map { planes, known }) = read(folder, &config(&unknown)).unwrap() else { panic!() };
        assert_eq!((&planes.plane(0)[..4], &planes.plane(1)[..4]), (&[0, 1, 1, 0][..], &[0; 4][..]));
        assert_eq!(known.data[..4], [0, 1, 1, 0]);
        write_map(folder, "gt.png", 1, |at| (at % 4) as u8);
        let error = read(folder, &config(&inline("segment", &json!({})))).unwrap_err().to_string();
        assert!(error.contains("a pixel of value 3; labels go up to 2"), "{error}");
    }

    #[test]
    fn many_classes_are_bits_of_three_bands() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..26).map(|k| format!("c{k}")).collect();
        let task = json!({"Name": "t", "Task": {"type": "bin_segment", "categories": names, "RGB": true}});
        write_map(folder.path(), "gt.png", 3, |at| if at == 4 { 0x81 } else { 0 });
        write_map(folder.path(), "gt_1.png", 3, |at| if at == 6 { 2 } else { 0 });
        let Some(Label::Map { planes, .. }) = read(folder.path(), &config(&task)).unwrap() else { panic!() };
        let set: Vec<(usize, usize)> =
            (0..26 * 64).filter(|at| planes.data[*at] != 0).map(|at| (at / 64, at % 64)).collect();
        assert_eq!(set, [(8, 1), (15, 1), (25, 2)]);
    }

    #[test]
    fn objects_too_small_or_of_other_categories_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |value: Value| std::fs::write(folder.path().join("gt.json"), value.to_string()).unwrap();
        write(json!([[1, 2, 3.5, 4, "b", {"x": 1}], [0, 0, 9, 9, "c"]]));
        let found = read(folder.path(), &config(&inline("detect", &json!({"ClassMask": ["b"]})))).unwrap();
        let only = Boxed { bounds: [1.0, 2.0, 3.5, 4.0], category: 1 };
        assert_eq!(found, Some(Label::Objects { objects: vec![only], masks: None }));
        write(json!([
            ["x", [[[2, 2], [5, 2], [5, 5], [2, 5]], [[3, 3], [4, 3], [4, 4], [3, 4]]], "b", {}],
            ["y", [[[2, 2], [3, 2], [3, 5]]], "b", {}],
            ["z", [[[-9, 0], [99, 0], [99, 4], [-9, 4]]], "c", {}],
            ["w", [[[-9, -9], [-5, -9], [-5, -4]]], "c", {}],
        ]));
        let Some(Label::Objects { objects, masks: Some(masks) }) =
            read(folder.path(), &config(&inline("instance", &json!({})))).unwrap()
        else {
            panic!()
        };
        assert_eq!(objects[0], Boxed { bounds: [2.0, 2.0, 5.0, 5.0], category: 1 });
        assert_eq!(objects[1], Boxed { bounds: [0.0, 0.0, 8.0, 4.0], category: 2 });
        assert_eq!((objects.len(), masks.count), (2, 2));
        assert_eq!(masks.plane(0).iter().map(|v| usize::from(*v)).sum::<usize>(), 16 - 4);
        for bad in [json!({}), json!([[1, 2, 3]]), json!([[1, 2, 3, 4, "d"]]), json!([["a", 2, 3, 4, "b"]])] {
            write(bad.clone());
            let error = read(folder.path(), &config(&inline("detect", &json!({})))).unwrap_err();
            assert!(error.kind() == crate::Kind::Format && error.file().is_some(), "{bad}: {error}");
        }
    }

    #[test]
    fn classes_are_names_or_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("gt.txt"), text).unwrap();
        write("b\nmore");
        assert_eq!(
            read(folder.path(), &config(&inline("classification", &json!({})))).unwrap(),
            Some(Label::Class(1))
        );
        write("0, 2,x");
        let many = config(&inline("multi-label-classification", &json!({})));
        assert_eq!(read(folder.path(), &many).unwrap(), Some(Label::Classes(vec![true, false, true])));
        write("3");
        assert!(read(folder.path(), &many).unwrap_err().to_string().contains("class 3; there are 3"));
    }
}
