//! The writer: blocks in, a finished file out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::assemble::{part_of, Assembly, GDAL_METADATA};
use super::codec::TileCodec;
use super::journal::{Identity, Stored};
use super::levels::{levels, Level};
use super::overview::{Halving, Tile};
use super::spec::CogSpec;
use super::spool::{self, full_disk, Reuse, Spool};
use crate::error::{Error, InFile, Result};
use crate::raster::{Block, BlockSink, Progress, SampleType, Samples, Summary};
use crate::tile::Rect;

/// Metadata item that ties a finished file to its run.
const RUN_ITEM: &str = "SWATH_RUN";

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
    path: PathBuf,
    spec: CogSpec,
    metadata: Vec<(String, String)>,
    codec: TileCodec,
    levels: Vec<Level>,
    /// The compressed tile and mask of blocks without data.
    empty: (Vec<u8>, Vec<u8>),
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
        let complete = check_target(&path, &dir, options, &run)?;
        let levels = levels(spec.width, spec.height, spec.tile);
        let slots = levels.iter().map(Level::tiles).sum();
        let reuse = Reuse { resume: options.resume, overwrite: options.overwrite };
        let spool = match complete {
            true => None,
            false => Some(Spool::open(&dir, identity, slots, reuse)?),
        };
        let codec = TileCodec::new(&spec);
        let empty = encode(&codec, &empty_tile(&spec))?;
        let metadata = [spec.metadata.as_slice(), &[(RUN_ITEM.to_string(), run)]].concat();
        Ok(Self { path, spec, metadata, codec, levels, empty, spool })
    }

    /// What is being written.
    pub fn spec(&self) -> &CogSpec {
        &self.spec
    }

    fn base(&self) -> &Level {
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
            let target = target.get_or_insert_with(|| empty_tile(&self.spec));
            halving.reduce(&source, below.clipped(x, y, edge), target, (dx * edge / 2, dy * edge / 2));
        }
        let slot = level.first + row * level.columns + column;
        let Some(mut target) = target else { return spool.append_empty(slot) };
        extend_edges(&mut target, level.clipped(column, row, edge), edge, self.spec.bands.len());
        let (tile, mask) = encode(&self.codec, &target)?;
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

    fn finish_from(&self, spool: &Spool, progress: Progress<'_>) -> Result<u64> {
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
        let part = spool.path("assembled.tif");
        let bytes = assembly.write(&part, &part_of(progress, overviews, total)).inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })?;
        fs::rename(&part, &self.path).map_err(full_disk).in_file(&self.path)?;
        sync_folder(&self.path);
        Ok(bytes)
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
        let tile = padded(&self.spec, block, self.block_rect(column, row)).in_file(&self.path)?;
        let (tile, mask) = encode(&self.codec, &tile)?;
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

/// The folder beside the output that holds its spool.
fn spool_dir(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::usage("the output is not a file name").in_file(path));
    };
    let mut name = name.to_os_string();
    name.push(".swath-spool");
    Ok(path.with_file_name(name))
}

