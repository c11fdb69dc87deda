//! What is already there when an output is begun: whose it is, and whether it may be touched.

use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::assemble::GDAL_METADATA;
use super::journal::Identity;
use super::spec::CogSpec;
use super::spool;
use super::writer::CogOptions;
use crate::error::{Error, Result};

/// Metadata item that ties a finished file to its run.
pub(super) const RUN_ITEM: &str = "SWATH_RUN";

/// The folder beside the output that holds its spool.
pub(super) fn spool_dir(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::usage("the output is not a file name").in_file(path));
    };
    let mut name = name.to_os_string();
    name.push(".swath-spool");
    Ok(path.with_file_name(name))
}

/// Whether the output is already finished by this run; refuses what would be lost without permission.
/// A spool that is to be resumed carries the permission of the run that began it.
pub(super) fn is_complete(path: &Path, dir: &Path, options: CogOptions, run: &str) -> Result<bool> {
    if path.is_dir() {
        return Err(Error::usage("the output is a folder").in_file(path));
    }
    if !path.exists() || options.resume && spool::exists(dir) {
        return Ok(false);
    }
    if options.resume && run_of(path).is_some_and(|name| name == run) {
        return Ok(true);
    }
    match options.overwrite {
        true => Ok(false),
        false => Err(Error::usage("exists already; --overwrite replaces it").in_file(path)),
    }
}

/// The run that a finished file says it came from.
fn run_of(path: &Path) -> Option<String> {
    let mut file = tiff::decoder::Decoder::new(std::io::BufReader::new(File::open(path).ok()?)).ok()?;
    let xml = file.get_tag_ascii_string(tiff::tags::Tag::Unknown(GDAL_METADATA)).ok()?;
    let tree = roxmltree::Document::parse(&xml).ok()?;
    let item = tree.descendants().find(|n| n.attribute("name") == Some(RUN_ITEM))?;
    item.text().map(str::to_string)
}

pub(super) fn output_hash(spec: &CogSpec) -> [u8; 32] {
    Sha256::digest(format!("{} {spec:?}", env!("CARGO_PKG_VERSION"))).into()
}

pub(super) fn run_name(identity: Identity) -> String {
    let hash = Sha256::new().chain_update(identity.output).chain_update(identity.run).finalize();
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}
