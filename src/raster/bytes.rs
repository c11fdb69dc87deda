//! Input bytes: a memory-mapped file, a range of one (a stored archive entry, read in place), or a buffer.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};

enum Storage {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

/// Read-only bytes shared between threads. Cloning and slicing never copy.
#[derive(Clone)]
pub struct Bytes {
    storage: Arc<Storage>,
    range: Range<usize>,
}

impl Bytes {
    /// Maps a whole file.
    ///
    /// # Errors
    /// `Io` when the file cannot be opened or mapped; the error names it.
    pub fn map(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io("cannot open", e).in_file(path))?;
        let len = file.metadata().map_err(|e| Error::io("cannot read", e).in_file(path))?.len();
        if len == 0 {
            return Ok(Self::from(Vec::new()));
        }
        // SAFETY: the map is read-only and private to this process's view. Another process that changes
        // the file while it is read can change the bytes; every parser above checks what it reads, and a
        // file cut short under a map ends the process with SIGBUS, as it does for every mapping reader.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("cannot map", e).in_file(path))?;
        let range = 0..map.len();
        Ok(Self { storage: Arc::new(Storage::Mapped(map)), range })
    }

    /// A part of these bytes, sharing the same map.
    ///
    /// # Errors
    /// `Format` when the range does not lie inside.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        if range.start > range.end || range.end > self.len() {
            return Err(Error::format(format!(
                "bytes {}..{} lie outside the {} bytes there are",
                range.start,
                range.end,
                self.len()
            )));
        }
        let start = self.range.start + range.start;
        Ok(Self { storage: self.storage.clone(), range: start..start + range.len() })
    }

    /// Whether the bytes are mapped (file-backed) rather than held in memory.
    pub fn is_mapped(&self) -> bool {
        matches!(*self.storage, Storage::Mapped(_))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { storage: Arc::new(Storage::Owned(bytes)), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &*self.storage {
            Storage::Mapped(map) => map,
            Storage::Owned(bytes) => bytes,
        };
        all.get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn slices_share_the_map_and_are_checked() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let bytes = Bytes::map(file.path()).unwrap();
        let inner = bytes.slice(2..8).unwrap();
        assert_eq!(&*inner, b"234567");
        assert_eq!(&*inner.slice(1..3).unwrap(), b"34");
        assert!(inner.is_mapped());
        assert!(inner.slice(0..7).is_err());
        assert!(bytes.slice(0..11).is_err());
    }

    #[test]
    fn an_empty_file_is_empty_and_a_missing_one_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Bytes::map(file.path()).unwrap().is_empty());
        let error = Bytes::map("no/such/file.jp2").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file.jp2: cannot open"), "{error}");
    }
}
