//! Predicted files against labelled files, tile by tile: the benchmark of SatlasPretrain. A tile's folder,
//! `<column>_<row>`, holds `vector.json` and a picture per raster task; events of a dynamic set have folders of
//! their own in it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde_json::Value;

use super::report::{CategoryScores, Report, TaskScores};
use crate::dataset::{read_split, read_vector, Feature, Geometry, Vector};
use crate::error::{Error, InFile, Result};
use crate::metrics::{
    line_counts, mean, numeric_accuracy, point_counts, polygon_counts, Counts, Floor, Polygon, Rules, Tally,
};
use crate::pipeline::Progress;
use crate::raster::{Picture, Samples};

/// Units of coordinates along a tile's side.
const TILE: f64 = 8192.0;
/// Largest distance of a hit among points.
const DISTANCE: f64 = 128.0;
/// Units of coordinates to a pixel of the canvas that lines are drawn on.
const LINE_PIXEL: f64 = 4.0;
/// Categories with fewer labels are no part of the mean.
const FEWEST: u64 = 20;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// Points.
    Point,
    /// Polygons.
    Polygon,
    /// Lines.
    Polyline,
    /// Properties of features whose places are given.
    Property,
    /// Maps.
    Raster,
}

/// All there are.
pub const MODALITIES: [Modality; 5] =
    [Modality::Point, Modality::Polygon, Modality::Polyline, Modality::Property, Modality::Raster];

impl Modality {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Polygon => "polygon",
            Self::Polyline => "polyline",
            Self::Property => "property",
            Self::Raster => "raster",
        }
    }

    /// Categories of its features; those that low-resolution images show, or all.
    fn categories(self, low_resolution: bool) -> &'static [&'static str] {
        match (self, low_resolution) {
            (Self::Point, false) => POINTS,
            (Self::Point, true) => LOW_RESOLUTION_POINTS,
            (Self::Polygon, false) => POLYGONS,
            (Self::Polygon, true) => LOW_RESOLUTION_POLYGONS,
            (Self::Polyline, false) => LINES,
            _ => &[],
        }
    }
}

#[rustfmt::skip]
const POINTS: &[&str] = &[
    "wind_turbine", "lighthouse", "mineshaft", "aerialway_pylon", "helipad", "fountain", "toll_booth",
    "chimney", "communications_tower", "flagpole", "petroleum_well", "water_tower", "street_lamp",
    "traffic_signals", "power_tower", "airplane", "rooftop_solar_panel", "vessel",
];
#[rustfmt::skip]
const LOW_RESOLUTION_POINTS: &[&str] = &[
    "wind_turbine", "lighthouse", "mineshaft", "aerialway_pylon", "helipad", "communications_tower",
    "petroleum_well", "water_tower", "power_tower", "vessel",
];
#[rustfmt::skip]
const POLYGONS: &[&str] = &[
    "aquafarm", "lock", "dam", "solar_farm", "power_plant", "gas_station", "park", "parking_garage",
    "parking_lot", "landfill", "quarry", "stadium", "airport", "airport_apron", "airport_hangar",
    "airport_terminal", "ski_resort", "theme_park", "storage_tank", "silo", "track", "wastewater_plant",
    "power_substation", "building", "pier",
];
#[rustfmt::skip]
const LOW_RESOLUTION_POLYGONS: &[&str] = &[
    "aquafarm", "lock", "dam", "solar_farm", "power_plant", "park", "parking_garage", "parking_lot",
    "landfill", "quarry", "stadium", "airport", "airport_apron", "airport_terminal", "ski_resort",
    "theme_park", "track", "wastewater_plant",
];
const LINES: &[&str] = &["airport_runway", "airport_taxiway", "raceway", "road", "railway", "river"];

