//! Heads: what is made of the feature maps for one task.

use std::fmt;

use super::super::layers::{conv, linear};
use super::super::options::{Options, Origin};
use super::colours::{self, Colour};
use super::tasks::{self, Published, Task};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::Conv2d;
use crate::util::nearest;
use crate::weights::Names;

/// The factor between a regression's raw number and its result: a byte's range.
const REGRESS_SCALE: f32 = 255.0;

/// Sides of a detector's anchors where nobody says.
pub const ANCHORS: [f64; 4] = [32.0, 64.0, 128.0, 256.0];

/// Scope of the one head in files of the reference's package for backbones.
pub const PACKAGE_SCOPE: &str = "head";

/// One head.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its place in configurations; files may lack some.
    pub index: usize,
    /// Prefix of its parameters, without the last dot.
    pub scope: String,
    /// Its layers.
    pub kind: HeadKind,
    /// What its numbers mean.
    pub task: Task,
    /// Name of the task, where it is a known one.
    pub name: String,
    /// What its outputs stand for, in their order; empty when unknown.
    pub categories: Vec<String>,
    /// Whether its probabilities sum to one.
    pub exclusive: bool,
    /// Sides of a detector's anchors, finest map first.
    pub anchors: Vec<f64>,
}

/// The layers of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadKind {
    /// Convolutions of the first map, the last giving `outputs` per pixel.
    Dense {
        /// Convolutions before the last.
        layers: usize,
        /// Numbers per pixel.
        outputs: usize,
    },
    /// Convolutions of the first map, then a linear layer over its largest values.
    Largest {
        /// Convolutions.
        layers: usize,
        /// Classes.
        outputs: usize,
    },
    /// A linear layer over the mean of the last map.
    Mean {
        /// Classes.
        outputs: usize,
    },
    /// A region detector, with masks or without.
    Detector {
        /// Classes, the background among them.
        classes: usize,
        /// Whether it gives masks.
        masks: bool,
    },
    /// Some of the outputs of the backbone's own classifier.
    Classifier {
        /// The first of them.
        first: usize,
        /// Classes.
        outputs: usize,
        /// All outputs of the classifier.
        total: usize,
    },
}

impl HeadKind {
    /// Reads the layers off the names under `scope`; `None` when there are none.
    ///
    /// # Errors
    /// `Weights` for shapes that no head has.
    pub fn configure(names: &Names, scope: &str) -> Result<Option<Self>> {
        let at = |name: &str| format!("{scope}.{name}");
        let (class_scores, mean) = (at("roi_heads.box_predictor.cls_score.weight"), at("layer.weight"));
        if names.contains(&class_scores) {
            let masks = names.has_prefix(&at("roi_heads.mask_predictor."));
            return Ok(Some(Self::Detector { classes: names.extent(&class_scores, 0)?, masks }));
        }
        if names.contains(&mean) {
            return Ok(Some(Self::Mean { outputs: names.extent(&mean, 0)? }));
        }
        let layers = names.count(&at("layers.{}.0.weight"));
        let (last, extra) = (at(&format!("layers.{layers}.weight")), at("extra.weight"));
        if names.contains(&extra) {
            return Ok(Some(Self::Largest { layers, outputs: names.extent(&extra, 0)? }));
        }
        if names.contains(&last) {
            let [outputs, ..] = names.conv(&last)?;
            return Ok(Some(Self::Dense { layers, outputs }));
        }
        Ok(None)
    }

    /// Number of classes or values.
    pub fn outputs(&self) -> usize {
        match *self {
            Self::Dense { outputs, .. }
            | Self::Largest { outputs, .. }
            | Self::Mean { outputs }
            | Self::Classifier { outputs, .. } => outputs,
            Self::Detector { classes, .. } => classes,
        }
    }

    /// Whether it may serve that task.
    pub fn serves(&self, task: Task) -> bool {
        match self {
            Self::Dense { outputs, .. } => {
                matches!(task, Task::Segment | Task::BinSegment) || task == Task::Regress && *outputs == 1
            }
            Self::Largest { .. } | Self::Mean { .. } | Self::Classifier { .. } => {
                matches!(task, Task::Classification | Task::MultiLabel)
            }
            Self::Detector { masks, .. } => task == if *masks { Task::Instance } else { Task::Detect },
        }
    }

