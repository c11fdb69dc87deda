//! What commands say on stdout.

use std::io::{ErrorKind, Write};

use crate::engine::{Precision, Precisions};
use crate::error::{Error, Result};

/// Prints a text and ends its last line. A reader that has gone away (`swath info X | head`) is no error.
///
/// # Errors
/// `Io` when stdout cannot be written for another reason.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("cannot write to stdout", e)),
        _ => Ok(()),
    }
}

/// What products were computed in, where another precision than f32 was asked for.
pub fn precisions(asked: Precision, ran: &Precisions) -> Option<String> {
    let none = match ran.share(asked) {
        0.0 => format!("; this device multiplies nothing of this network in {asked}"),
        _ => String::new(),
    };
    (asked != Precision::F32).then(|| format!("products {ran}{none}"))
}
