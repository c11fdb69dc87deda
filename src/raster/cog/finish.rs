//! From a full spool to the finished file: overviews, assembly, rename.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::assemble::Assembly;
use super::journal::Stored;
use super::levels::Level;
use super::overview::Halving;
use super::spool::{full_disk, Spool};
use super::tile::Tile;
use super::writer::CogWriter;
use crate::error::{Error, InFile, Result};
use crate::raster::Progress;

impl CogWriter {
    /// Computes and spools the missing tiles of an overview from the level below it.
    fn halve_level(
        &self,
        spool: &Spool,
        n: usize,
        progress: &(dyn Fn(u64) -> Result<()> + Sync),
    ) -> Result<()> {
        let level = self.levels[n];
        let done = AtomicU64::new(0);
        (0..level.tiles()).into_par_iter().try_for_each(|i| {
            if spool.get(level.first + i).is_none() {
                self.halve_tile(spool, n, i % level.columns, i / level.columns)?;
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1)
        })
    }

    /// Computes one overview tile from the up to four under it, decoding one at a time.
    fn halve_tile(&self, spool: &Spool, n: usize, column: usize, row: usize) -> Result<()> {
        let (below, level, edge) = (&self.levels[n - 1], &self.levels[n], self.spec.tile);
        let halving = Halving {
            tile: edge,
            bands: self.spec.bands.len(),
            nodata: self.spec.nodata,
            resampling: self.spec.resampling,
        };
        let mut target = None;
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let (x, y) = (2 * column + dx, 2 * row + dy);
            let Some(Stored::At(place)) = below.slot(x, y).and_then(|slot| spool.get(slot)) else { continue };
            let (tile, mask) = spool.read(place)?;
            let mask = if self.spec.mask { Some(self.codec.decode_mask(&mask)?) } else { None };
            let source = Tile { samples: self.codec.decode(&tile)?, mask };
            let target = target.get_or_insert_with(|| Tile::empty(&self.spec));
            halving.reduce(&source, below.clipped(x, y, edge), target, (dx * edge / 2, dy * edge / 2));
        }
        let slot = level.first + row * level.columns + column;
        let Some(mut target) = target else { return spool.append_empty(slot) };
        target.extend_edges(level.clipped(column, row, edge), edge, self.spec.bands.len());
        let (tile, mask) = self.codec.encode_tile(&target)?;
        spool.append(slot, &tile, &mask)
    }

    /// The index of a complete spool.
    fn complete_index(&self, spool: &Spool) -> Result<Vec<Stored>> {
        let index: Vec<Stored> = spool.index().into_iter().flatten().collect();
        let total: usize = self.levels.iter().map(Level::tiles).sum();
        match index.len() == total {
            true => Ok(index),
            false => {
                Err(Error::usage("the output is not complete; run again with --resume").in_file(&self.path))
            }
        }
    }

    /// Completes the file and renames it into place; returns its size.
    pub(super) fn finish_from(&self, spool: &Spool, progress: Progress<'_>) -> Result<u64> {
        let base = self.base();
        let missing = (0..base.tiles()).filter(|slot| spool.get(*slot).is_none()).count();
        if missing > 0 {
            let what = format!("{missing} of {} output blocks are not written yet", base.tiles());
            return Err(Error::usage(what).in_file(&self.path));
        }
        let all: usize = self.levels.iter().map(Level::tiles).sum();
        let overviews = (all - base.tiles()) as u64;
        let total = overviews + all as u64;
        for (n, level) in self.levels.iter().enumerate().skip(1) {
            let before = (level.first - base.tiles()) as u64;
            self.halve_level(spool, n, &part_of(progress, before, total))?;
        }
        let index = self.complete_index(spool)?;
        let assembly = Assembly {
            spec: &self.spec,
            metadata: &self.metadata,
            codec: &self.codec,
            levels: &self.levels,
            spool,
            index: &index,
            empty: (&self.empty.0, &self.empty.1),
        };
        let part = spool.assembled_path();
        let bytes = assembly.write(&part, &part_of(progress, overviews, total)).inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })?;
        fs::rename(&part, &self.path).map_err(full_disk).in_file(&self.path)?;
        sync_folder(&self.path);
        Ok(bytes)
    }
}

/// Progress of a part that begins at `before` of `total`.
fn part_of(progress: Progress<'_>, before: u64, total: u64) -> impl Fn(u64) -> Result<()> + '_ {
    move |done| progress(before + done, total)
}

/// Makes the rename durable where the system can; the file itself is synced before.
fn sync_folder(path: &Path) {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(parent) {
        let _ = folder.sync_all();
    }
}
