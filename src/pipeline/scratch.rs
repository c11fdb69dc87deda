//! A file of fixed-size slots for floats that are not needed for a while.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::error::{Error, InFile, Result};

/// Slots of one size, by key. The file appears with the first store and is removed when dropped.
pub struct Scratch<K> {
    path: PathBuf,
    file: Option<File>,
    slot_bytes: usize,
    slots: HashMap<K, u64>,
    free: Vec<u64>,
    next: u64,
}

impl<K: Eq + Hash> Scratch<K> {
    /// A scratch file at `path` for slots of at most `slot_bytes`.
    pub fn new(path: PathBuf, slot_bytes: usize) -> Self {
        Self { path, file: None, slot_bytes, slots: HashMap::new(), free: Vec::new(), next: 0 }
    }

    /// Keeps `data` under `key`.
    ///
    /// # Errors
    /// `Io`, naming the file.
    pub fn store(&mut self, key: K, data: &[f32]) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&self.path)
                .map_err(|e| Error::io("cannot create the scratch file", e))
                .in_file(&self.path)?,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        let written = file.write_all_at(bytemuck::cast_slice(data), slot * self.slot_bytes as u64);
        self.file = Some(file);
        written.map_err(|e| Error::io("cannot write the scratch file", e)).in_file(&self.path)?;
        self.slots.insert(key, slot);
        Ok(())
    }

    /// Moves what is kept under `key` into `data`; leaves `data` alone when there is nothing.
    ///
    /// # Errors
    /// `Io`, naming the file.
    pub fn load(&mut self, key: K, data: &mut [f32]) -> Result<()> {
        let (Some(slot), Some(file)) = (self.slots.remove(&key), &self.file) else { return Ok(()) };
        self.free.push(slot);
        file.read_exact_at(bytemuck::cast_slice_mut(data), slot * self.slot_bytes as u64)
            .map_err(|e| Error::io("cannot read the scratch file", e))
            .in_file(&self.path)
    }
}

impl<K> Drop for Scratch<K> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Nothing is lost when this fails: the file holds no finished work.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
