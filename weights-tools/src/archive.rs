//! The zip format of `.pth` (PyTorch 1.6 and later): `<root>/data.pkl`, `<root>/data/<key>`.
//!
//! Stored entries are used in place. Compressed ones, which PyTorch does not write but people make by
//! re-zipping, are inflated up to their declared size and a bound.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result};
use crate::limits::{within, Limits};
use crate::pickle::{Machine, StorageClaim};
use crate::source::{Contents, Place, Storage};

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// One entry, as the directory and its local header describe it.
struct Entry {
    index: usize,
    range: Range<usize>,
    stored: bool,
    size: u64,
}

/// Reads structure and places of all storages; tensor data stays untouched.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Contents> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    within("a zip archive with entries", zip.len() as u64, limits.zip_entries as u64)?;
    if zip.has_duplicate_names() {
        return Err(Error::format("the zip archive has two entries of one name"));
    }
    let entries = directory(&mut zip, bytes.len())?;
    let root = root_folder(&entries)?;
    let get = |name: &str| entries.get(&format!("{root}/{name}"));
    if get("constants.pkl").is_some() || entries.keys().any(|n| n.starts_with(&format!("{root}/code/"))) {
        return Err(Error::unsupported("is a TorchScript archive (a program); save its state_dict instead"));
    }
    if let Some(entry) = get("byteorder") {
        let order = small_text(&mut zip, entry)?;
        if order.trim() != "little" {
            return Err(Error::unsupported(format!(
                "byte order {:?}; only little-endian is read",
                order.trim()
            )));
        }
    }
    let pickle = get("data.pkl").ok_or_else(|| Error::format("the zip archive has no data.pkl"))?;
    let pickle = inflate(&mut zip, pickle, limits.pickle_bytes, "data.pkl")?;
    let (program, _) = Machine::new(limits).run(&pickle)?;
    let mut inflated = 0;
    let mut storages = Vec::with_capacity(program.storages.len());
    for claim in &program.storages {
        let entry = get(&format!("data/{}", claim.key));
        storages.push(storage(&mut zip, claim, entry, &mut inflated, limits)?);
    }
    Ok(Contents { root: program.root, storages, tensors: program.tensors, metadata: Vec::new() })
}

fn broken(e: zip::result::ZipError) -> Error {
    Error::format(format!("the zip archive is broken or truncated ({e})"))
}

/// Every entry by name. Names that leave the archive and entries that share bytes are refused.
fn directory(zip: &mut Zip<'_>, file_len: usize) -> Result<HashMap<String, Entry>> {
    let mut entries = HashMap::with_capacity(zip.len());
    for index in 0..zip.len() {
        let file = zip.by_index_raw(index).map_err(broken)?;
        let name = std::str::from_utf8(file.name_raw())
            .map_err(|_| Error::format("the zip archive has a name that is not UTF-8"))?
            .to_string();
        check_name(&name)?;
        if file.encrypted() {
            return Err(Error::unsupported(format!("entry {name} is encrypted")));
        }
        let stored = file.compression() == CompressionMethod::Stored;
        let end = file.data_start().and_then(|start| Some(start..start.checked_add(file.compressed_size())?));
        let Some(range) = end.filter(|r| r.end <= file_len as u64) else {
            return Err(Error::format(format!("entry {name} reaches outside the file")));
        };
        if stored && file.size() != file.compressed_size() {
            return Err(Error::format(format!("entry {name} is stored, but with two sizes")));
        }
        let range = range.start as usize..range.end as usize;
        entries.insert(name, Entry { index, range, stored, size: file.size() });
    }
    check_overlap(&entries)?;
    Ok(entries)
}

fn check_name(name: &str) -> Result<()> {
    let leaves = name.starts_with('/')
        || name.contains(['\\', '\0', ':'])
        || name.split('/').any(|part| part == "..")
        || name.len() > 4096;
    if leaves {
        let shown: String = name.chars().take(200).collect();
        return Err(Error::refused(format!("entry {shown:?} has a path that leaves the archive")));
    }
    Ok(())
}

fn check_overlap(entries: &HashMap<String, Entry>) -> Result<()> {
    let mut ranges: Vec<_> = entries.iter().filter(|(_, e)| !e.range.is_empty()).collect();
    ranges.sort_by_key(|(_, e)| e.range.start);
    for pair in ranges.windows(2) {
        if let [(a, first), (b, second)] = pair {
            if second.range.start < first.range.end {
                return Err(Error::format(format!("entries {a} and {b} overlap")));
            }
        }
    }
    Ok(())
}

/// The one folder that holds `data.pkl`; its name is the file's name when it was saved.
fn root_folder(entries: &HashMap<String, Entry>) -> Result<String> {
    let mut roots = entries.keys().filter_map(|n| n.strip_suffix("/data.pkl")).filter(|r| !r.contains('/'));
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.to_string()),
        (Some(_), Some(_)) => Err(Error::format("the zip archive holds two checkpoints")),
        _ => Err(Error::format("the zip archive has no data.pkl: not a PyTorch checkpoint")),
    }
}

fn storage(
    zip: &mut Zip<'_>,
    claim: &StorageClaim,
    entry: Option<&Entry>,
    inflated: &mut u64,
    limits: &Limits,
) -> Result<Storage> {
    let key = claim.key.clone();
    let Some(entry) = entry else {
        return Err(Error::format(format!("storage data/{key} is missing")));
    };
    if entry.size != claim.bytes {
        return Err(Error::format(format!(
            "storage data/{key} holds {} bytes, but {} are claimed",
            entry.size, claim.bytes
        )));
    }
    if entry.stored {
        return Ok(Storage { key, place: Place::File(entry.range.clone()) });
    }
    *inflated = inflated.saturating_add(entry.size);
    within("compressed entries that inflate to bytes", *inflated, limits.inflated_bytes)?;
    let bytes = inflate(zip, entry, entry.size, &format!("data/{key}"))?;
    Ok(Storage { key, place: Place::Memory(bytes) })
}

/// The whole content of an entry, checksum verified; more than `bound` bytes are refused.
fn inflate(zip: &mut Zip<'_>, entry: &Entry, bound: u64, what: &str) -> Result<Vec<u8>> {
    within(&format!("entry {what} of bytes"), entry.size, bound)?;
    let file = zip.by_index(entry.index).map_err(broken)?;
    let mut out = Vec::new();
    let failed = |e| Error::format(format!("entry {what} does not inflate ({e})"));
    file.take(entry.size.saturating_add(1)).read_to_end(&mut out).map_err(failed)?;
    if out.len() as u64 != entry.size {
        return Err(Error::format(format!(
            "entry {what} inflates to something else than its declared {} bytes",
            entry.size
        )));
    }
    Ok(out)
}

fn small_text(zip: &mut Zip<'_>, entry: &Entry) -> Result<String> {
    let bytes = inflate(zip, entry, 64, "byteorder")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