/// A property: of which features, its name, and what kind of answer it is.
#[rustfmt::skip]
const PROPERTIES: &[(&str, &str, Answer)] = &[
    ("wind_turbine", "rotor_diameter", Answer::Number), ("wind_turbine", "power_mw", Answer::Number),
    ("parking_lot", "capacity", Answer::Number), ("track", "sport", Answer::Category),
    ("road", "road_type", Answer::Category), ("road", "lanes", Answer::Number),
    ("road", "max_speed", Answer::Number), ("road", "bridge", Answer::Number),
    ("power_plant", "plant_type", Answer::Category), ("quarry", "resource", Answer::Category),
    ("park", "park_type", Answer::Category), ("park", "sport", Answer::Category),
    ("smoke", "smoke", Answer::Class), ("snow", "snow", Answer::Class),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Number,
    Category,
    Class,
}

impl Answer {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "property_numeric",
            Self::Category => "property_category",
            Self::Class => "classify",
        }
    }
}

/// What the pixels of a map mean.
enum Map {
    /// A class each; 0 is not known.
    Classes(&'static [&'static str]),
    /// A bit for each of several classes.
    Bits(&'static [&'static str]),
    /// A number; 0 is not known.
    Number,
}

/// Maps: their names, their files' names, what their pixels mean. Classes without a name are not scored.
#[rustfmt::skip]
const RASTERS: &[(&str, &str, Map)] = &[
    ("land_cover", "land_cover", Map::Classes(&[
        "", "water", "developed", "tree", "shrub", "grass", "crop", "bare", "snow", "wetland", "mangroves",
        "moss",
    ])),
    ("dem", "dem", Map::Number),
    ("crop_type", "crop_type", Map::Classes(&[
        "", "rice", "grape", "corn", "sugarcane", "tea", "hop", "wheat", "soy", "barley", "oats", "rye",
        "cassava", "potato", "sunflower", "asparagus", "coffee",
    ])),
    ("tree_cover", "tree_cover", Map::Number),
    ("water_event", "water_event", Map::Classes(&["", "", "water_event"])),
    ("flood", "water", Map::Classes(&["", "", "flood"])),
    ("cloud", "cloud", Map::Classes(&["", "", "cloud", "shadow"])),
    ("wildfire", "wildfire", Map::Bits(&["fire_retardant", "burned"])),
    ("polyline_bin_segment", "polyline_bin_segment", Map::Bits(LINES)),
];

/// What is compared with what.
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// Folder of labels.
    pub labels: PathBuf,
    /// Folder of predictions.
    pub predictions: PathBuf,
    /// What is compared.
    pub modalities: Vec<Modality>,
    /// Whether tiles hold folders of events.
    pub events: bool,
    /// File that lists the tiles; all without one.
    pub split: Option<PathBuf>,
    /// Only what low-resolution images show.
    pub low_resolution: bool,
    /// Whose habits are kept.
    pub rules: Rules,
}

/// What the tiles of one modality come to, by category.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    tiles: usize,
    counts: BTreeMap<String, Counts>,
    tallies: BTreeMap<String, Tally>,
    missing: usize,
}

impl Sums {
    fn add(mut self, other: Self) -> Self {
        self.tiles += other.tiles;
        self.missing += other.missing;
        for (name, counts) in other.counts {
            *self.counts.entry(name).or_default() += counts;
        }
        for (name, tally) in other.tallies {
            let own = self.tallies.entry(name).or_default();
            *own = Tally { sum: own.sum + tally.sum, count: own.count + tally.count };
        }
        self
    }

    fn score(&mut self, name: String, score: f64) {
        self.tallies.entry(name).or_default().add(score);
    }
}