    /// The task it is taken for when nobody says.
    fn likely(&self) -> Task {
        match self {
            Self::Dense { outputs: 1, .. } => Task::BinSegment,
            Self::Dense { .. } => Task::Segment,
            Self::Largest { .. } | Self::Mean { .. } | Self::Classifier { .. } => Task::Classification,
            Self::Detector { masks: true, .. } => Task::Instance,
            Self::Detector { masks: false, .. } => Task::Detect,
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense { outputs, .. } => write!(f, "{outputs} numbers for each pixel"),
            Self::Largest { outputs, .. } | Self::Mean { outputs } | Self::Classifier { outputs, .. } => {
                write!(f, "{outputs} numbers for each image")
            }
            Self::Detector { classes, masks } => {
                let what = if *masks { "boxes with masks" } else { "boxes" };
                write!(f, "{what} of {classes} classes, the background among them")
            }
        }
    }
}

/// A head's place in configurations, its layers, and the scope of their parameters.
type Placed = (usize, HeadKind, String);

/// The heads whose parameters lie under the scopes.
///
/// # Errors
/// `Weights` for shapes that no head has.
pub fn placed(names: &Names, scopes: Vec<(usize, String)>) -> Result<Vec<Placed>> {
    let kind = |(index, scope): (usize, String)| {
        let kind = HeadKind::configure(names, &scope)?;
        let last =
            "layers.<last>.weight, extra.weight, layer.weight or roi_heads.box_predictor.cls_score.weight";
        let kind =
            kind.ok_or_else(|| Error::weights(format!("{scope} is no head known here: it has no {last}")))?;
        Ok((index, kind, scope))
    };
    scopes.into_iter().map(kind).collect()
}

/// The outputs of a backbone's classifier, shared out to the tasks that options tell: as many to each as it has
/// categories, in their order.
///
/// # Errors
/// `Weights` when the categories are not as many as the outputs.
pub fn classifiers(total: usize, scope: &str, options: &Options) -> Result<Vec<Placed>> {
    let split = |key: &str, separator: char| -> Vec<String> {
        options.text(key).into_iter().flat_map(|text| text.split(separator)).map(str::to_string).collect()
    };
    let (tasks, categories) = (split("tasks", ','), split("categories", ';'));
    let count = |(k, task): (usize, &String)| {
        let listed = categories.get(k).into_iter().flat_map(|c| c.split(','));
        match listed.filter(|c| !c.trim().is_empty()).count() {
            0 => tasks::known(task.trim()).map_or(0, |known| known.categories.len()),
            n => n,
        }
    };
    let counts: Vec<usize> = tasks.iter().enumerate().map(count).collect();
    let counts = if counts.iter().all(|n| *n == 0) { vec![total] } else { counts };
    if counts.iter().sum::<usize>() != total || counts.contains(&0) {
        let told: Vec<String> = tasks.iter().zip(&counts).map(|(task, n)| format!("{task} {n}")).collect();
        return Err(Error::weights(format!(
            "the classifier has {total} outputs, the tasks' categories are {}",
            told.join(", ")
        )));
    }
    let mut first = 0;
    let kind = |(index, outputs): (usize, usize)| {
        first += outputs;
        (index, HeadKind::Classifier { first: first - outputs, outputs, total }, scope.to_string())
    };
    Ok(counts.into_iter().enumerate().map(kind).collect())
}

/// What heads stand on.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    /// Channels of an image.
    pub channels: usize,
    /// Whether the backbone is wrapped to take several images.
    pub wrapped: bool,
}

