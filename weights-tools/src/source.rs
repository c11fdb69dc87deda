//! Where the bytes come from: a mapped file or memory, and storages as ranges of it.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A whole file's bytes.
pub(crate) enum Source {
    Mapped(Mmap),
    Memory(Vec<u8>),
}

impl Source {
    /// Maps a file read-only; pages are read when touched.
    pub fn map(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("cannot open", e).in_file(path))?;
        let meta = file.metadata().map_err(|e| Error::io("cannot stat", e).in_file(path))?;
        if !meta.is_file() {
            return Err(Error::unsupported("is not a regular file").in_file(path));
        }
        if meta.len() == 0 {
            return Err(Error::format("is empty").in_file(path));
        }
        // SAFETY: the mapping is read-only and private to this value. As with every mapped file,
        // another process that shortens the file meanwhile ends this one with SIGBUS; it cannot
        // make it read other memory, because all ranges are checked against the mapped length.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("cannot map", e).in_file(path))?;
        Ok(Source::Mapped(map))
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Source::Mapped(map) => map,
            Source::Memory(bytes) => bytes,
        }
    }

    /// Lets the system take back the memory of a mapped range; reading it again brings it back.
    pub fn let_go(&self, range: &Range<usize>) {
        #[cfg(unix)]
        if let Source::Mapped(map) = self {
            if range.start < range.end && range.end <= map.len() {
                // SAFETY: the map is of a file and never written, so its pages hold after this what they held before.
                // The advice may be refused: then they stay.
                let _ = unsafe {
                    map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
                };
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Where one storage's bytes lie.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In the file as they are.
    File(Range<usize>),
    /// Inflated from a compressed entry.
    Memory(Vec<u8>),
}

/// One block of memory that tensors are views of.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub key: String,
    pub place: Place,
}

impl Storage {
    /// The storage's bytes.
    pub fn bytes<'a>(&'a self, source: &'a Source) -> Result<&'a [u8]> {
        match &self.place {
            Place::File(range) => source
                .bytes()
                .get(range.clone())
                .ok_or_else(|| Error::format(format!("storage {} lies outside the file", self.key))),
            Place::Memory(bytes) => Ok(bytes),
        }
    }

    /// See [`Source::let_go`].
    pub fn let_go(&self, source: &Source) {
        if let Place::File(range) = &self.place {
            source.let_go(range);
        }
    }
}

/// What a format's reader finds in a file; [`Checkpoint`](crate::Checkpoint) gives it its names.
pub(crate) struct Contents {
    pub root: crate::value::Value,
    pub storages: Vec<Storage>,
    pub tensors: Vec<crate::pickle::TensorClaim>,
    pub metadata: Vec<(String, String)>,
}