/// Scores predicted files.
///
/// # Errors
/// `Usage` when no tile is there, `Interrupted`, and what reading the files says.
pub fn benchmark(job: &Benchmark, progress: &Progress, stop: &AtomicBool) -> Result<Report> {
    let tiles = tiles(job)?;
    if tiles.is_empty() {
        return Err(Error::usage("no folders named <column>_<row> of the split").in_file(&job.labels));
    }
    progress.set(0, (tiles.len() * job.modalities.len()) as u64);
    let mut tasks = Vec::new();
    let mut notes = Vec::new();
    for &modality in &job.modalities {
        // Tiles are added in their order, so that sums of fractions do not depend on the threads.
        let of_tile = |tile: &PathBuf| -> Result<Sums> {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted("stopped"));
            }
            let sums = compare(job, modality, tile);
            progress.add(1);
            sums
        };
        let sums: Vec<Sums> = tiles.par_iter().map(of_tile).collect::<Result<_>>()?;
        let sums = sums.into_iter().fold(Sums::default(), Sums::add);
        if sums.missing > 0 {
            notes.push(format!("{}: {} files are not predicted", modality.name(), sums.missing));
        }
        tasks.push(match modality {
            Modality::Point | Modality::Polygon | Modality::Polyline => of_features(modality, &sums),
            Modality::Property => of_properties(&sums),
            Modality::Raster => of_rasters(&sums, job.rules),
        });
    }
    progress.finish();
    Ok(Report {
        subject: job.predictions.display().to_string(),
        dataset: job.labels.display().to_string(),
        split: job.split.as_ref().map_or("all".to_string(), |split| split.display().to_string()),
        compat: job.rules == Rules::Compat,
        score: mean(tasks.iter().filter_map(|task: &TaskScores| task.score)),
        tasks,
        notes,
    })
}

/// Paths of tiles or events, relative to the folder of labels, in their order.
fn tiles(job: &Benchmark) -> Result<Vec<PathBuf>> {
    let split: Option<HashSet<String>> = job.split.as_deref().map(read_split).transpose()?;
    let is_tile = |name: &str| {
        let mut parts = name.splitn(3, '_').map(|part| part.parse::<i64>().ok());
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(column), Some(row)) => {
                split.as_ref().is_none_or(|split| split.contains(&format!("{column}_{row}")))
            }
            _ => false,
        }
    };
    let mut found = Vec::new();
    for tile in folders(&job.labels)?.into_iter().filter(|name| is_tile(name)) {
        if job.events {
            let events = folders(&job.labels.join(&tile))?;
            found.extend(events.into_iter().map(|event| Path::new(&tile).join(event)));
        } else {
            found.push(PathBuf::from(tile));
        }
    }
    Ok(found)
}

fn folders(path: &Path) -> Result<Vec<String>> {
    const MAX_ENTRIES: usize = 1 << 24;
    let cannot = |e| Error::io("cannot list", e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot).in_file(path)?.take(MAX_ENTRIES) {
        let entry = entry.map_err(cannot).in_file(path)?;
        names.extend(entry.file_name().into_string().ok().filter(|_| entry.path().is_dir()));
    }
    names.sort_unstable();
    Ok(names)
}

fn compare(job: &Benchmark, modality: Modality, tile: &Path) -> Result<Sums> {
    let (labels, predictions) = (job.labels.join(tile), job.predictions.join(tile));
    if modality == Modality::Raster {
        return rasters(&labels, &predictions);
    }
    let file = labels.join("vector.json");
    if !file.is_file() {
        return Ok(Sums::default());
    }
    let labels = read_vector(&file)?;
    let mut sums = Sums { tiles: 1, ..Sums::default() };
    let predicted = predictions.join("vector.json");
    let predictions = match predicted.is_file() {
        true => read_vector(&predicted)?,
        false => {
            sums.missing = 1;
            Vector::new()
        }
    };
    if modality == Modality::Property {
        properties(&labels, &predictions, job.rules, &mut sums).in_file(&file)?;
        return Ok(sums);
    }
    for &category in modality.categories(job.low_resolution) {
        let features = |side: &'_ Vector| side.get(category).cloned().unwrap_or_default();
        let (labels, predictions) = (features(&labels), features(&predictions));
        if labels.is_empty() && predictions.is_empty() {
            continue;
        }
        let counts = match modality {
            Modality::Point => {
                point_counts(&points(&labels), &points(&predictions), DISTANCE).in_file(&file)?
            }
            Modality::Polyline => {
                line_counts(&lines(&labels), &lines(&predictions), (TILE / LINE_PIXEL) as usize)
            }
            _ => {
                let found = polygon_counts(&polygons(&labels), &polygons(&predictions), TILE);
                found.iou.into_iter().for_each(|iou| sums.score(category.to_string(), iou));
                found.counts
            }
        };
        *sums.counts.entry(category.to_string()).or_default() += counts;
    }
    Ok(sums)
}