/// Heads with tasks by options, by the published models, or guessed.
///
/// # Errors
/// `Usage` for options that do not fit, all that is wrong at once.
pub fn configure(
    kinds: Vec<Placed>,
    base: Base,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Vec<Head>> {
    let count = kinds.last().map_or(0, |(index, ..)| index + 1);
    let told = told(options, "tasks", ',', count, warnings)?;
    let losses = self::told(options, "losses", ',', count, warnings)?;
    let categories = self::told(options, "categories", ';', count, warnings)?;
    let anchors = self::told(options, "anchors", ';', count, warnings)?;
    warnings.extend(missing(&kinds, &told));
    let mut wrong = Vec::new();
    let models = published(kinds.iter().map(|(index, kind, scope)| (*index, kind, scope.as_str())), base);
    let guessed = if told.is_empty() { likely(&models, &kinds) } else { &[] };
    let mut heads = Vec::with_capacity(kinds.len());
    for (k, kind, scope) in kinds {
        let said = told.get(k).map(String::as_str).or_else(|| guessed.get(k).copied()).unwrap_or("");
        // Kinds of tasks have names of their own, one of which is also a task's.
        let fits = |known: &&tasks::Known| {
            let named = Task::named(said).is_none() || known.categories.len() == kind.outputs();
            named && kind.serves(known.task)
        };
        let known = tasks::known(said).filter(fits);
        let meant = known.map(|known| known.task).or_else(|| Task::named(said));
        let task = match meant.or_else(|| tasks::known(said).map(|known| known.task)) {
            Some(task) if kind.serves(task) => task,
            Some(task) => {
                let named = if task.name() == said { String::new() } else { format!(" ({})", task.name()) };
                wrong.push(format!("task {said}{named} for {scope}, which has {kind}"));
                kind.likely()
            }
            None if said.is_empty() => kind.likely(),
            None => {
                let likely = kind.likely();
                let hint = nearest(said, tasks::names());
                let hint = hint.map_or(String::new(), |name| format!(" (did you mean {name}?)"));
                let unknown = format!("task \"{said}\" is not known{hint}");
                match options.origin("tasks") {
                    Some(Origin::Set) => wrong.push(unknown),
                    _ => warnings.push(format!("{scope}: {unknown}; taken for {}", likely.name())),
                }
                likely
            }
        };
        if told.get(k).is_none_or(String::is_empty) && task == Task::BinSegment && kind.serves(Task::Regress)
        {
            let (taken, other) = match known {
                Some(known) => {
                    (known.name, tasks::of(&models, k, Task::Regress).map_or("regress", |k| k.name))
                }
                None => (task.name(), Task::Regress.name()),
            };
            warnings.push(format!(
                "{scope}: its tensors fit {taken} and {other}; taken for {taken} unless swath regress or --set \
                 tasks={other} says otherwise"
            ));
        }
        let loss = losses.get(k).map(String::as_str).unwrap_or("");
        let listed =
            categories.get(k).map(|c| c.split(',').map(str::trim).filter(|c| !c.is_empty()).collect());
        let listed: Vec<&str> = match (listed, known) {
            (Some(listed), _) if !Vec::<&str>::is_empty(&listed) => listed,
            (_, Some(known)) => known.categories.to_vec(),
            _ => Vec::new(),
        };
        let (outputs, packaged) = (kind.outputs(), scope == PACKAGE_SCOPE);
        let fit = listed.len() == outputs;
        if !fit && !listed.is_empty() {
            warnings
                .push(format!("{scope}: {} categories named for {outputs} outputs; left out", listed.len()));
        }
        heads.push(Head {
            index: k,
            scope,
            kind,
            task,
            name: known.map_or(String::new(), |known| known.name.to_string()),
            categories: if fit { listed.into_iter().map(String::from).collect() } else { Vec::new() },
            exclusive: match task {
                Task::Segment => true,
                Task::Classification => loss.is_empty() || loss == "cross_entropy",
                // The package's files are trained so, where there is more than one class.
                Task::BinSegment if loss.is_empty() => packaged && outputs > 1,
                _ => loss == "cross_entropy",
            },
            anchors: match anchors.get(k).map_or("", String::as_str) {
                "" => ANCHORS.to_vec(),
                told => sides(told)?,
            },
        });
    }
    match wrong.is_empty() {
        true => Ok(heads),
        false => {
            let hint = match models.as_slice() {
                [] => String::new(),
                all => {
                    let all: Vec<String> = all.iter().map(|model| model.tasks.join(", ")).collect();
                    format!("; the weights' heads are those of {}", all.join(", or of "))
                }
            };
            Err(Error::usage(format!("heads and tasks do not fit: {}{hint}", wrong.join("; "))))
        }
    }
}

/// Tasks of heads that the file lacks.
fn missing(kinds: &[Placed], told: &[String]) -> Option<String> {
    let without =
        |(k, task): &(usize, &String)| !task.is_empty() && !kinds.iter().any(|(index, ..)| index == k);
    let names: Vec<String> =
        told.iter().enumerate().filter(without).map(|(k, task)| format!("heads.{k} ({task})")).collect();
    let some = !names.is_empty() && !kinds.is_empty();
    some.then(|| format!("no tensors of {}; left out", names.join(", ")))
}

/// Sides of anchors, finest map first.
fn sides(text: &str) -> Result<Vec<f64>> {
    let side = |word: &str| word.trim().parse().ok().filter(|side: &f64| (1.0..=65536.0).contains(side));
    let sides: Option<Vec<f64>> = text.split(',').map(side).collect();
    sides.ok_or_else(|| {
        Error::usage(format!("anchors={text} are no sides from 1 to 65536, as in 32,64,128,256"))
    })
}

/// The published models with just these heads on such a base, in no file of the package.
pub fn published<'h>(
    heads: impl ExactSizeIterator<Item = (usize, &'h HeadKind, &'h str)> + Clone,
    base: Base,
) -> Vec<&'static Published> {
    let fit = |tasks: &[&str], (index, kind, scope): (usize, &HeadKind, &str)| {
        let known = tasks.get(index).and_then(|task| tasks::known(task));
        let known = known.filter(|_| scope != PACKAGE_SCOPE);
        known.is_some_and(|k| kind.serves(k.task) && kind.outputs() == k.categories.len().max(1))
    };
    let on_base = |p: &Published| (p.channels, p.images > 1) == (base.channels, base.wrapped);
    let fits = |p: &&Published| {
        on_base(p) && p.tasks.len() == heads.len() && heads.clone().all(|head| fit(p.tasks, head))
    };
    tasks::all_published().filter(fits).collect()
}

