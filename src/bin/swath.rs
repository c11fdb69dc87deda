//! The `swath` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    swath::cli::main()
}
