//! Exit codes, documented in docs/running.md: useful to schedulers, stable between releases.

use std::process::ExitCode;

use crate::error::{Error, Kind};

/// The exit code of an error.
///
/// 2 usage · 3 input file · 4 limit or memory · 5 weights · 6 device · 7 input/output ·
/// 8 disk full (resumable) · 9 done, but doubtful · 130 interrupted (resumable).
pub fn code(error: &Error) -> u8 {
    if error.is_disk_full() {
        return 8;
    }
    match error.kind() {
        Kind::Usage => 2,
        Kind::Format | Kind::Unsupported | Kind::Shape => 3,
        Kind::Limit => 4,
        Kind::Weights => 5,
        Kind::Device => 6,
        Kind::Io => 7,
        Kind::Doubtful => 9,
        Kind::Interrupted => 130,
    }
}

/// Prints the error as one line on stderr and gives its exit code.
pub fn report(error: &Error) -> ExitCode {
    eprintln!("swath: {error}");
    ExitCode::from(code(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_code_of_its_own() {
        let full = Error::io("cannot write", std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(code(&full), 8);
        let denied = Error::io("cannot write", std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        assert_eq!(code(&denied), 7);
        assert_eq!(code(&Error::usage("x")), 2);
    }
}
