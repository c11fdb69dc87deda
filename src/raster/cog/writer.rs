//! The writer: blocks in, a finished file out.

use std::fs;
use std::path::{Path, PathBuf};

use super::codec::TileCodec;
use super::journal::Identity;
use super::levels::{levels, Level};
use super::spec::CogSpec;
use super::spool::{Reuse, Spool};
use super::target::{is_complete, output_hash, run_name, spool_dir, RUN_ITEM};
use super::tile::Tile;
use crate::error::{Error, InFile, Result};
use crate::raster::{Block, BlockSink, Progress, Summary};
use crate::tile::Rect;

/// How an output is begun.
#[derive(Debug, Clone, Copy, Default)]
pub struct CogOptions {
    /// Continue an unfinished run of the same fingerprint; a finished one counts as done.
    pub resume: bool,
    /// Replace an existing file, discard an unfinished run of another fingerprint.
    pub overwrite: bool,
    /// Hash of everything the pixels depend on: inputs, weights, options.
    pub fingerprint: [u8; 32],
}

/// A Cloud-Optimized GeoTIFF being written; see the [module](super).
#[derive(Debug)]
pub struct CogWriter {
    pub(super) path: PathBuf,
    pub(super) spec: CogSpec,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) codec: TileCodec,
    pub(super) levels: Vec<Level>,
    /// The compressed tile and mask of blocks without data.
    pub(super) empty: (Vec<u8>, Vec<u8>),
    /// `None` when the finished file of the same run is already there.
    spool: Option<Spool>,
}

impl CogWriter {
    /// Begins or continues an output. Holds the output's lock until dropped.
    ///
    /// # Errors
    /// What [`CogSpec::check`] says; `Usage` when the file or an unfinished run is in the way or another
    /// run writes it; `Io` when the folder cannot be written.
    pub fn create(path: impl AsRef<Path>, spec: CogSpec, options: CogOptions) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        spec.check().in_file(&path)?;
        let identity = Identity { output: output_hash(&spec), run: options.fingerprint };
        let run = run_name(identity);
        let dir = spool_dir(&path)?;
        let complete = is_complete(&path, &dir, options, &run)?;
        let levels = levels(spec.width, spec.height, spec.tile);
        let slots = levels.iter().map(Level::tiles).sum();
        let reuse = Reuse { resume: options.resume, overwrite: options.overwrite };
        let spool = match complete {
            true => None,
            false => Some(Spool::open(&dir, identity, slots, reuse)?),
        };
        let codec = TileCodec::new(&spec);
        let empty = codec.encode_tile(&Tile::empty(&spec))?;
        let metadata = [spec.metadata.as_slice(), &[(RUN_ITEM.to_string(), run)]].concat();
        Ok(Self { path, spec, metadata, codec, levels, empty, spool })
    }

    /// What is being written.
    pub fn spec(&self) -> &CogSpec {
        &self.spec
    }

    pub(super) fn base(&self) -> &Level {
        &self.levels[0]
    }

    /// The spool and the slot of a block that is still to be stored; `None` when it is done.
    fn open_slot(&self, column: usize, row: usize) -> Result<Option<(&Spool, usize)>> {
        let (columns, rows) = self.blocks();
        let slot = self.base().slot(column, row).ok_or_else(|| {
            Error::shape(format!("output block {column},{row} of {columns}x{rows}")).in_file(&self.path)
        })?;
        Ok(self.spool.as_ref().filter(|s| s.get(slot).is_none()).map(|s| (s, slot)))
    }
}

impl BlockSink for CogWriter {
    fn blocks(&self) -> (usize, usize) {
        (self.base().columns, self.base().rows)
    }

    fn block_rect(&self, column: usize, row: usize) -> Rect {
        let edge = self.spec.tile;
        match self.base().slot(column, row) {
            Some(_) => {
                let (width, height) = self.base().clipped(column, row, edge);
                Rect::at((column * edge) as i64, (row * edge) as i64, width, height)
            }
            None => Rect::at(0, 0, 0, 0),
        }
    }

    fn is_done(&self, column: usize, row: usize) -> bool {
        let stored = |slot| self.spool.as_ref().is_none_or(|s| s.get(slot).is_some());
        self.base().slot(column, row).is_some_and(stored)
    }

    fn put(&self, column: usize, row: usize, block: &Block) -> Result<()> {
        let Some((spool, slot)) = self.open_slot(column, row)? else { return Ok(()) };
        let tile = Tile::from_block(&self.spec, block, self.block_rect(column, row)).in_file(&self.path)?;
        let (tile, mask) = self.codec.encode_tile(&tile)?;
        spool.append(slot, &tile, &mask)
    }

    fn put_empty(&self, column: usize, row: usize) -> Result<()> {
        match self.open_slot(column, row)? {
            Some((spool, slot)) => spool.append_empty(slot),
            None => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>, progress: Progress<'_>) -> Result<Summary> {
        let (levels, was_complete) = (self.levels.len(), self.spool.is_none());
        let bytes = match self.spool.take() {
            Some(spool) => {
                let bytes = self.finish_from(&spool, progress)?;
                spool.remove();
                bytes
            }
            None => fs::metadata(&self.path).map_err(Error::from).in_file(&self.path)?.len(),
        };
        Ok(Summary { bytes, levels, was_complete })
    }
}

impl Drop for CogWriter {
    /// An unfinished run keeps its spool, unless nothing was stored in it.
    fn drop(&mut self) {
        if let Some(spool) = self.spool.take().filter(Spool::is_unused) {
            spool.remove();
        }
    }
}