fn points(features: &[Feature]) -> Vec<[f64; 2]> {
    let point = |f: &Feature| match &f.geometry {
        Some(Geometry::Point(point)) => Some(*point),
        _ => None,
    };
    features.iter().filter_map(point).collect()
}

fn polygons(features: &[Feature]) -> Vec<Polygon> {
    let polygon = |f: &Feature| match &f.geometry {
        Some(Geometry::Polygon(rings)) if rings.first().is_some_and(|ring| ring.len() >= 3) => {
            Some(rings.clone())
        }
        _ => None,
    };
    features.iter().filter_map(polygon).collect()
}

fn lines(features: &[Feature]) -> Vec<Vec<[i32; 2]>> {
    let pixel = |v: f64| (v / LINE_PIXEL).floor() as i32;
    let line = |f: &Feature| match &f.geometry {
        Some(Geometry::Polyline(line)) if line.len() >= 2 => {
            Some(line.iter().map(|p| p.map(pixel)).collect())
        }
        _ => None,
    };
    features.iter().filter_map(line).collect()
}

fn properties(labels: &Vector, predictions: &Vector, rules: Rules, sums: &mut Sums) -> Result<()> {
    let nothing = Value::from("0");
    for (object, property, answer) in PROPERTIES {
        let Some(labels) = labels.get(*object) else { continue };
        let predicted = predictions.get(*object);
        for (at, label) in labels.iter().enumerate() {
            let Some(wanted) = label.properties.get(*property) else { continue };
            let found = predicted.and_then(|all| all.get(at));
            // Features beyond the end of a shorter list of predictions are passed over by the reference.
            if rules == Rules::Compat && predicted.is_some() && found.is_none() {
                continue;
            }
            let found = found.and_then(|f| f.properties.get(*property)).unwrap_or(&nothing);
            let score = match answer {
                Answer::Number => numeric_accuracy(numeric(wanted)?, numeric(found)?),
                _ => f64::from(u8::from(wanted == found)),
            };
            sums.score(format!("{object}_{property}_{}", answer.name()), score);
        }
    }
    Ok(())
}

/// A number, or a text that is one.
fn numeric(value: &Value) -> Result<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        other => other.as_f64(),
    };
    let number = number.filter(|v: &f64| v.is_finite());
    number.ok_or_else(|| Error::format(format!("{value} is no number, as its property wants")))
}

fn rasters(labels: &Path, predictions: &Path) -> Result<Sums> {
    let mut sums = Sums::default();
    for (name, file, map) in RASTERS {
        let file = format!("{file}.png");
        let path = labels.join(&file);
        if !path.is_file() {
            continue;
        }
        sums.tiles = 1;
        let (size, labels) = grey(&path)?;
        let path = predictions.join(&file);
        let predictions = match path.is_file() {
            true => {
                let (found, samples) = grey(&path)?;
                if found != size {
                    let message =
                        format!("{}x{} pixels, the labels have {}x{}", found.0, found.1, size.0, size.1);
                    return Err(Error::shape(message).in_file(path));
                }
                samples
            }
            false => {
                sums.missing += 1;
                vec![0; labels.len()]
            }
        };
        map.compare(name, &labels, &predictions, &mut sums);
    }
    Ok(sums)
}

impl Map {
    fn compare(&self, name: &str, labels: &[u16], predictions: &[u16], sums: &mut Sums) {
        let pairs = || labels.iter().zip(predictions);
        let known = || pairs().filter(|(label, _)| **label > 0);
        let mut put = |class: &str, counts: Counts| {
            *sums.counts.entry(format!("{name}_{class}")).or_default() += counts;
        };
        match self {
            Self::Classes(classes) => {
                for (class, title) in classes.iter().enumerate().filter(|(_, title)| !title.is_empty()) {
                    let mut counts = Counts::default();
                    let is = |v: &u16| usize::from(*v) == class;
                    known().for_each(|(label, prediction)| counts.count(is(prediction), is(label)));
                    put(title, counts);
                }
            }
            Self::Bits(classes) => {
                for (bit, title) in classes.iter().enumerate() {
                    let mut counts = Counts::default();
                    let is = |v: &u16| v >> bit & 1 != 0;
                    pairs().for_each(|(label, prediction)| counts.count(is(prediction), is(label)));
                    put(title, counts);
                }
            }
            Self::Number => {
                let error = |(label, prediction): (&u16, &u16)| f64::from(label.abs_diff(*prediction));
                if let Some(error) = mean(known().map(error)) {
                    sums.score(format!("{name}_error"), error);
                }
            }
        }
    }
}

