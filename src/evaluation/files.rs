//! Pictures and outputs of examples as files, under the reference's names: `<example>_<task>_{im,out,gt}.png` and
//! `<example>_<task>.{png,npy,json,txt}`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::mask::{paste, polygons};
use super::output::{box_list, bytes, class_bits, class_map, encode_bits, surest, Output};
use super::picture::{colour, Canvas, Palette};
use crate::dataset::{Label, Planes, Sample, TaskConfig};
use crate::error::{Error, InFile, Result};
use crate::metrics::{Object, Prediction};
use crate::models::Task;
use crate::raster::{png, Samples};
use crate::util::npy;

/// Where files go, and the thresholds that outputs are shown at.
pub struct Files<'a> {
    /// Folder of pictures, where they are wanted.
    pub pictures: Option<&'a Path>,
    /// Folder of outputs, where they are wanted.
    pub outputs: Option<&'a Path>,
    /// Images that the channels of an example are of.
    pub images: usize,
    /// A threshold for each category.
    pub thresholds: Option<&'a [f64]>,
    /// Colours of the categories.
    pub palette: &'a Palette,
}

impl Files<'_> {
    /// Makes the folders.
    ///
    /// # Errors
    /// `Io`.
    pub fn prepare(&self) -> Result<()> {
        for folder in [self.pictures, self.outputs].into_iter().flatten() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::io("cannot create the folder", e))
                .in_file(folder)?;
        }
        Ok(())
    }

    /// Writes what is wanted of an example.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&self, example: &str, task: &TaskConfig, sample: &Sample, output: &Output) -> Result<()> {
        let stem = format!("{example}_{}", task.name);
        if let Some(folder) = self.pictures {
            let put = |what: &str, canvas: &Canvas| {
                let path = folder.join(format!("{stem}_{what}.png"));
                png::write_rgb(&path, canvas.width, canvas.height, &canvas.data)
            };
            let image = latest(&sample.images, self.images);
            if let Some(drawn) = self.drawn(task.task, &image, output)? {
                put("im", &image)?;
                put("out", &drawn)?;
            }
            let target = sample.label.as_ref().and_then(|label| self.target(task.task, &image, label));
            target.map_or(Ok(()), |target| put("gt", &target))?;
        }
        match self.outputs {
            Some(folder) => self.raw(&folder.join(stem), task, output),
            None => Ok(()),
        }
    }

    /// The output in colours; `None` for whole images' classes.
    fn drawn(&self, task: Task, image: &Canvas, output: &Output) -> Result<Option<Canvas>> {
        Ok(match output {
            Output::Map { planes, height, width, data } => Some(match task {
                Task::Segment => {
                    let classes = class_map(*planes, data, self.thresholds);
                    Canvas::of_classes(*width, *height, &classes, self.palette)
                }
                Task::BinSegment => {
                    let bits = class_bits(*planes, data, self.thresholds);
                    Canvas::of_bits(*width, *height, &bits, self.palette)
                }
                _ => Canvas::of_grey(*width, *height, &bytes(data)),
            }),
            Output::Objects { predictions, masks } => {
                let mut canvas = image.clone();
                let sure = surest(predictions, self.thresholds);
                match masks {
                    None => {
                        let objects: Vec<Object> = sure.iter().map(|(_, p)| p.object).collect();
                        canvas.outline(&objects, self.palette);
                    }
                    Some((side, masks)) => {
                        for (at, prediction) in &sure {
                            let mask =
                                masks.get(at * side * side..(at + 1) * side * side).unwrap_or_default();
                            let colour = colour(self.palette, prediction.object.category);
                            paste(&mut canvas, mask, *side, prediction.object.bounds, colour)?;
                        }
                    }
                }
                Some(canvas)
            }
            Output::Classes(_) => None,
        })
    }

    /// The target in colours.
    fn target(&self, task: Task, image: &Canvas, label: &Label) -> Option<Canvas> {
        match label {
            Label::Map { planes, .. } => {
                let (w, h) = (planes.width, planes.height);
                Some(match task {
                    Task::Segment => Canvas::of_classes(w, h, &planes.data, self.palette),
                    Task::BinSegment => {
                        let bits: Vec<bool> = planes.data.iter().map(|v| *v != 0).collect();
                        Canvas::of_bits(w, h, &bits, self.palette)
                    }
                    _ => Canvas::of_grey(w, h, &planes.data),
                })
            }
            Label::Objects { objects, masks } => {
                let mut canvas = image.clone();
                let objects: Vec<Object> =
                    objects.iter().map(|o| Object { bounds: o.bounds, category: o.category }).collect();
                match masks {
                    None => canvas.outline(&objects, self.palette),
                    Some(masks) => {
                        for (at, object) in objects.iter().enumerate() {
                            let mask = masks.plane(at);
                            let seen = |pixel: usize| mask.get(pixel).is_some_and(|v| *v != 0);
                            canvas.tint(seen, colour(self.palette, object.category));
                        }
                    }
                }
                Some(canvas)
            }
            Label::Class(_) | Label::Classes(_) => None,
        }
    }

    /// The output itself.
    fn raw(&self, stem: &Path, task: &TaskConfig, output: &Output) -> Result<()> {
        let ending = |end: &str| {
            let mut path = stem.as_os_str().to_owned();
            path.push(end);
            PathBuf::from(path)
        };
        match output {
            Output::Map { planes, height, width, data } => {
                let grey =
                    |values: Vec<u8>| png::write(&ending(".png"), *width, *height, 1, &Samples::U8(values));
                match task.task {
                    Task::Segment => grey(class_map(*planes, data, self.thresholds)),
                    Task::BinSegment => {
                        let path = ending(".npy");
                        let encoded = encode_bits(*planes, &class_bits(*planes, data, self.thresholds));
                        put(&path, |out| npy::write_u64_to(out, &[*height, *width], &encoded))
                    }
                    _ => grey(bytes(data)),
                }
            }
            Output::Objects { predictions, masks } => {
                let sure = surest(predictions, self.thresholds);
                let list = match masks {
                    None => box_list(&sure, &task.categories),
                    Some((side, masks)) => polygon_list(&sure, *side, masks, &task.categories)?,
                };
                put(&ending(".json"), |out| out.write_all(list.to_string().as_bytes()))
            }
            Output::Classes(probabilities) => {
                let largest = |best: usize, at: usize| {
                    if probabilities[at] > probabilities[best] {
                        at
                    } else {
                        best
                    }
                };
                let class = (0..probabilities.len()).reduce(largest).unwrap_or(0);
                put(&ending(".txt"), |out| writeln!(out, "{class}"))
            }
        }
    }
}

