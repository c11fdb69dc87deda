//! `weights-tools inspect|convert|diff`: the library's reports on the command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weights_tools::{convert, diff, inspect, ConvertOptions, InspectOptions, Result};

/// Looks into, converts and compares network weights (.pth, safetensors) without running what is in them.
#[derive(Parser)]
#[command(name = "weights-tools", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Lists container, wrappers, metadata and tensors.
    Inspect {
        /// The file.
        file: PathBuf,
        /// Set of weights to list (params_ema, state_dict, …).
        #[arg(long)]
        key: Option<String>,
        /// Read the data too, for minimum, mean and maximum.
        #[arg(long)]
        statistics: bool,
    },
    /// Converts one set of weights; the output's extension says to what.
    Convert {
        /// The file to read.
        input: PathBuf,
        /// The file to write (.safetensors or .pth).
        #[arg(short, long)]
        output: PathBuf,
        /// Set of weights to convert.
        #[arg(long)]
        key: Option<String>,
        /// Key to put them under in a .pth; the one they came from by default.
        #[arg(long)]
        wrapper: Option<String>,
        /// Text for safetensors' metadata, KEY=VALUE.
        #[arg(long = "metadata", value_parser = key_value)]
        metadata: Vec<(String, String)>,
        /// Replace an existing output.
        #[arg(long)]
        overwrite: bool,
    },
    /// Compares two sets of weights; exit code 1 if they differ.
    Diff {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Set of weights to compare.
        #[arg(long)]
        key: Option<String>,
    },
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("is not KEY=VALUE")?;
    Ok((key.to_string(), value.to_string()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok((text, code)) => match std::io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => code,
            Err(_) => ExitCode::from(2),
        },
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// What to print and how to end.
fn run(arguments: Arguments) -> Result<(String, ExitCode)> {
    let json = arguments.json;
    let print = |text: String, value: serde_json::Value| if json { format!("{value:#}\n") } else { text };
    match arguments.command {
        Command::Inspect { file, key, statistics } => {
            let report = inspect(&file, &InspectOptions { key, statistics })?;
            Ok((print(report.to_string(), report.to_json()), ExitCode::SUCCESS))
        }
        Command::Convert { input, output, key, wrapper, metadata, overwrite } => {
            let report = convert(
                &input,
                &output,
                &ConvertOptions { key, wrapper, metadata, overwrite, ..ConvertOptions::default() },
            )?;
            Ok((print(report.to_string(), report.to_json()), ExitCode::SUCCESS))
        }
        Command::Diff { first, second, key } => {
            let report = diff(&first, &second, key.as_deref())?;
            let code = if report.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) };
            Ok((print(report.to_string(), report.to_json()), code))
        }
    }
}
