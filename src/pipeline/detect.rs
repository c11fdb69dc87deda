//! The detection job: scenes and a detector to a file of features, one for each object whatever tiles show it.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::heads::only_head;
use super::input::Input;
use super::job::{Demand, Job, JobOptions, JobReport};
use super::maps::coverage;
use super::preview::{check as check_preview, Picture};
use super::progress::ProgressMode;
use super::provenance::{model_name, provenance, source_name};
use super::TileOutput;
use crate::detect::{suppress, Bounds, Object, Suppression, Window};
use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::models::{Colour, Head, Task, DETECTION_ROW};
use crate::raster::vector::{self, Feature, FeatureSink, Field, FieldKind, Geometry, Layer, Value};
use crate::raster::{FrameSource, Georef};
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
        let demand = Demand {
            bands: 0,
            targets: cover.collect(),
            kept_per_tile: crate::models::MAX_DETECTIONS * size_of::<Object>(),
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
        self.options.preview.iter().try_for_each(|path| check_preview(path, self.options.job.overwrite))?;
        let grid = self.job.series().grid();
        let mut found = Found {
            grid: self.job.grid(),
            image: Rect::of_size(grid.width, grid.height),
            min_score: self.options.min_score,
            classes: &self.classes,
            objects: Vec::new(),
            dates: vec![Vec::new(); self.job.grid().len()],
        };
        let job = self.job.run(&mut |output| found.add(output), progress, stop)?;
        let in_tiles = found.objects.len();
        let objects = suppress(std::mem::take(&mut found.objects), SUPPRESSION);
        self.write(&objects, &found.dates, sink.as_mut())?;
        sink.finish()?;
        if let Some(path) = &self.options.preview {
            self.draw(&objects)?.write(path)?;
        }
        let count = |class: &u32| objects.iter().filter(|o| o.class == *class).count();
        let categories = self.classes.iter().map(|c| (self.head.category(*c as usize), count(c)));
        Ok(DetectReport { job, objects: (in_tiles, objects.len()), categories: categories.collect() })
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

    fn write(&self, objects: &[Object], dates: &[Vec<usize>], sink: &mut dyn FeatureSink) -> Result<()> {
        let georef = self.job.series().grid().georef.as_ref();
        let model = model_name(self.job.model());
        for object in objects {
            let dates = dates.get(object.window as usize).map_or(&[][..], Vec::as_slice);
            let mut values = vec![
                Value::Text(self.head.category(object.class as usize)),
                Value::Real(f64::from(object.score)),
            ];
            values.extend(self.times(dates));
            values.push(Value::Text(model.clone()));
            let geometry = geometry(&object.bounds, self.options.shape, georef);
            sink.write(&Feature { geometry, values })?;
        }
        Ok(())
    }

    /// First and last date, their number, and where they come from.
    fn times(&self, dates: &[usize]) -> [Value; 4] {
        let frames = self.job.series().frames();
        let mut dates = dates.to_vec();
        dates.sort_unstable();
        dates.dedup();
        let frames: Vec<_> = dates.iter().filter_map(|i| frames.get(*i)).collect();
        let label = |frame: Option<&&crate::raster::FrameInfo>| {
            frame.map_or(Value::Null, |frame| Value::Text(frame.label.clone()))
        };
        let sources: Vec<String> = frames.iter().map(|frame| source_name(frame)).collect();
        [
            label(frames.first()),
            label(frames.last()),
            Value::Integer(frames.len() as i64),
            Value::Text(sources.join(", ")),
        ]
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
        for row in output.values.as_chunks::<DETECTION_ROW>().0 {
            let [x0, y0, x1, y1, score, class] = *row;
            let class = class as u32;
            if !(score >= self.min_score && self.classes.contains(&class)) {
                continue;
            }
            let bounds = Bounds { x0: x0.into(), y0: y0.into(), x1: x1.into(), y1: y1.into() };
            let object = window.object(bounds, score, class);
            self.objects.extend(object.filter(|object| has_data(object, output)));
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

/// An object in the coordinates of its image, pixels where it has none.
fn geometry(bounds: &Bounds, shape: Shape, georef: Option<&Georef>) -> Geometry {
    let at =
        |x: f64, y: f64| -> [f64; 2] { georef.map_or((x, y), |georef| georef.transform.apply(x, y)).into() };
    match shape {
        Shape::Point => {
            let (x, y) = bounds.centre();
            Geometry::Point(at(x, y))
        }
        Shape::Box => {
            let Bounds { x0, y0, x1, y1 } = *bounds;
            // Counterclockwise on a map, where rows run southwards.
            Geometry::Polygon(vec![vec![at(x0, y0), at(x0, y1), at(x1, y1), at(x1, y0), at(x0, y0)]])
        }
    }
}
