//! The detection job: scenes and a detector to a file of features, one for each object whatever tiles show it.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::heads::only_head;
use super::input::Input;
use super::job::{Demand, Job, JobOptions, JobReport};
use super::maps::coverage;
use super::masks::{Masks, MASK_BYTES};
use super::preview::{check as check_preview, Picture};
use super::progress::ProgressMode;
use super::provenance::{dates_of, model_name, provenance};
use super::TileOutput;
use crate::detect::{suppress, Bounds, Object, Suppression, Window};
use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::models::{Colour, Head, HeadKind, Task, DETECTION_ROW, MASK_SIDE, MAX_DETECTIONS};
use crate::raster::vector::{self, Feature, FeatureSink, Field, FieldKind, Geometry, Layer, Value};
use crate::raster::{FrameSource, GeoTransform};
use crate::tile::{Rect, TileGrid};

/// Objects of one class in different tiles are one where they overlap by more than the detector lets two of one tile.
const SUPPRESSION: Suppression = Suppression { iou: 0.5, part: 0.6 };

/// How an object is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The middle of its box.
    Point,
    /// Its box.
    Box,
    /// Its outline where the network gives one, else its box.
    Outline,
}

/// What to do. Plain data; see the command line's help for the meaning of each.
#[derive(Debug, Clone)]
pub struct DetectOptions {
    /// What all jobs are told.
    pub job: JobOptions,
    /// The features' file; the format by its extension.
    pub output: PathBuf,
    /// Dates the network is given; what it was made for, or as many as there are.
    pub dates: Option<usize>,
    /// Objects with a lower score are left out.
    pub min_score: f32,
    /// Only these categories; all where none is named.
    pub categories: Vec<String>,
    /// How objects are drawn.
    pub shape: Shape,
    /// Raster of where there was imagery.
    pub coverage: Option<PathBuf>,
    /// Picture of the scenes with the objects' boxes on them.
    pub preview: Option<PathBuf>,
}

/// A detection job with everything decided.
pub struct Detect<'a> {
    /// What it has in common with others.
    pub job: Job<'a>,
    options: &'a DetectOptions,
    head: Head,
    classes: Vec<u32>,
    metadata: Vec<(String, String)>,
}

/// What a detection job did.
pub struct DetectReport {
    /// What all jobs do.
    pub job: JobReport,
    /// Objects found in tiles, and those left of them.
    pub objects: (usize, usize),
    /// Tiles with as many objects as the network gives at most, so that there may be more.
    pub full: usize,
    /// Objects by category.
    pub categories: Vec<(String, usize)>,
}

/// What tiles show.
struct Found<'a> {
    grid: &'a TileGrid,
    image: Rect,
    min_score: f32,
    classes: &'a [u32],
    objects: Vec<Object>,
    /// Numbers of one object in a network's result.
    row: usize,
    masks: Masks,
    full: usize,
    /// The dates of each window that has objects, by its number.
    dates: Vec<Vec<usize>>,
}

impl<'a> Detect<'a> {
    /// Opens the series, chooses tiles that fit the memory, compiles the network. Writes nothing.
    ///
    /// # Errors
    /// `Usage` for a network that detects nothing and for categories it does not know; as [`Job::fit`].
    pub fn prepare(options: &'a DetectOptions, model: &'a LoadedModel) -> Result<Self> {
        let head = only_head(model, &[Task::Detect, Task::Instance])?.clone();
        let classes = classes(&head, &options.categories)?;
        vector::Format::of(&options.output)?;
        let mut input = Input::open(&options.job, model)?;
        input.limit_dates(options.dates, model)?;
        let values = format!("boxes of {}, scores from {}", head.title(), options.min_score);
        let metadata = provenance(&options.job, &input, model, &values)?;
        let cover = options.coverage.iter().map(|path| coverage(path, &input, &metadata));
        let masked = if has_masks(&head) { MASK_BYTES } else { 0 };
        let demand = Demand {
            bands: 0,
            targets: cover.collect(),
            kept_per_tile: MAX_DETECTIONS * (size_of::<Object>() + masked),
            output: options.output.clone(),
        };
        let job = Job::fit(&options.job, model, input, demand)?;
        Ok(Self { job, options, head, classes, metadata })
    }