/// Tasks of the one of these models, or of the one in which each head does what it most likely does.
fn likely(models: &[&'static Published], kinds: &[Placed]) -> &'static [&'static str] {
    let does = |p: &Published, (index, kind, _): &Placed| {
        p.tasks.get(*index).and_then(|task| tasks::known(task)).is_some_and(|k| k.task == kind.likely())
    };
    let plain: Vec<_> = models.iter().copied().filter(|p| kinds.iter().all(|kind| does(p, kind))).collect();
    match (models, plain.as_slice()) {
        ([one], _) | (_, [one]) => one.tasks,
        _ => &[],
    }
}

/// The parts of an option with one per head, those that the file lacks among them; none when it is not
/// told or, from a file, lists too few.
fn told(
    options: &Options,
    key: &str,
    separator: char,
    heads: usize,
    warnings: &mut Vec<String>,
) -> Result<Vec<String>> {
    let Some(text) = options.text(key) else { return Ok(Vec::new()) };
    let parts: Vec<String> = text.split(separator).map(|part| part.trim().to_string()).collect();
    if parts.len() < heads {
        options.contradiction(key, &format!("{heads} heads"), warnings)?;
        return Ok(Vec::new());
    }
    Ok(parts)
}

impl Head {
    /// The same layers doing another task, a known one perhaps.
    pub fn doing(self, task: Task, known: Option<&tasks::Known>) -> Self {
        Self {
            task,
            name: known.map_or(String::new(), |known| known.name.to_string()),
            categories: known.map_or(Vec::new(), |k| k.categories.iter().map(|c| (*c).to_string()).collect()),
            exclusive: task == Task::Segment,
            ..self
        }
    }

    /// What it is called: its task's name, or the kind of its task.
    pub fn title(&self) -> &str {
        if self.name.is_empty() {
            self.task.name()
        } else {
            &self.name
        }
    }

    /// The category of that place, or its number where categories are not known.
    pub fn category(&self, place: usize) -> String {
        self.categories.get(place).cloned().unwrap_or_else(|| place.to_string())
    }

    /// The reference's colours of its outputs; none where it has none.
    pub fn colours(&self) -> &'static [Colour] {
        let colours = colours::of(&self.name);
        if colours.len() == self.kind.outputs() {
            colours
        } else {
            &[]
        }
    }

    /// The head's result of maps, finest first; `None` for detectors, which give several. Parameters
    /// are asked for within the current scope.
    pub fn build<'b>(&self, b: &'b Builder, maps: &[Var<'b>]) -> Option<Var<'b>> {
        let (first, last) = (*maps.first()?, *maps.last()?);
        let y = match self.kind {
            HeadKind::Dense { layers, outputs } => {
                let x = convolved(b, first, layers);
                conv(b, &format!("layers.{layers}"), x, outputs, 3, Conv2d::same(3))
            }
            HeadKind::Largest { layers, outputs } => {
                linear(b, "extra", pixels(convolved(b, first, layers)).max(2), outputs)
            }
            HeadKind::Mean { outputs } => linear(b, "layer", pixels(last).mean(2), outputs),
            HeadKind::Detector { .. } | HeadKind::Classifier { .. } => return None,
        };
        Some(self.result(y))
    }

    /// What the task makes of the last layer's numbers.
    pub fn result<'b>(&self, y: Var<'b>) -> Var<'b> {
        match self.task {
            Task::Regress => y.scale(REGRESS_SCALE).reshape(&[y.dim(0), y.dim(2), y.dim(3)]),
            _ if self.exclusive => y.softmax(1),
            _ => y.sigmoid(),
        }
    }
}

/// Convolutions that keep the number of channels, each with ReLU.
fn convolved<'b>(b: &'b Builder, x: Var<'b>, layers: usize) -> Var<'b> {
    (0..layers).fold(x, |x, k| conv(b, &format!("layers.{k}.0"), x, x.dim(1), 3, Conv2d::same(3)).relu())
}

/// An image batch with its pixels along one axis.
pub fn pixels(x: Var<'_>) -> Var<'_> {
    x.reshape(&[x.dim(0), x.dim(1), x.dim(2) * x.dim(3)])
}
