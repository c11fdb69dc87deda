//! The crate's one error: whose fault it was, what happened, in which file. Displays as one line.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file is not what its format says: truncated, corrupt, contradictory.
    Format,
    /// The file asks for something this crate never does, above all for code to be run.
    Refused,
    /// The file is fine, but uses something that is not read.
    Unsupported,
    /// A size or count is over a bound of [`Limits`](crate::Limits).
    Limit,
    /// A tensor, wrapper key or type that was asked for is not there.
    Missing,
    /// The operating system refused.
    Io,
}

/// What failed and in which file.
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
                Self { kind: Kind::$kind, message: message.into(), file: None, source: None }
            }
        )*
    };
}

impl Error {
    constructors! {
        format => Format, refused => Refused, unsupported => Unsupported,
        limit => Limit, missing => Missing,
    }

    /// A failed system call; `what` says what was being done ("cannot create").
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self { kind: Kind::Io, message: what.into(), file: None, source: Some(source) }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The file the error is about, if any.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The message without the file's name.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The system's own error, if the operating system refused.
    pub fn into_io(self) -> Option<std::io::Error> {
        self.source
    }

    /// Names the file the error is about, unless a deeper layer already did.
    #[must_use]
    pub fn in_file(mut self, path: impl AsRef<Path>) -> Self {
        self.file.get_or_insert_with(|| path.as_ref().to_path_buf());
        self
    }
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