/// Whether the output is already finished by this run; refuses what would be lost without permission.
/// A spool that is to be resumed carries the permission of the run that began it.
fn check_target(path: &Path, dir: &Path, options: CogOptions, run: &str) -> Result<bool> {
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

fn output_hash(spec: &CogSpec) -> [u8; 32] {
    Sha256::digest(format!("{} {spec:?}", env!("CARGO_PKG_VERSION"))).into()
}

fn run_name(identity: Identity) -> String {
    let hash = Sha256::new().chain_update(identity.output).chain_update(identity.run).finalize();
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

fn encode(codec: &TileCodec, tile: &Tile) -> Result<(Vec<u8>, Vec<u8>)> {
    let mask = tile.mask.as_ref().map(|m| codec.encode_mask(m)).transpose()?;
    Ok((codec.encode(&tile.samples)?, mask.unwrap_or_default()))
}

/// A tile without data.
fn empty_tile(spec: &CogSpec) -> Tile {
    let (pixels, fill) = (spec.tile * spec.tile, spec.fill());
    let n = pixels * spec.bands.len();
    let samples = match spec.sample {
        SampleType::U8 => Samples::U8(vec![fill as u8; n]),
        SampleType::U16 => Samples::U16(vec![fill as u16; n]),
        _ => Samples::F32(vec![fill as f32; n]),
    };
    Tile { samples, mask: spec.mask.then(|| vec![0; pixels]) }
}

/// A block at full tile size: masked pixels filled, the image's edge repeated outwards.
fn padded(spec: &CogSpec, block: &Block, expected: Rect) -> Result<Tile> {
    let (width, height, edge) = (block.rect.width(), block.rect.height(), spec.tile);
    let full = Rect::at(expected.x0, expected.y0, edge, edge);
    if block.rect != expected && block.rect != full {
        return Err(Error::shape(format!("a block of {} where {expected} was expected", block.rect)));
    }
    let (clip_w, clip_h) = (expected.width(), expected.height());
    let bands = spec.bands.len();
    let mask = block.mask.as_deref();
    if mask.is_some_and(|m| m.len() != width * height) {
        return Err(Error::shape(format!("block mask: not {width}x{height} pixels")));
    }
    let mut tile = empty_tile(spec);
    let blank = if spec.mask || spec.nodata.is_some() { mask } else { None };
    let rows = Rows { width, height, clip_w, clip_h, bands, edge };
    let fits = match (&block.samples, &mut tile.samples) {
        (Samples::U8(s), Samples::U8(t)) => rows.copy(s, blank, t),
        (Samples::U16(s), Samples::U16(t)) => rows.copy(s, blank, t),
        (Samples::F32(s), Samples::F32(t)) => rows.copy(s, blank, t),
        _ => false,
    };
    if !fits {
        let what =
            format!("block samples: not {width}x{height} pixels of {bands} bands of {:?}", spec.sample);
        return Err(Error::shape(what));
    }
    if let Some(t) = &mut tile.mask {
        for (y, row) in t.chunks_exact_mut(edge).take(clip_h).enumerate() {
            match mask {
                Some(m) => row[..clip_w].copy_from_slice(&m[y * width..y * width + clip_w]),
                None => row[..clip_w].fill(1),
            }
        }
    }
    extend_edges(&mut tile, (clip_w, clip_h), edge, bands);
    Ok(tile)
}

/// Sizes of a copy from a block into a tile.
struct Rows {
    width: usize,
    height: usize,
    clip_w: usize,
    clip_h: usize,
    bands: usize,
    edge: usize,
}

impl Rows {
    /// Copies the pixels that are not masked out; false when the block's length is wrong.
    fn copy<T: Copy>(&self, source: &[T], mask: Option<&[u8]>, target: &mut [T]) -> bool {
        if source.len() != self.width * self.height * self.bands {
            return false;
        }
        let n = self.clip_w * self.bands;
        let targets = target.chunks_exact_mut(self.edge * self.bands);
        for (y, (s, t)) in
            source.chunks_exact(self.width * self.bands).zip(targets).take(self.clip_h).enumerate()
        {
            let Some(mask) = mask else {
                t[..n].copy_from_slice(&s[..n]);
                continue;
            };
            let pixels = s.chunks_exact(self.bands).zip(t.chunks_exact_mut(self.bands));
            for ((s, t), seen) in pixels.zip(&mask[y * self.width..]).take(self.clip_w) {
                if *seen != 0 {
                    t.copy_from_slice(s);
                }
            }
        }
        true
    }
}

/// Repeats the last column and row of the image into the rest of the tile; the mask there is 0.
fn extend_edges(tile: &mut Tile, size: (usize, usize), edge: usize, bands: usize) {
    match &mut tile.samples {
        Samples::U8(v) => extend(v, size, edge, bands),
        Samples::U16(v) => extend(v, size, edge, bands),
        Samples::F32(v) => extend(v, size, edge, bands),
    }
}

fn extend<T: Copy>(v: &mut [T], (width, height): (usize, usize), edge: usize, bands: usize) {
    let row = edge * bands;
    if width > 0 && width < edge {
        for line in v.chunks_exact_mut(row).take(height) {
            for x in width * bands..row {
                line[x] = line[x - bands];
            }
        }
    }
    if height > 0 && height < edge {
        for y in height..edge {
            v.copy_within((height - 1) * row..height * row, y * row);
        }
    }
}

/// Makes the rename durable where the system can; the file itself is synced before.
fn sync_folder(path: &Path) {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(parent) {
        let _ = folder.sync_all();
    }
}
