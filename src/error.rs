//! The one public error: whose fault it was, what happened, in which file, and what helps.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is. Decides the program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file is not what its format says: truncated, corrupt, contradictory.
    Format,
    /// The file is fine, but uses something swath does not read.
    Unsupported,
    /// A size, count or budget is over a bound; the message names value, bound and flag.
    Limit,
    /// Shapes, band counts or grids that do not fit together.
    Shape,
    /// A checkpoint that fits no network, or lacks tensors.
    Weights,
    /// A device that cannot be had or failed.
    Device,
    /// The operating system refused: missing file, full disk, permission.
    Io,
    /// The command line or a configuration asks for something impossible.
    Usage,
    /// Stopped by the user; the work so far can be resumed.
    Interrupted,
    /// The work is done and its result is there, but there is reason to doubt it.
    Doubtful,
}

/// What failed, in which file, and what helps. Displays as one line.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    file: Option<PathBuf>,
    source: Option<std::io::Error>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("An error of [`Kind::", stringify!($kind), "`].")]
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Kind::$kind, message)
            }
        )*
    };
}

impl Error {
    /// An error of the given kind. The message becomes one line, whatever a library or a file put into it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: one_line(message.into()), file: None, source: None }
    }

    constructors! {
        format => Format, unsupported => Unsupported, limit => Limit, shape => Shape,
        weights => Weights, device => Device, usage => Usage, interrupted => Interrupted, doubtful => Doubtful,
    }

    /// A failed system call: `what` says what was being done ("cannot create").
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self { kind: Kind::Io, message: what.into(), file: None, source: Some(source) }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a write failed because the disk (or quota) is full.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        self.source.as_ref().is_some_and(|e| matches!(e.kind(), StorageFull | QuotaExceeded))
    }

    /// The file the error is about, if any.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Names the file the error is about, unless a deeper layer already did.
    #[must_use]
    pub fn in_file(mut self, path: impl AsRef<Path>) -> Self {
        self.file.get_or_insert_with(|| path.as_ref().to_path_buf());
        self
    }

    /// Puts what was being done in front of the message ("date 2020-02-19, tile 3,4").
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let parts = message.split(char::is_control).map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::io("input/output", source)
    }
}

/// Adds the file's name to a result's error.
pub trait InFile<T> {
    /// Names the file the error is about, unless a deeper layer already did.
    fn in_file(self, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<Error>> InFile<T> for std::result::Result<T, E> {
    fn in_file(self, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|e| e.into().in_file(path))
    }
}
