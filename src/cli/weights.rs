//! `swath weights`: what is in a weights file, and the way between `.pth` and safetensors.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use weights_tools::{convert, diff, inspect, ConvertOptions, InspectOptions};

use super::model::NetworkArgs;
use super::print::say;
use super::quantize;
use crate::engine::LoadedModel;
use crate::error::{Error, InFile, Kind, Result};

const EXAMPLES: &str = "\
Examples:
  swath weights inspect esrgan_8S2.pth --stats
  swath weights convert esrgan_8S2.pth esrgan_8S2.safetensors
  swath weights diff esrgan_8S2.pth finetuned.pth
  swath weights quantize -m esrgan_8S2.pth --calibrate scenes -o esrgan_int8.safetensors";

/// Looks into weights files, converts and compares them. Nothing in them is ever executed.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists tensors, options around them, and the network they are.
    Inspect(InspectArgs),
    /// Writes the same weights as .safetensors (with the network's description) or .pth.
    Convert(ConvertArgs),
    /// Says which tensors two files differ in, and by how much.
    Diff(DiffArgs),
    Quantize(Box<quantize::Args>),
}

#[derive(Debug, ClapArgs)]
struct InspectArgs {
    /// Weights (.pth or .safetensors).
    file: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Also minimum, mean and maximum of every tensor; reads all data.
    #[arg(long)]
    stats: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, ClapArgs)]
struct ConvertArgs {
    /// Weights (.pth or .safetensors).
    input: PathBuf,
    /// Result; the extension says what is written.
    output: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Key to put the tensors under in a .pth (default: the one they came from).
    #[arg(long, value_name = "KEY")]
    wrapper: Option<String>,
    /// Replace an existing result.
    #[arg(long)]
    overwrite: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, ClapArgs)]
struct DiffArgs {
    /// Weights.
    first: PathBuf,
    /// Weights.
    second: PathBuf,
    /// Which set of weights in both files.
    #[arg(long, value_name = "KEY")]
    param_key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What the files say.
pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Quantize(args) => quantize::run(args),
        Command::Inspect(args) => inspect_file(args),
        Command::Convert(args) => convert_file(args),
        Command::Diff(args) => {
            let difference = diff(&args.first, &args.second, args.param_key.as_deref())?;
            print(&difference, || Ok(difference.to_json()), args.json)
        }
    }
}

fn inspect_file(args: &InspectArgs) -> Result<()> {
    let options = InspectOptions { key: args.network.param_key.clone(), statistics: args.stats };
    let inspection = inspect(&args.file, &options)?;
    let model = known(LoadedModel::open(&args.file, args.network.options()))?;
    let description = model.map(|model| model.describe().in_file(&args.file)).transpose()?;
    if args.json {
        let mut json = inspection.to_json();
        if let (Some(object), Some(description)) = (json.as_object_mut(), &description) {
            object.insert("network".to_string(), serde_json::to_value(description).map_err(not_json)?);
        }
        return say(&format!("{json:#}"));
    }
    say(&inspection.to_string())?;
    description.map_or(Ok(()), |description| say(&format!("\n{description}")))
}

/// The model, `None` when the tensors are no known network's.
fn known(model: Result<LoadedModel>) -> Result<Option<LoadedModel>> {
    match model {
        Ok(model) => Ok(Some(model)),
        Err(error) if error.kind() == Kind::Weights => {
            eprintln!("swath: warning: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn convert_file(args: &ConvertArgs) -> Result<()> {
    let model = known(LoadedModel::open(&args.input, args.network.options()))?;
    let options = ConvertOptions {
        key: args.network.param_key.clone(),
        wrapper: args.wrapper.clone(),
        metadata: model.map(|model| model.metadata()).transpose()?.unwrap_or_default(),
        overwrite: args.overwrite,
        ..ConvertOptions::default()
    };
    let conversion = convert(&args.input, &args.output, &options)?;
    print(&conversion, || Ok(conversion.to_json()), args.json)
}

/// Prints a thing, or its JSON.
pub(super) fn print(
    text: &dyn std::fmt::Display,
    json: impl Fn() -> Result<serde_json::Value>,
    as_json: bool,
) -> Result<()> {
    match as_json {
        true => say(&format!("{:#}", json()?)),
        false => say(&text.to_string()),
    }
}

/// The error of a description that JSON cannot hold.
pub(super) fn not_json(error: serde_json::Error) -> Error {
    Error::unsupported(format!("the description is no JSON: {error}"))
}
