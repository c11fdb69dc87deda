//! The `.pth` writer: the zip format of PyTorch 1.6 and later, stored, every storage on a multiple of 64 bytes.

use std::io::{self, Seek, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::pickle::Pickle;
use super::{atomic, check_all, NamedTensor};
use crate::error::{Error, Result};

/// Multiple of bytes on which every storage starts, as PyTorch writes them.
const ALIGNMENT: u16 = 64;

/// Tensors under one key of the file (`params`, `params_ema`; dots nest).
#[derive(Debug, Clone, Copy)]
pub struct TensorSet<'a> {
    /// The key; empty for a plain state dict, which must be the only set.
    pub wrapper: &'a str,
    /// The tensors.
    pub tensors: &'a [NamedTensor<'a>],
}

/// Writes a file that `torch.load(path, weights_only=True)` reads. Equal input gives equal bytes.
///
/// # Errors
/// `Format` for sizes that contradict shapes, names met twice, or sets that exclude each other;
/// `Io`, after which neither the file nor a part of it is left.
pub fn write_pth(path: impl AsRef<Path>, sets: &[TensorSet<'_>]) -> Result<()> {
    let path = path.as_ref();
    check(sets).map_err(|e| e.in_file(path))?;
    let pickle = structure(sets);
    atomic::write(path, |sink| archive(sink, &pickle, sets))
}

fn check(sets: &[TensorSet<'_>]) -> Result<()> {
    let mut keys: Vec<&str> = sets.iter().map(|s| s.wrapper.split('.').next().unwrap_or("")).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() != sets.len() || (sets.len() > 1 && keys.contains(&"")) {
        return Err(Error::format("sets of tensors need a key of their own each"));
    }
    sets.iter().try_for_each(|set| check_all(set.tensors))
}

fn structure(sets: &[TensorSet<'_>]) -> Vec<u8> {
    let mut pickle = Pickle::new();
    if let [TensorSet { wrapper: "", tensors }] = sets {
        pickle.state_dict(tensors);
        return pickle.finish();
    }
    pickle.empty_dict();
    for set in sets {
        let parts: Vec<&str> = set.wrapper.split('.').collect();
        for (depth, part) in parts.iter().enumerate() {
            if depth > 0 {
                pickle.empty_dict();
            }
            pickle.text(part);
        }
        pickle.state_dict(set.tensors);
        parts.iter().for_each(|_| pickle.set_item());
    }
    pickle.finish()
}

fn archive(sink: impl Write + Seek, pickle: &[u8], sets: &[TensorSet<'_>]) -> io::Result<()> {
    let mut zip = ZipWriter::new(sink);
    let mut entry = |name: &str, bytes: &[u8]| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .with_alignment(ALIGNMENT)
            .large_file(bytes.len() as u64 > u64::from(u32::MAX));
        zip.start_file(format!("archive/{name}"), options)?;
        zip.write_all(bytes)
    };
    entry("data.pkl", pickle)?;
    entry(".format_version", b"1")?;
    entry(".storage_alignment", ALIGNMENT.to_string().as_bytes())?;
    entry("byteorder", b"little")?;
    let tensors = sets.iter().flat_map(|set| set.tensors);
    for (index, tensor) in tensors.enumerate() {
        entry(&format!("data/{index}"), &tensor.bytes)?;
    }
    entry("version", b"3\n")?;
    zip.finish()?.flush()
}