fn grey(path: &Path) -> Result<((usize, usize), Vec<u16>)> {
    let picture = Picture::read(path)?;
    if picture.bands != 1 {
        return Err(Error::shape(format!("{} bands, where maps have one", picture.bands)).in_file(path));
    }
    let samples = match picture.samples {
        Samples::U8(samples) => samples.into_iter().map(u16::from).collect(),
        Samples::U16(samples) => samples,
        Samples::F32(_) => Vec::new(),
    };
    Ok(((picture.width, picture.height), samples))
}

fn task(
    modality: Modality,
    sums: &Sums,
    scores: &[(&str, Option<f64>)],
    categories: Vec<CategoryScores>,
) -> TaskScores {
    let (metric, score) = scores.first().copied().unwrap_or(("", None));
    TaskScores {
        name: modality.name().to_string(),
        kind: modality.name().to_string(),
        examples: sums.tiles,
        metric: metric.to_string(),
        score,
        scores: scores.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
        categories,
    }
}

fn of_features(modality: Modality, sums: &Sums) -> TaskScores {
    let scores = |(name, counts): (&String, &Counts)| CategoryScores {
        iou: sums.tallies.get(name).and_then(Tally::mean),
        ..CategoryScores::of_counts(name, *counts, Floor::NONE, counts.labels() >= FEWEST)
    };
    let categories: Vec<CategoryScores> = sums.counts.iter().map(scores).collect();
    let counted = || categories.iter().filter(|c| c.counted);
    let f1 = mean(counted().filter_map(|c| c.f1));
    match modality {
        Modality::Polygon => {
            let iou = mean(counted().filter_map(|c| c.iou));
            task(modality, sums, &[("f1", f1), ("iou", iou)], categories)
        }
        _ => task(modality, sums, &[("f1", f1)], categories),
    }
}

fn of_properties(sums: &Sums) -> TaskScores {
    let score = |(name, tally): (&String, &Tally)| CategoryScores {
        name: name.clone(),
        counted: true,
        accuracy: tally.mean(),
        ..CategoryScores::default()
    };
    let categories: Vec<CategoryScores> = sums.tallies.iter().map(score).collect();
    let of = |answer: Answer| {
        let own = categories.iter().filter(|c| c.name.ends_with(answer.name()));
        mean(own.filter_map(|c| c.accuracy))
    };
    let scores = [
        ("category_accuracy", of(Answer::Category)),
        ("numeric_accuracy", of(Answer::Number)),
        ("classify_accuracy", of(Answer::Class)),
    ];
    task(Modality::Property, sums, &scores, categories)
}

fn of_rasters(sums: &Sums, rules: Rules) -> TaskScores {
    let counted = sums.counts.iter().filter(|(_, counts)| counts.labels() > 0);
    let classes = counted.map(|(name, counts)| CategoryScores::of_counts(name, *counts, Floor::NONE, true));
    let number = |(name, tally): (&String, &Tally)| CategoryScores {
        name: name.clone(),
        counted: true,
        // The reference takes the sum of errors for hits, and the tiles for false alarms and for misses.
        error: match rules {
            Rules::Meant => tally.mean(),
            Rules::Compat => Some(tally.sum / (tally.sum + tally.count as f64)),
        },
        ..CategoryScores::default()
    };
    let categories: Vec<CategoryScores> = classes.chain(sums.tallies.iter().map(number)).collect();
    let f1 = mean(categories.iter().filter_map(|c| c.f1));
    let error = mean(categories.iter().filter_map(|c| c.error));
    task(Modality::Raster, sums, &[("f1", f1), ("regress_error", error)], categories)
}
