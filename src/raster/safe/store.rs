//! Where a product's files lie: a folder, or entries of a zip read in place.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, InFile, Result};
use crate::raster::Bytes;

/// Largest metadata file read (real ones are under 2 MiB).
const MAX_TEXT: usize = 32 << 20;
/// Most files a product may have (real ones have some hundred).
const MAX_FILES: usize = 20_000;

/// The files of one product. Paths inside it are relative to its root, with `/`.
#[derive(Debug)]
pub enum Store {
    /// A `.SAFE` folder.
    Folder(PathBuf),
    /// A zip of one.
    Zip(ZipStore),
}

/// Entries of a zip.
#[derive(Debug)]
pub struct ZipStore {
    path: PathBuf,
    bytes: Bytes,
    /// The folder inside the zip that holds the product, with a final `/`, or empty.
    root: String,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    data: Range<usize>,
    size: usize,
    stored: bool,
    index: usize,
}

impl Store {
    /// Opens a folder, or reads a zip's directory.
    ///
    /// # Errors
    /// `Io`, `Format` for a damaged zip, `Limit` for one with too many entries.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_path_buf()));
        }
        Ok(Self::Zip(ZipStore::open(path)?))
    }

    /// The product's folder inside a zip (`NAME.SAFE/`); empty for a folder.
    pub fn root(&self) -> &str {
        match self {
            Self::Folder(_) => "",
            Self::Zip(zip) => &zip.root,
        }
    }

    /// The files a reader may need: those at the root and all under `GRANULE/`, sorted.
    ///
    /// # Errors
    /// `Io` when a folder cannot be read, `Limit` when there are too many files.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        match self {
            Self::Folder(root) => {
                list_folder(root, "", 0, &mut files)?;
                // GRANULE/<name>/IMG_DATA/R10m/<file>
                list_folder(root, "GRANULE/", 4, &mut files)?;
            }
            Self::Zip(zip) => files.extend(zip.entries.keys().cloned()),
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Bytes of a file: mapped, or a range of the mapped zip.
    ///
    /// # Errors
    /// `Io`, `Format` when there is no such entry, `Unsupported` for a compressed entry.
    pub fn bytes(&self, path: &str) -> Result<Bytes> {
        match self {
            Self::Folder(root) => Bytes::map(root.join(path)),
            Self::Zip(zip) => zip.stored(path).in_file(self.display(path)),
        }
    }

    /// Text of a metadata file, compressed or not.
    ///
    /// # Errors
    /// `Io`, `Limit` over 32 MiB, `Format` when it is not UTF-8.
    pub fn read_text(&self, path: &str) -> Result<String> {
        let read = || match self {
            Self::Folder(root) => read_bounded(fs::File::open(root.join(path))?),
            Self::Zip(zip) => zip.inflate(path),
        };
        let text = read().and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| Error::format("the metadata is not UTF-8 text"))
        });
        text.in_file(self.display(path))
    }

    /// Path of a file for messages.
    pub fn display(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(root) => root.join(path),
            Self::Zip(zip) => zip.path.join(&zip.root).join(path),
        }
    }
}

fn read_bounded(reader: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_TEXT {
        return Err(Error::limit(format!("a metadata file of over {MAX_TEXT} bytes")));
    }
    Ok(bytes)
}

fn list_folder(root: &Path, inside: &str, depth: usize, files: &mut Vec<String>) -> Result<()> {
    let folder = root.join(inside);
    let read = |e| Error::io("cannot read the folder", e).in_file(&folder);
    for entry in fs::read_dir(&folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.path().is_file() {
            files.push(format!("{inside}{name}"));
        } else if depth > 0 && entry.path().is_dir() {
            list_folder(root, &format!("{inside}{name}/"), depth - 1, files)?;
        }
        if files.len() > MAX_FILES {
            return Err(Error::limit(format!("a product of over {MAX_FILES} files")));
        }
    }
    Ok(())
}

impl ZipStore {
    fn open(path: &Path) -> Result<Self> {
        let bytes = Bytes::map(path)?;
        let entries = read_directory(&bytes).in_file(path)?;
        let root = entries.keys().find_map(|name| Some(name.split_once("GRANULE/")?.0.to_owned()));
        let root = root.filter(|r| r.is_empty() || r.ends_with('/')).ok_or_else(|| {
            Error::format("the zip holds no Sentinel-2 product (no GRANULE folder)").in_file(path)
        })?;
        let entries = entries
            .into_iter()
            .filter_map(|(name, e)| Some((name.strip_prefix(&root)?.to_owned(), e)))
            .collect();
        Ok(Self { path: path.to_path_buf(), bytes, root, entries })
    }

    fn entry(&self, path: &str) -> Result<&Entry> {
        self.entries.get(path).ok_or_else(|| Error::format("there is no such entry in the zip"))
    }

    fn stored(&self, path: &str) -> Result<Bytes> {
        let entry = self.entry(path)?;
        if !entry.stored {
            return Err(Error::unsupported(
                "the image is compressed inside the zip, so windows of it cannot be read in place; unzip the \
                 product, or pack it again with zip -0",
            ));
        }
        self.bytes.slice(entry.data.clone())
    }

    fn inflate(&self, path: &str) -> Result<Vec<u8>> {
        let entry = self.entry(path)?;
        if entry.size > MAX_TEXT {
            return Err(Error::limit(format!("a metadata file of {} bytes, over {MAX_TEXT}", entry.size)));
        }
        let mut archive = archive(&self.bytes)?;
        let file = archive.by_index(entry.index).map_err(damaged)?;
        read_bounded(file)
    }
}

fn damaged(e: zip::result::ZipError) -> Error {
    Error::format(format!("damaged zip: {e}"))
}

fn archive(bytes: &Bytes) -> Result<ZipArchive<Cursor<&[u8]>>> {
    let archive = ZipArchive::new(Cursor::new(&bytes[..])).map_err(damaged)?;
    if archive.len() > MAX_FILES {
        return Err(Error::limit(format!("a zip of {} entries, over {MAX_FILES}", archive.len())));
    }
    Ok(archive)
}

fn read_directory(bytes: &Bytes) -> Result<BTreeMap<String, Entry>> {
    let mut archive = archive(bytes)?;
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.into_owned();
        if file.is_dir() || name.split(['/', '\\']).any(|part| part == "..") || name.starts_with('/') {
            continue;
        }
        let range = || {
            let start = usize::try_from(file.data_start()?).ok()?;
            let end = start.checked_add(usize::try_from(file.compressed_size()).ok()?)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let data = range().ok_or_else(|| Error::format(format!("the zip ends before its entry {name:?}")))?;
        let size = usize::try_from(file.size()).unwrap_or(usize::MAX);
        let stored =
            file.compression() == CompressionMethod::Stored && !file.encrypted() && size == data.len();
        entries.insert(name, Entry { data, size, stored, index });
    }
    Ok(entries)
}
