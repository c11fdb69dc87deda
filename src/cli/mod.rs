//! The command line: parses flags, calls the library, prints. One file a command.

mod demo;
mod doctor;
mod exit;
mod forward;
mod info;
mod interrupt;
mod model;
mod print;
mod upscale;
pub mod values;
mod weights;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// Super-resolves and reads satellite scenes with published neural networks.
#[derive(Debug, Parser)]
#[command(name = "swath", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Upscale(Box<upscale::Args>),
    /// Says what this machine offers: processor, instruction set, memory, devices.
    Doctor,
    Forward(forward::Args),
    Info(info::Args),
    Demo(demo::Args),
    Weights(weights::Args),
}

/// Parses the process's arguments and runs the command.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Upscale(args) => upscale::run(&args),
        Command::Doctor => doctor::run(),
        Command::Forward(args) => forward::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Weights(args) => weights::run(&args),
    }
}
