//! The command line: parses flags, calls the library, prints. One file a command.

mod bench;
mod check;
mod demo;
mod detect;
mod doctor;
mod evaluate;
mod exit;
mod flags;
mod forward;
mod info;
mod interrupt;
mod map;
mod model;
mod print;
mod quantize;
mod regress;
mod report;
mod run_file;
mod segment;
mod smooth;
mod upscale;
pub mod values;
mod weights;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  swath demo
  swath upscale S2A_*.SAFE S2B_*.SAFE -m esrgan_8S2.pth -o sharp.tif
  swath info esrgan_8S2.pth
  swath help upscale";

/// Super-resolves and reads satellite scenes with published neural networks.
#[derive(Debug, Parser)]
#[command(name = "swath", version, about, max_term_width = 80, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Upscale(Box<upscale::Args>),
    Detect(Box<detect::Args>),
    Segment(Box<segment::Args>),
    Regress(Box<regress::Args>),
    Evaluate(Box<evaluate::Args>),
    Doctor(doctor::Args),
    Check(check::Args),
    Forward(forward::Args),
    Info(info::Args),
    Demo(demo::Args),
    Smooth(smooth::Args),
    Bench(bench::Args),
    Weights(weights::Args),
}

/// The command line: all commands, each with the flags that all have.
fn program() -> clap::Command {
    Cli::command().arg(run_file::flag())
}

/// Parses the process's arguments and runs the command.
pub fn main() -> ExitCode {
    let program = program();
    let (words, file) = match run_file::expand(std::env::args_os().collect(), &program) {
        Ok(expanded) => expanded,
        Err(error) => return exit::report(&error),
    };
    let parsed = program.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed.map(run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => exit::report(&error),
        Err(error) => {
            if let Some(file) = file.filter(|_| error.use_stderr()) {
                eprintln!("swath: with the flags of {}:", file.display());
            }
            error.exit()
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Upscale(args) => upscale::run(&args),
        Command::Detect(args) => detect::run(&args),
        Command::Segment(args) => segment::run(&args),
        Command::Regress(args) => regress::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Smooth(args) => smooth::run(&args),
        Command::Weights(args) => weights::run(&args),
    }
}
