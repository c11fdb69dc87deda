//! A network on a dataset: examples are read ahead while the network works, scored, and drawn.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use super::files::Files;
use super::output::Output;
use super::report::{Report, TaskScores};
use super::scorer::Scorer;
use crate::dataset::{
    read_images, read_label, Dataset, DatasetConfig, Example, Images, Sample, Split, TaskConfig,
};
use crate::engine::{results, Engine, LoadedModel, Session};
use crate::error::{Error, InFile, Result};
use crate::metrics::{mean, Rules};
use crate::models::{Frames, Head, InputSize};
use crate::pipeline::Progress;

/// Examples that are read ahead.
const AHEAD: usize = 2;
/// What is told of what is odd.
const MAX_NOTES: usize = 20;

/// Thresholds by task and category; none where all are tried.
pub type Thresholds = Vec<Option<Vec<f64>>>;

/// What is evaluated, and how.
pub struct Evaluation<'a> {
    /// Opens the network; once for each task.
    pub open: &'a dyn Fn() -> Result<LoadedModel>,
    /// Where it runs.
    pub engine: &'a Engine,
    /// Bytes it may take.
    pub budget: Option<u64>,
    /// What the dataset's files mean.
    pub config: &'a DatasetConfig,
    /// The dataset's folder.
    pub root: &'a Path,
    /// Only the task of that name.
    pub task: Option<&'a str>,
    /// Whose habits are kept.
    pub rules: Rules,
    /// Folder for pictures of targets and outputs.
    pub pictures: Option<PathBuf>,
    /// Folder for the outputs themselves.
    pub outputs: Option<PathBuf>,
}

/// What is odd: the first of it, and how much more.
struct Notes {
    kept: Vec<String>,
    more: usize,
}

impl Notes {
    fn add(&mut self, note: String) {
        if self.kept.len() < MAX_NOTES {
            self.kept.push(note);
        } else {
            self.more += 1;
        }
    }

    fn all(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.kept.into_iter().chain(more).collect()
    }
}

/// One example, read.
struct Loaded {
    sample: Sample,
    notes: Vec<String>,
}

impl Evaluation<'_> {
    /// Runs the network on a split's examples and scores its outputs, at the given thresholds or at all that are
    /// tried; `progress` makes the counter of examples. Gives the thresholds that were best, too.
    ///
    /// # Errors
    /// `Weights` when the network's heads are not the configuration's tasks, `Interrupted`, and what reading,
    /// running and writing say.
    pub fn run(
        &self,
        split: &Split,
        thresholds: &Thresholds,
        progress: impl FnOnce(u64) -> Progress,
        stop: &AtomicBool,
    ) -> Result<(Report, Thresholds)> {
        let dataset = Dataset::find(self.root, self.config, split, self.task)?;
        let model = (self.open)()?;
        check_heads(self.config, &dataset, &model)?;
        let mut notes = Notes { kept: dataset.notes.clone(), more: 0 };
        let progress = progress(dataset.examples.len() as u64);
        let mut best = vec![None; self.config.tasks.len()];
        let mut tasks: Vec<TaskScores> = Vec::new();
        for (place, task) in self.config.tasks.iter().enumerate() {
            let examples: Vec<&Example> = dataset.examples.iter().filter(|e| e.task == place).collect();
            if examples.is_empty() {
                continue;
            }
            let given = thresholds.get(place).and_then(Option::as_deref);
            let mut scorer = Scorer::new(task, given, self.rules, self.config.batch)?;
            let known = model.network().heads().iter().find(|head| head.index == place).map(Head::colours);
            let files = Files {
                pictures: self.pictures.as_deref(),
                outputs: self.outputs.as_deref(),
                images: self.config.images,
                thresholds: given,
                palette: if task.colours.is_empty() { known.unwrap_or_default() } else { &task.colours },
            };
            files.prepare()?;
            self.run_task(place, &examples, split, &mut scorer, &files, &progress, stop, &mut notes)?;
            best[place] = scorer.thresholds();
            tasks.push(scorer.finish());
        }
        progress.finish();
        let report = Report {
            subject: model.weights().path().display().to_string(),
            dataset: self.root.display().to_string(),
            split: split_name(split),
            compat: self.rules == Rules::Compat,
            score: mean(tasks.iter().filter_map(|task| task.score)),
            tasks,
            notes: notes.all(),
        };
        Ok((report, best))
    }

    fn run_task(
        &self,
        place: usize,
        examples: &[&Example],
        split: &Split,
        scorer: &mut Scorer,
        files: &Files<'_>,
        progress: &Progress,
        stop: &AtomicBool,
        notes: &mut Notes,
    ) -> Result<()> {
        let task = &self.config.tasks[place];
        let model = (self.open)()?;
        let at = model.network().heads().iter().position(|head| head.index == place).unwrap_or(0);
        let model = model.with_head(at, task.task);
        let mut runner = Runner { engine: self.engine, model: &model, budget: self.budget, session: None };
        let (config, rules) = (self.config, self.rules);
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(AHEAD);
            scope.spawn(move || {
                for example in examples {
                    let loaded = load(example, task, config, split, rules);
                    if sender.send(loaded.map_err(|e| e.in_file(&example.folder))).is_err() {
                        return;
                    }
                }
            });
            for (example, loaded) in examples.iter().zip(receiver) {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::interrupted("stopped; nothing is written"));
                }
                let Loaded { sample, notes: odd } = loaded?;
                odd.into_iter().for_each(|note| notes.add(note));
                let output = runner.run(task, place, &sample).in_file(&example.folder)?;
                match &sample.label {
                    Some(label) => scorer.add(label, &output).in_file(&example.folder)?,
                    None => notes.add(format!("{} has no labels", example.folder.display())),
                }
                files.write(&example.name, task, &sample, &output)?;
                progress.add(1);
            }
            Ok(())
        })
    }
}

