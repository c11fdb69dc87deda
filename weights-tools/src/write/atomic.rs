//! A file that is whole or absent: written under a temporary name beside its own, then renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Runs `write` on a temporary file and renames it to `path`. Whatever fails, nothing stays behind.
/// An existing file is replaced.
pub(super) fn write(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let partial = partial_name(path)?;
    let written = create(&partial).and_then(|file| {
        let mut sink = BufWriter::with_capacity(1 << 20, file);
        write(&mut sink)?;
        sink.flush()?;
        sink.get_ref().sync_all()
    });
    written.and_then(|()| std::fs::rename(&partial, path)).map_err(|e| {
        // The error to report is the first one; a partial file that cannot be removed adds nothing.
        let _ = std::fs::remove_file(&partial);
        Error::io("cannot write", e).in_file(path)
    })
}

fn create(partial: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).read(true).create(true).truncate(true).open(partial)
}

fn partial_name(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::missing("is no file name").in_file(path));
    };
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    partial.push(format!(".{}.partial", std::process::id()));
    Ok(path.with_file_name(partial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pth");
        write(&path, |sink| sink.write_all(b"old")).unwrap();
        let error = write(&path, |sink| {
            sink.write_all(b"new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().to_string().ends_with("cannot write: disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
