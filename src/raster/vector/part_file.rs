//! A file that has another name until it is complete, and disappears when it is not completed.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, InFile, Result};

/// A file being written beside its final name.
#[derive(Debug)]
pub(super) struct PartFile {
    path: PathBuf,
    part: PathBuf,
    out: BufWriter<File>,
    complete: bool,
}

impl PartFile {
    /// Begins a file; one that exists is only replaced with `overwrite`.
    ///
    /// # Errors
    /// `Usage` when the file exists or is a folder, `Io` when it cannot be created.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::usage("the output is a folder").in_file(path));
        }
        if path.exists() && !overwrite {
            return Err(Error::usage("exists already; --overwrite replaces it").in_file(path));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|e| Error::io("cannot create", e)).in_file(path)?;
        Ok(Self { path: path.to_path_buf(), part, out: BufWriter::new(file), complete: false })
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `Io`, naming the file.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::io("cannot write", e)).in_file(&self.path)
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// `Io`, naming the file.
    pub fn finish(mut self) -> Result<()> {
        let whole = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        let renamed = whole.and_then(|()| fs::rename(&self.part, &self.path));
        self.complete = renamed.is_ok();
        renamed.map_err(|e| Error::io("cannot write", e)).in_file(&self.path)
    }
}

/// For libraries that write; errors do not name the file.
#[cfg(feature = "parquet")]
impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.complete {
            // What made it incomplete is the error to tell, not this.
            let _ = fs::remove_file(&self.part);
        }
    }
}