fn split_name(split: &Split) -> String {
    match split {
        Split::Train => "train".to_string(),
        Split::Val => "val".to_string(),
        Split::Test => "test".to_string(),
        Split::All => "all".to_string(),
        Split::File(path) => path.display().to_string(),
    }
}

/// Says all that does not fit between the tasks that have examples and the network's heads.
fn check_heads(config: &DatasetConfig, dataset: &Dataset, model: &LoadedModel) -> Result<()> {
    let heads = model.network().heads();
    let mut wrong = Vec::new();
    for (place, task) in config.tasks.iter().enumerate() {
        if !dataset.examples.iter().any(|example| example.task == place) {
            continue;
        }
        match heads.iter().find(|head| head.index == place) {
            None => wrong.push(format!("no head {place} for task {}", task.name)),
            Some(head) => wrong.extend(mismatch(head, task)),
        }
    }
    let channels = config.channels.len() * config.images;
    let input = model.network().input();
    let per_image = input.channels.max(1);
    let fits = channels.is_multiple_of(per_image) && input.frames.contains(&(channels / per_image));
    if !fits {
        wrong.push(format!(
            "{} images of {} channels, where the network takes {} channels in {} to {} images",
            config.images,
            config.channels.len(),
            input.channels,
            input.frames.start(),
            input.frames.end()
        ));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => {
            let message = format!("the configuration does not fit the weights: {}", wrong.join("; "));
            Err(Error::weights(message).in_file(model.weights().path()))
        }
    }
}

fn mismatch(head: &Head, task: &TaskConfig) -> Option<String> {
    let (outputs, categories) = (head.kind.outputs(), task.categories.len().max(1));
    if !head.kind.serves(task.task) {
        return Some(format!(
            "task {} is {}, but its head's layers are {:?}",
            task.name,
            task.task.name(),
            head.kind
        ));
    }
    (outputs != categories)
        .then(|| format!("task {} has {categories} categories, its head {outputs} outputs", task.name))
}

fn load(
    example: &Example,
    task: &TaskConfig,
    config: &DatasetConfig,
    split: &Split,
    rules: Rules,
) -> Result<Loaded> {
    let Images { stack, notes, .. } = read_images(&example.folder, config)?;
    let label = read_label(&example.folder, task, config)?;
    let transforms = match split {
        Split::Val => &config.transforms.val,
        _ => &config.transforms.test,
    };
    let sample = transforms.iter().try_fold(Sample { images: stack, label }, |sample, transform| {
        transform.apply(sample, rules == Rules::Compat)
    })?;
    Ok(Loaded { sample, notes })
}

/// A network, compiled for the size that examples have.
struct Runner<'a> {
    engine: &'a Engine,
    model: &'a LoadedModel,
    budget: Option<u64>,
    session: Option<(InputSize, Session)>,
}

impl Runner<'_> {
    fn run(&mut self, task: &TaskConfig, head: usize, sample: &Sample) -> Result<Output> {
        let input = self.model.network().input();
        if input.layout != Frames::Stacked {
            return Err(Error::unsupported("networks that take dates apart have no labels of this kind"));
        }
        let planes = &sample.images;
        let frames = planes.count / input.channels.max(1);
        let size = InputSize { batch: 1, frames, height: planes.height, width: planes.width };
        if self.session.as_ref().is_none_or(|(compiled, _)| *compiled != size) {
            // The one before gives its memory back first.
            self.session = None;
            self.session = Some((size, self.engine.compile(self.model, size, &[], self.budget)?));
        }
        let Some((_, session)) = &mut self.session else {
            return Err(Error::device("no session"));
        };
        for (value, byte) in session.input().iter_mut().zip(&planes.data) {
            *value = f32::from(*byte) / f32::from(u8::MAX);
        }
        session.compute()?;
        Output::of(task.task, head, &results(session)?)
    }
}