    /// Does the job. `stop` ends it early with `Interrupted`.
    ///
    /// # Errors
    /// The first error of reading, computing or writing.
    pub fn run(&self, progress: ProgressMode, stop: &AtomicBool) -> Result<DetectReport> {
        let mut sink = vector::create(&self.options.output, &self.layer(), self.options.job.overwrite)?;
        let replaces = self.options.job.overwrite;
        let mut preview = self.options.preview.iter();
        preview.try_for_each(|path| check_preview(path, self.job.targets(), replaces))?;
        let grid = self.job.series().grid();
        let mut found = Found {
            grid: self.job.grid(),
            image: Rect::of_size(grid.width, grid.height),
            min_score: self.options.min_score,
            classes: &self.classes,
            objects: Vec::new(),
            row: DETECTION_ROW + if has_masks(&self.head) { MASK_SIDE * MASK_SIDE } else { 0 },
            masks: Masks::default(),
            full: 0,
            dates: vec![Vec::new(); self.job.grid().len()],
        };
        let job = self.job.run(&mut |output| found.add(output), progress, stop)?;
        let in_tiles = found.objects.len();
        let objects = suppress(std::mem::take(&mut found.objects), SUPPRESSION);
        self.write(&objects, &found, sink.as_mut())?;
        sink.finish()?;
        if let Some(path) = &self.options.preview {
            self.draw(&objects)?.write(path)?;
        }
        let count = |class: &u32| objects.iter().filter(|o| o.class == *class).count();
        let categories = self.classes.iter().map(|c| (self.head.category(*c as usize), count(c)));
        let (objects, full) = ((in_tiles, objects.len()), found.full);
        Ok(DetectReport { job, objects, full, categories: categories.collect() })
    }

    fn draw(&self, objects: &[Object]) -> Result<Picture> {
        const OTHER: Colour = [255, 255, 0];
        let colours = self.head.colours();
        let mut picture = self.job.picture()?;
        for object in objects {
            picture.outline(&object.bounds, colours.get(object.class as usize).copied().unwrap_or(OTHER));
        }
        Ok(picture)
    }

    fn layer(&self) -> Layer {
        let georef = self.job.series().grid().georef.as_ref();
        let fields = [
            ("category", FieldKind::Text),
            ("score", FieldKind::Real),
            ("start", FieldKind::Text),
            ("end", FieldKind::Text),
            ("dates", FieldKind::Integer),
            ("source", FieldKind::Text),
            ("model", FieldKind::Text),
        ];
        let fields = fields.map(|(name, kind)| Field::new(name, kind)).to_vec();
        let mut layer = Layer::new(self.head.title(), georef.map(|g| g.epsg), fields);
        layer.metadata = self.metadata.clone();
        layer
    }

    fn write(&self, objects: &[Object], found: &Found, sink: &mut dyn FeatureSink) -> Result<()> {
        let pixels = GeoTransform::north_up(0.0, 0.0, 1.0, 1.0);
        let transform = self.job.series().grid().georef.as_ref().map_or(pixels, |georef| georef.transform);
        let model = model_name(self.job.model());
        for object in objects {
            let dates = found.dates.get(object.window as usize).map_or(&[][..], Vec::as_slice);
            let mut values = vec![
                Value::Text(self.head.category(object.class as usize)),
                Value::Real(f64::from(object.score)),
            ];
            values.extend(self.times(dates));
            values.push(Value::Text(model.clone()));
            let geometry = geometry(object, self.options.shape, &found.masks, &transform)?;
            sink.write(&Feature { geometry, values })?;
        }
        Ok(())
    }

