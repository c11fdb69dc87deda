//! `swath evaluate`: scores a network on a labelled dataset, or predicted files against labelled ones.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::flags::RunArgs;
use super::interrupt::stop_flag;
use super::model::NetworkArgs;
use super::print::say;
use crate::dataset::{DatasetConfig, Split};
use crate::engine::{Engine, LoadedModel};
use crate::error::{Error, InFile, Result};
use crate::evaluation::{benchmark, Benchmark, Evaluation, Modality, Report, Thresholds, MODALITIES};
use crate::metrics::Rules;
use crate::pipeline::Progress;

const EXAMPLES: &str = "\
Examples:
  swath evaluate labels -m wind_turbine.pth \\
      --config satlas_explorer_wind_turbine.txt --json scores.json
  swath evaluate labels -m best.pth --config my.txt --split all \\
      --visualise pictures
  swath evaluate static --predictions predicted --modality point \\
      --split test_lowres.json";

/// Scores a network on a dataset of the reference's format, or predictions against SatlasPretrain's labels.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Labels: a folder per task, with a folder per example; or, with --predictions, a folder per tile.
    dataset: PathBuf,
    /// Weights (.pth or .safetensors) of the network that is scored; needs --config.
    #[arg(short, long, value_name = "FILE", required_unless_present = "predictions")]
    model: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// train, val, test, all, or a file that lists examples (default: test; with --predictions all tiles).
    #[arg(long, value_parser = split)]
    split: Option<Split>,
    /// Only this task of the configuration.
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// The reference's numbers, its habits included (see docs/evaluation.md).
    #[arg(long)]
    compat: bool,
    /// Use the thresholds that are best on the validation split.
    #[arg(long, conflicts_with = "predictions")]
    pick_thresholds: bool,
    /// Write the scores as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write pictures of images, targets and outputs.
    #[arg(long, value_name = "DIR", conflicts_with = "predictions")]
    visualise: Option<PathBuf>,
    /// Write the outputs themselves, in the reference's formats.
    #[arg(long, value_name = "DIR", conflicts_with = "predictions")]
    outputs: Option<PathBuf>,
    /// Score these files instead of a network: <column>_<row>/vector.json and pictures.
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    predictions: Option<PathBuf>,
    /// What of the files is scored (default: all).
    #[arg(long, value_enum, value_delimiter = ',', requires = "predictions")]
    modality: Vec<ModalityArg>,
    /// Tiles hold a folder per event, as in SatlasPretrain's dynamic set.
    #[arg(long, requires = "predictions")]
    events: bool,
    /// Only categories that low-resolution images show.
    #[arg(long, requires = "predictions")]
    low_resolution: bool,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModalityArg {
    Point,
    Polygon,
    Polyline,
    Property,
    Raster,
}

impl From<ModalityArg> for Modality {
    fn from(value: ModalityArg) -> Self {
        match value {
            ModalityArg::Point => Self::Point,
            ModalityArg::Polygon => Self::Polygon,
            ModalityArg::Polyline => Self::Polyline,
            ModalityArg::Property => Self::Property,
            ModalityArg::Raster => Self::Raster,
        }
    }
}

fn split(text: &str) -> Result<Split> {
    Ok(match text {
        "train" => Split::Train,
        "val" => Split::Val,
        "test" => Split::Test,
        "all" => Split::All,
        file => Split::File(PathBuf::from(file)),
    })
}

impl Args {
    fn rules(&self) -> Rules {
        if self.compat {
            Rules::Compat
        } else {
            Rules::Meant
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What the dataset, the network and the device say.
pub fn run(args: &Args) -> Result<()> {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(args.run.threads()).build_global();
    let report = match (&args.predictions, &args.model) {
        (Some(predictions), _) => files(args, predictions)?,
        (None, Some(model)) => network(args, model)?,
        (None, None) => return Err(Error::usage("--model or --predictions says what is scored")),
    };
    for note in &report.notes {
        eprintln!("swath: note: {note}");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, report.json()).map_err(|e| Error::io("cannot write", e)).in_file(path)?;
    }
    say(&report.to_string())
}

fn files(args: &Args, predictions: &Path) -> Result<Report> {
    let modalities = match args.modality.is_empty() {
        true => MODALITIES.to_vec(),
        false => args.modality.iter().map(|m| Modality::from(*m)).collect(),
    };
    let split = match &args.split {
        Some(Split::File(path)) => Some(path.clone()),
        None | Some(Split::All) => None,
        Some(_) => {
            return Err(Error::usage("--split: with --predictions a file lists the tiles, or all are taken"))
        }
    };
    let job = Benchmark {
        labels: args.dataset.clone(),
        predictions: predictions.to_path_buf(),
        modalities,
        events: args.events,
        split,
        low_resolution: args.low_resolution,
        rules: args.rules(),
    };
    let stop = stop_flag()?;
    benchmark(&job, &Progress::new(args.run.progress(), "tiles", 0), &stop)
}

fn network(args: &Args, weights: &Path) -> Result<Report> {
    let Some(config) = &args.network.config else {
        return Err(Error::usage(
            "--config says what the dataset's files mean; it is the reference's .txt file",
        ));
    };
    let config = DatasetConfig::read(config)?;
    let engine = Engine::open(args.run.setup())?;
    // Says what is odd about the weights, once.
    args.network.open(weights)?;
    let evaluation = Evaluation {
        open: &|| LoadedModel::open(weights, args.network.options()),
        engine: &engine,
        budget: Some(args.run.memory()),
        config: &config,
        root: &args.dataset,
        task: args.task.as_deref(),
        rules: args.rules(),
        pictures: args.visualise.clone(),
        outputs: args.outputs.clone(),
    };
    let stop = stop_flag()?;
    let mut thresholds = Thresholds::new();
    if args.pick_thresholds {
        let choice = Evaluation { pictures: None, outputs: None, ..evaluation };
        let progress = |total| Progress::new(args.run.progress(), "validation examples", total);
        thresholds = choice.run(&Split::Val, &thresholds, progress, &stop)?.1;
    }
    let progress = |total| Progress::new(args.run.progress(), "examples", total);
    let split = args.split.clone().unwrap_or(Split::Test);
    let (report, _) = evaluation.run(&split, &thresholds, progress, &stop)?;
    Ok(report)
}