/// Objects with masks as the reference lists them: an entry per polygon.
fn polygon_list(
    sure: &[(usize, Prediction)],
    side: usize,
    masks: &[f32],
    categories: &[String],
) -> Result<Value> {
    let mut list = Vec::new();
    for (at, prediction) in sure {
        let mask = masks.get(at * side * side..(at + 1) * side * side).unwrap_or_default();
        let category = categories.get(prediction.object.category).map_or("", String::as_str);
        for rings in polygons(mask, side, prediction.object.bounds)? {
            list.push(json!(["fake_polygon_id", rings, category, f64::from(prediction.score), {}]));
        }
    }
    Ok(Value::Array(list))
}

/// The last image's first three channels, or its first one in grey.
fn latest(stack: &Planes, images: usize) -> Canvas {
    let mut canvas = Canvas::black(stack.width, stack.height);
    let channels = stack.count / images.max(1);
    let first = stack.count - channels.min(stack.count);
    for (at, pixel) in canvas.data.chunks_exact_mut(3).enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            let plane = first + if channels >= 3 { channel } else { 0 };
            *value = stack.plane(plane).get(at).copied().unwrap_or(0);
        }
    }
    canvas
}

fn put(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.flush()
    });
    written.map_err(|e| Error::io("cannot write", e)).in_file(path)
}
