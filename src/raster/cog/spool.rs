//! The spool: compressed tiles in one data file in the order they came, and the journal that says where.
//!
//! A tile's bytes are written before its record, and every record carries the tile's checksum, so
//! whatever a crash leaves behind is either believed and right, or done again. One run at a time holds
//! the folder's lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::journal::{self, Identity, Journal, Opened, Place, Record, Stored};
use crate::error::{Error, InFile, Result};

/// What to do with a spool that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reuse {
    /// Continue it when it belongs to the same run.
    pub(super) resume: bool,
    /// Discard it otherwise.
    pub(super) overwrite: bool,
}

/// The open spool of one output.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    state: Mutex<State>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    tiles: File,
    tiles_len: u64,
    journal: File,
    journal_len: u64,
    index: Vec<Option<Stored>>,
}

impl Spool {
    /// Opens the spool in `dir` for `slots` tiles, making it where there is none, and takes its lock.
    pub(super) fn open(dir: &Path, identity: Identity, slots: usize, reuse: Reuse) -> Result<Self> {
        match fs::create_dir(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("cannot create the spool folder", e).in_file(dir));
            }
            _ => {}
        }
        let lock = take_lock(dir)?;
        let state = match found(dir, identity, reuse)? {
            Some(journal) => State::reopen(dir, journal, slots)?,
            None => State::create(dir, identity, slots)?,
        };
        Ok(Self { dir: dir.to_path_buf(), state: Mutex::new(state), _lock: lock })
    }

    /// Where a tile is, if it is stored.
    pub(super) fn get(&self, slot: usize) -> Option<Stored> {
        self.lock().index.get(slot).copied().flatten()
    }

    /// A copy of the whole index.
    pub(super) fn index(&self) -> Vec<Option<Stored>> {
        self.lock().index.clone()
    }

    /// Stores a tile that holds no data.
    pub(super) fn append_empty(&self, slot: usize) -> Result<()> {
        self.lock().record(Record { slot: slot as u64, stored: Stored::Empty }).in_file(&self.dir)
    }

    /// Stores a tile and its mask (empty without one). A tile already stored stays as it is.
    pub(super) fn append(&self, slot: usize, tile: &[u8], mask: &[u8]) -> Result<()> {
        let sizes = (u32::try_from(tile.len()), u32::try_from(mask.len()));
        let (Ok(len), Ok(mask_len)) = sizes else {
            return Err(Error::limit(format!("a compressed tile of {} bytes: at most 4 GiB", tile.len())));
        };
        let crc = checksum(tile, mask);
        let mut state = self.lock();
        let offset = state.tiles_len;
        state.append(tile, mask).in_file(&self.dir)?;
        let place = Place { offset, len, mask_len, crc };
        state.record(Record { slot: slot as u64, stored: Stored::At(place) }).in_file(&self.dir)
    }

    /// Reads a tile and its mask back; for use by many threads at once.
    pub(super) fn read(&self, place: Place) -> Result<(Vec<u8>, Vec<u8>)> {
        let path = tiles_path(&self.dir);
        let both =
            read_place(&path, place).map_err(|e| Error::io("cannot read the spool", e)).in_file(&path)?;
        both.ok_or_else(|| {
            Error::format("a spooled tile fails its checksum; run again with --resume").in_file(&path)
        })
    }

    /// Whether no tile is stored.
    pub(super) fn is_unused(&self) -> bool {
        self.lock().index.iter().all(Option::is_none)
    }

    /// Where the finished file is assembled: on the same file system as the output.
    pub(super) fn assembled_path(&self) -> PathBuf {
        assembled_path(&self.dir)
    }

    /// Removes the spool; what cannot be removed is left.
    pub(super) fn remove(self) {
        let Self { dir, state, _lock } = self;
        drop(state);
        // The journal goes first: without it a half-removed spool is one that holds nothing.
        for path in [journal_path(&dir), tiles_path(&dir), assembled_path(&dir), lock_path(&dir)] {
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_dir(dir);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn create(dir: &Path, identity: Identity, slots: usize) -> Result<Self> {
        let fresh = |path: PathBuf| {
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
            file.map_err(|e| Error::io("cannot create the spool", e)).in_file(path)
        };
        let tiles = fresh(tiles_path(dir))?;
        let mut journal = fresh(journal_path(dir))?;
        let header = identity.to_bytes();
        journal.write_all(&header).map_err(full_disk).in_file(dir)?;
        Ok(Self { tiles, tiles_len: 0, journal, journal_len: header.len() as u64, index: vec![None; slots] })
    }

    /// Believes the records whose tiles are there and whole; later records of a tile win.
    fn reopen(dir: &Path, found: Journal, slots: usize) -> Result<Self> {
        let open = |path: PathBuf| {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            file.map_err(|e| Error::io("cannot open the spool", e)).in_file(path)
        };
        let (tiles, journal) = (open(tiles_path(dir))?, open(journal_path(dir))?);
        let length = |file: &File| file.metadata().map(|m| m.len()).map_err(Error::from).in_file(dir);
        let tiles_len = length(&tiles)?;
        let mut index = vec![None; slots];
        for record in &found.records {
            if let Some(entry) = usize::try_from(record.slot).ok().and_then(|slot| index.get_mut(slot)) {
                *entry = Some(record.stored);
            }
        }
        for entry in &mut index {
            if let Some(Stored::At(place)) = *entry {
                let whole = read_place(&tiles_path(dir), place).ok().flatten().is_some();
                *entry = entry.filter(|_| whole);
            }
        }
        Ok(Self { tiles, tiles_len, journal, journal_len: found.len, index })
    }

    /// Writes behind the last whole tile; a failed write is overwritten by the next.
    fn append(&mut self, tile: &[u8], mask: &[u8]) -> Result<()> {
        let start = SeekFrom::Start(self.tiles_len);
        let file = &mut self.tiles;
        file.seek(start).map_err(full_disk)?;
        file.write_all(tile).and_then(|()| file.write_all(mask)).map_err(full_disk)?;
        self.tiles_len += (tile.len() + mask.len()) as u64;
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<()> {
        let bytes = record.to_bytes();
        let file = &mut self.journal;
        let start = SeekFrom::Start(self.journal_len);
        file.seek(start).and_then(|_| file.write_all(&bytes)).map_err(full_disk)?;
        self.journal_len += bytes.len() as u64;
        if let Some(entry) = usize::try_from(record.slot).ok().and_then(|slot| self.index.get_mut(slot)) {
            *entry = Some(record.stored);
        }
        Ok(())
    }
}

/// Looks for a journal to continue; `None` means: begin.
fn found(dir: &Path, identity: Identity, reuse: Reuse) -> Result<Option<Journal>> {
    let path = journal_path(dir);
    let opened = match File::open(&path) {
        Ok(file) => journal::read(BufReader::new(file)).map_err(Error::from).in_file(&path)?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("cannot read the journal", e).in_file(path)),
    };
    let refuse = |why: &str| match reuse.overwrite {
        true => Ok(None),
        false => Err(Error::usage(why).in_file(dir)),
    };
    match opened {
        Opened::Unborn => Ok(None),
        Opened::Journal(journal) if journal.records.is_empty() => Ok(None),
        Opened::Foreign => refuse("the spool's journal is damaged; --overwrite discards the spool"),
        Opened::Journal(_) if !reuse.resume => {
            refuse("holds an unfinished run; --resume continues it, --overwrite discards it")
        }
        Opened::Journal(journal) if journal.identity.output != identity.output => {
            refuse("holds an unfinished run with other output options; --overwrite discards it")
        }
        Opened::Journal(journal) if journal.identity.run != identity.run => {
            refuse("holds an unfinished run with other inputs, weights or options; --overwrite discards it")
        }
        Opened::Journal(journal) => Ok(Some(journal)),
    }
}

/// Whether `dir` holds a journal that a run could continue or has to discard.
pub(super) fn exists(dir: &Path) -> bool {
    journal_path(dir).exists()
}

fn take_lock(dir: &Path) -> Result<File> {
    let path = lock_path(dir);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|e| Error::io("cannot create the spool's lock", e)).in_file(&path)?;
    // The kernel may hold a killed run's lock a moment longer than the run lived.
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(e)) => return Err(Error::io("cannot lock the spool", e).in_file(path)),
        }
    }
    Err(Error::usage("another run is writing this output; wait for it or choose another -o").in_file(dir))
}

/// A tile and its mask; `None` when the checksum does not hold.
fn read_place(path: &Path, place: Place) -> std::io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut file = File::open(path)?;
    let end = place.offset.checked_add(u64::from(place.len) + u64::from(place.mask_len));
    if end.is_none_or(|end| file.metadata().map_or(true, |m| m.len() < end)) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(place.offset))?;
    let mut tile = vec![0; place.len as usize];
    let mut mask = vec![0; place.mask_len as usize];
    file.read_exact(&mut tile)?;
    file.read_exact(&mut mask)?;
    Ok((checksum(&tile, &mask) == place.crc).then_some((tile, mask)))
}

fn checksum(tile: &[u8], mask: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(tile);
    crc.update(mask);
    crc.finalize()
}

/// A failed write, with what helps.
pub(super) fn full_disk(e: std::io::Error) -> Error {
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::io("no space for the output; free some and run again with --resume", e)
        }
        _ => Error::io("cannot write", e),
    }
}

fn tiles_path(dir: &Path) -> PathBuf {
    dir.join("tiles")
}

fn journal_path(dir: &Path) -> PathBuf {
    dir.join("journal")
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn assembled_path(dir: &Path) -> PathBuf {
    dir.join("assembled.tif")
}
