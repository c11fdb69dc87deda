//! The score of one task: takes a label and an output at a time, ends as a line of the report.

use super::output::Output;
use super::report::{CategoryScores, TaskScores};
use crate::dataset::{Label, Planes, TaskConfig};
use crate::error::{Error, Result};
use crate::metrics::{
    ClassMaps, ClassScore, Classes, Counts, Curve, Floor, LabelMaps, Labelled, Matching, Object, Objects,
    Regression, Rules, NO_THRESHOLD,
};
use crate::models::Task;

/// What is counted of a task.
enum Kind {
    Segment(ClassMaps),
    Bits(LabelMaps),
    Regress(Regression),
    Objects(Objects),
    Classes(Classes),
}

/// The score of one task.
pub struct Scorer {
    name: String,
    task: Task,
    categories: Vec<String>,
    metric: String,
    examples: usize,
    kind: Kind,
}

/// The scores of a kind of task; the first is the one that counts where nobody says.
fn metrics(task: Task) -> &'static [&'static str] {
    match task {
        Task::Segment => &["accuracy", "f1", "mIou", "logprob"],
        Task::BinSegment => &["f1", "accuracy"],
        Task::Regress => &["l1", "mse"],
        Task::Detect | Task::Instance => &["f1"],
        Task::Classification | Task::MultiLabel => &["accuracy", "f1"],
    }
}

impl Scorer {
    /// Counts nothing yet. With thresholds, one for each category, no others are tried; `batch` examples make a
    /// batch of the reference.
    ///
    /// # Errors
    /// `Usage` for a score that such tasks do not have.
    pub fn new(task: &TaskConfig, thresholds: Option<&[f64]>, rules: Rules, batch: usize) -> Result<Self> {
        let known = metrics(task.task);
        let metric = match &task.metric {
            None => known[0].to_string(),
            Some(metric) if known.contains(&metric.as_str()) => metric.clone(),
            Some(other) => {
                let message =
                    format!("task {}: no Metric {other}; there are {}", task.name, known.join(", "));
                return Err(Error::usage(message));
            }
        };
        let classes = task.categories.len();
        let matching = if task.by_overlap { Matching::Iou } else { Matching::Centre };
        Ok(Self {
            name: task.name.clone(),
            task: task.task,
            categories: task.categories.clone(),
            metric,
            examples: 0,
            kind: match task.task {
                Task::Segment => Kind::Segment(ClassMaps::new(classes, thresholds, rules, batch)),
                Task::BinSegment => Kind::Bits(LabelMaps::new(classes, thresholds, rules, batch)),
                Task::Regress => Kind::Regress(Regression::new(rules, batch)),
                Task::Detect | Task::Instance => {
                    Kind::Objects(Objects::new(classes, thresholds, matching, rules))
                }
                Task::Classification | Task::MultiLabel => {
                    Kind::Classes(Classes::new(classes, thresholds, rules))
                }
            },
        })
    }

    /// Adds an example.
    ///
    /// # Errors
    /// `Shape` when the output is not of the label's kind, or has fewer classes or pixels.
    pub fn add(&mut self, label: &Label, output: &Output) -> Result<()> {
        match (&mut self.kind, label, output) {
            (
                Kind::Objects(objects),
                Label::Objects { objects: labels, .. },
                Output::Objects { predictions, .. },
            ) => {
                let labels: Vec<Object> =
                    labels.iter().map(|o| Object { bounds: o.bounds, category: o.category }).collect();
                objects.add(&labels, predictions);
            }
            (Kind::Classes(classes), Label::Class(class), Output::Classes(probabilities)) => {
                classes.add(&Labelled::One(*class), probabilities);
            }
            (Kind::Classes(classes), Label::Classes(all), Output::Classes(probabilities)) => {
                classes.add(&Labelled::Any(all.clone()), probabilities);
            }
            (kind, Label::Map { planes, known }, Output::Map { planes: classes, height, width, data }) => {
                // The network leaves out what is beyond a multiple of four.
                if *height > known.height || *width > known.width {
                    return Err(Error::shape(format!(
                        "a map of {width}x{height} pixels for labels of {}x{}",
                        known.width, known.height
                    )));
                }
                let wanted = if matches!(kind, Kind::Regress(_)) { 1 } else { self.categories.len() };
                if *classes != wanted {
                    return Err(Error::shape(format!("{classes} outputs for {wanted} categories")));
                }
                let within = |y: usize, x: usize| Some([y, x]);
                let cut = |p: &Planes| p.remapped([*height, *width], within);
                let (planes, known) = (cut(planes)?, cut(known)?);
                let known: Vec<bool> = known.data.iter().map(|v| *v != 0).collect();
                match kind {
                    Kind::Segment(maps) => maps.add(&planes.data, &known, data),
                    Kind::Bits(maps) => maps.add(&planes.data, &known, data),
                    Kind::Regress(errors) => errors.add(&planes.data, &known, data),
                    Kind::Objects(_) | Kind::Classes(_) => return Err(unlike()),
                }
            }
            _ => return Err(unlike()),
        }
        self.examples += 1;
        Ok(())
    }