    /// First and last date, their number, and what they were read from.
    fn times(&self, dates: &[usize]) -> [Value; 4] {
        let mut dates = dates.to_vec();
        dates.sort_unstable();
        dates.dedup();
        let frames = self.job.series().frames();
        let frames: Vec<_> = dates.iter().filter_map(|i| frames.get(*i)).collect();
        let [start, end, sources] = dates_of(&frames);
        [start, end, Value::Integer(frames.len() as i64), sources]
    }
}

impl Found<'_> {
    fn add(&mut self, output: &TileOutput) {
        let tile = output.tile;
        let number = tile.row * self.grid.x.spans.len() + tile.column;
        let window = Window {
            number: number as u32,
            image: self.image,
            input: tile.input,
            core: tile.active,
            margin: self.grid.spec().overlap as f64 / 8.0,
        };
        let before = self.objects.len();
        let sure = |row: &&[f32]| row.get(4).is_some_and(|score| *score >= self.min_score);
        self.full += usize::from(output.values.chunks_exact(self.row).filter(sure).count() == MAX_DETECTIONS);
        for (place, row) in output.values.chunks_exact(self.row).enumerate() {
            let (&[x0, y0, x1, y1, score, class, ..], mask) = (row, &row[DETECTION_ROW..]) else { continue };
            let class = class as u32;
            if !(score >= self.min_score && self.classes.contains(&class)) {
                continue;
            }
            let bounds = Bounds { x0: x0.into(), y0: y0.into(), x1: x1.into(), y1: y1.into() };
            let object = window.object(bounds, score, class, place as u32);
            let Some(object) = object.filter(|object| has_data(object, output)) else { continue };
            if !mask.is_empty() {
                let whole = bounds.shift(tile.input.x0 as f64, tile.input.y0 as f64);
                self.masks.keep(&object, whole, mask);
            }
            self.objects.push(object);
        }
        if let Some(dates) = self.dates.get_mut(number).filter(|_| self.objects.len() > before) {
            dates.extend(output.dates);
        }
    }
}

/// Whether there is imagery under an object's middle.
fn has_data(object: &Object, output: &TileOutput) -> bool {
    let (x, y) = object.bounds.centre();
    let input = output.tile.input;
    let (column, row) = (x as i64 - input.x0, y as i64 - input.y0);
    let at = (column >= 0 && row >= 0).then(|| row as usize * input.width() + column as usize);
    at.and_then(|at| output.valid.get(at)).is_some_and(|valid| *valid != 0)
}

/// The classes a head gives, or those of them that are named.
fn classes(head: &Head, named: &[String]) -> Result<Vec<u32>> {
    let all = 1..head.kind.outputs();
    if named.is_empty() {
        return Ok(all.map(|class| class as u32).collect());
    }
    let find = |name: &String| {
        let class = all.clone().find(|class| head.category(*class) == *name);
        class.map(|class| class as u32).ok_or_else(|| {
            let known: Vec<String> = all.clone().map(|class| head.category(class)).collect();
            Error::usage(format!("no category {name}; this network knows {}", known.join(", ")))
        })
    };
    named.iter().map(find).collect()
}

/// Whether a head gives masks.
fn has_masks(head: &Head) -> bool {
    matches!(head.kind, HeadKind::Detector { masks: true, .. })
}

/// An object in the coordinates that `transform` leads to from pixels.
fn geometry(object: &Object, shape: Shape, masks: &Masks, transform: &GeoTransform) -> Result<Geometry> {
    let at = |x: f64, y: f64| -> [f64; 2] { transform.apply(x, y).into() };
    let Bounds { x0, y0, x1, y1 } = object.bounds;
    // Counterclockwise on a map, where rows run southwards.
    let whole = || Geometry::Polygon(vec![vec![at(x0, y0), at(x0, y1), at(x1, y1), at(x1, y0), at(x0, y0)]]);
    let (x, y) = object.bounds.centre();
    Ok(match shape {
        Shape::Point => Geometry::Point(at(x, y)),
        Shape::Box => whole(),
        Shape::Outline => masks.outline(object, transform)?.unwrap_or_else(whole),
    })
}