    /// Each category's best threshold; none where there are no thresholds.
    pub fn thresholds(&self) -> Option<Vec<f64>> {
        let best = |curves: &[Curve], floor: Floor| {
            let threshold = |curve: &Curve| match curve.has_labels() {
                true => curve.best(floor).threshold,
                false => NO_THRESHOLD,
            };
            curves.iter().map(threshold).collect()
        };
        match &self.kind {
            Kind::Segment(maps) => Some(best(&maps.curves, maps.floor())),
            Kind::Bits(maps) => Some(best(&maps.curves, maps.floor())),
            Kind::Objects(objects) => {
                let of = |curve: &Curve| curve.best(objects.floor()).threshold;
                let background = std::iter::once(NO_THRESHOLD);
                Some(background.chain(objects.curves.iter().skip(1).map(of)).collect())
            }
            Kind::Classes(classes) => {
                let of = |score: &ClassScore| match score.has_labels {
                    true => score.best.threshold,
                    false => NO_THRESHOLD,
                };
                Some(classes.scores().iter().map(of).collect())
            }
            Kind::Regress(_) => None,
        }
    }

    /// The scores.
    pub fn finish(&self) -> TaskScores {
        let (scores, categories): (Vec<(&str, Option<f64>)>, Vec<CategoryScores>) = match &self.kind {
            Kind::Segment(maps) => (
                vec![
                    ("accuracy", maps.accuracy()),
                    ("f1", maps.f1()),
                    ("mIou", maps.mean_iou()),
                    ("logprob", maps.log_probability()),
                ],
                self.of_curves(&maps.curves, maps.floor(), Some(&maps.chosen)),
            ),
            Kind::Bits(maps) => (
                vec![("f1", maps.f1()), ("accuracy", maps.accuracy())],
                self.of_curves(&maps.curves, maps.floor(), None),
            ),
            // Errors count as scores with their sign turned.
            Kind::Regress(errors) => (
                vec![("l1", errors.mean_absolute().map(|v| -v)), ("mse", errors.mean_square().map(|v| -v))],
                Vec::new(),
            ),
            Kind::Objects(objects) => {
                (vec![("f1", objects.f1())], self.of_curves(&objects.curves, objects.floor(), None))
            }
            Kind::Classes(classes) => {
                (vec![("accuracy", classes.accuracy()), ("f1", classes.f1())], self.of_classes(classes))
            }
        };
        let score = scores.iter().find(|(name, _)| *name == self.metric).and_then(|(_, value)| *value);
        TaskScores {
            name: self.name.clone(),
            kind: self.task.name().to_string(),
            examples: self.examples,
            metric: self.metric.clone(),
            score,
            scores: scores.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
            categories,
        }
    }

    fn of_curves(&self, curves: &[Curve], floor: Floor, chosen: Option<&[Counts]>) -> Vec<CategoryScores> {
        let detector = matches!(self.kind, Kind::Objects(_));
        let all = self.categories.iter().zip(curves).enumerate().skip(usize::from(detector));
        let scores = |(place, (name, curve)): (usize, (&String, &Curve))| {
            let best = curve.best(floor);
            let shown = best.counts != Counts::default() || curve.has_labels();
            shown.then(|| CategoryScores {
                threshold: Some(best.threshold),
                iou: chosen.and_then(|chosen| chosen.get(place)).and_then(Counts::iou),
                ..CategoryScores::of_counts(name, best.counts, floor, curve.has_labels())
            })
        };
        all.filter_map(scores).collect()
    }

    fn of_classes(&self, classes: &Classes) -> Vec<CategoryScores> {
        let scores = classes.scores();
        let all = self.categories.iter().zip(&scores);
        all.map(|(name, score)| CategoryScores {
            threshold: Some(score.best.threshold),
            ..CategoryScores::of_counts(name, score.best.counts, Floor::NONE, score.has_labels)
        })
        .collect()
    }
}

fn unlike() -> Error {
    Error::shape("the network's output is not of the labels' kind")
}
