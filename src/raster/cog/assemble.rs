//! The finished file: directories, then the spooled tiles in the order of GDAL's COG layout.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::codec::TileCodec;
use super::geokeys;
use super::ifd::{self, Ifd, Value};
use super::journal::Stored;
use super::levels::Level;
use super::metadata::gdal_metadata;
use super::spec::{BigTiff, CogSpec};
use super::spool::{full_disk, Spool};
use crate::error::{Error, InFile, Result};
use crate::raster::SampleType;

/// Everything the file is made of.
pub(super) struct Assembly<'a> {
    pub(super) spec: &'a CogSpec,
    /// Dataset metadata, the spec's and the writer's own.
    pub(super) metadata: &'a [(String, String)],
    pub(super) codec: &'a TileCodec,
    pub(super) levels: &'a [Level],
    pub(super) spool: &'a Spool,
    /// Where each tile is, by slot; all present.
    pub(super) index: &'a [Stored],
    /// The compressed tile and mask of blocks without data.
    pub(super) empty: (&'a [u8], &'a [u8]),
}

impl Assembly<'_> {
    /// Writes the file and syncs it to disk. Returns its size. `progress` is called with the tiles written.
    pub(super) fn write(&self, path: &Path, progress: &dyn Fn(u64) -> Result<()>) -> Result<u64> {
        let (head, size) = self.head()?;
        let file = File::create(path).map_err(full_disk).in_file(path)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&head).map_err(full_disk).in_file(path)?;
        let mut written = 0;
        for slot in self.levels.iter().rev().flat_map(|l| l.first..l.first + l.tiles()) {
            self.write_tile(slot, &mut out, path)?;
            written += 1;
            progress(written)?;
        }
        let file = out.into_inner().map_err(|e| full_disk(e.into_error())).in_file(path)?;
        file.sync_all().map_err(full_disk).in_file(path)?;
        Ok(size)
    }

    fn write_tile(&self, slot: usize, out: &mut impl Write, path: &Path) -> Result<()> {
        let spooled;
        let (tile, mask) = match self.index[slot] {
            Stored::Empty => self.empty,
            Stored::At(place) => {
                spooled = self.spool.read(place)?;
                (spooled.0.as_slice(), spooled.1.as_slice())
            }
        };
        let parts = if self.spec.mask { [tile, mask].to_vec() } else { [tile].to_vec() };
        for bytes in parts {
            write_framed(bytes, out).map_err(full_disk).in_file(path)?;
        }
        Ok(())
    }

    /// Header and directories, and the size of the whole file.
    fn head(&self) -> Result<(Vec<u8>, u64)> {
        let classic = self.layout(false);
        let fits = classic.size <= u64::from(u32::MAX);
        let layout = match (self.spec.bigtiff, fits) {
            (BigTiff::Yes, _) | (BigTiff::Auto, false) => self.layout(true),
            (BigTiff::No, false) => {
                let size = classic.size;
                return Err(Error::limit(format!("{size} bytes: a classic TIFF holds 4 GiB; allow BigTIFF")));
            }
            _ => classic,
        };
        let mut head = header(layout.big, self.spec.mask);
        ifd::write(&layout.ifds, layout.big, &mut head);
        Ok((head, layout.size))
    }

    /// The directories with the tiles' final offsets.
    fn layout(&self, big: bool) -> Layout {
        let start = header(big, self.spec.mask).len() as u64;
        let mut tiles: Vec<Arrays> = self.levels.iter().map(|l| Arrays::of_size(l.tiles())).collect();
        let mut masks = tiles.clone();
        let mut at = ifd::end(&self.ifds(&tiles, &masks), big, start);
        for (i, level) in self.levels.iter().enumerate().rev() {
            for n in 0..level.tiles() {
                let (len, mask_len) = self.sizes(level.first + n);
                at = tiles[i].put(n, at, len);
                if self.spec.mask {
                    at = masks[i].put(n, at, mask_len);
                }
            }
        }
        Layout { ifds: self.ifds(&tiles, &masks), big, size: at }
    }

    fn sizes(&self, slot: usize) -> (u32, u32) {
        match self.index[slot] {
            Stored::Empty => (self.empty.0.len() as u32, self.empty.1.len() as u32),
            Stored::At(place) => (place.len, place.mask_len),
        }
    }

    fn ifds(&self, tiles: &[Arrays], masks: &[Arrays]) -> Vec<Ifd> {
        let mut all = Vec::new();
        for (i, level) in self.levels.iter().enumerate() {
            all.push(self.image_ifd(i, level, &tiles[i]));
            if self.spec.mask {
                all.push(self.mask_ifd(i, level, &masks[i]));
            }
        }
        all
    }

    fn image_ifd(&self, i: usize, level: &Level, tiles: &Arrays) -> Ifd {
        let spec = self.spec;
        let bands = spec.bands.len();
        let bits = 8 * spec.sample.size() as u16;
        let format = if spec.sample == SampleType::F32 { 3 } else { 1 };
        let (photometric, colours) = match (spec.is_rgb(), spec.palette.is_empty()) {
            (true, _) => (2, 3),
            (false, true) => (1, 1),
            (false, false) => (3, 1),
        };
        let mut ifd = common(level, spec.tile, tiles);
        ifd.set(NEW_SUBFILE_TYPE, Value::Long(vec![if i > 0 { REDUCED } else { 0 }]));
        ifd.set(BITS_PER_SAMPLE, Value::Short(vec![bits; bands]));
        ifd.set(COMPRESSION, Value::Short(vec![self.codec.scheme()]));
        ifd.set(PHOTOMETRIC, Value::Short(vec![photometric]));
        ifd.set(SAMPLES_PER_PIXEL, Value::Short(vec![bands as u16]));
        if self.codec.predictor() != 1 {
            ifd.set(PREDICTOR, Value::Short(vec![self.codec.predictor()]));
        }
        if bands > colours {
            ifd.set(EXTRA_SAMPLES, Value::Short(vec![0; bands - colours]));
        }
        ifd.set(SAMPLE_FORMAT, Value::Short(vec![format; bands]));
        if !spec.palette.is_empty() {
            ifd.set(COLOR_MAP, Value::Short(colour_map(&spec.palette)));
        }
        if let Some(nodata) = spec.nodata {
            ifd.set(GDAL_NODATA, Value::Ascii(number(nodata)));
        }
        if i == 0 {
            if let Some(georef) = &spec.georef {
                geokeys::add(&mut ifd, georef);
            }
            if let Some(xml) = gdal_metadata(self.metadata, &spec.bands, spec.scale) {
                ifd.set(GDAL_METADATA, Value::Ascii(xml));
            }
        }
        ifd
    }

    fn mask_ifd(&self, i: usize, level: &Level, tiles: &Arrays) -> Ifd {
        let mut ifd = common(level, self.spec.tile, tiles);
        ifd.set(NEW_SUBFILE_TYPE, Value::Long(vec![if i > 0 { MASK | REDUCED } else { MASK }]));
        ifd.set(BITS_PER_SAMPLE, Value::Short(vec![1]));
        ifd.set(COMPRESSION, Value::Short(vec![self.codec.mask_scheme()]));
        ifd.set(PHOTOMETRIC, Value::Short(vec![4]));
        ifd.set(SAMPLES_PER_PIXEL, Value::Short(vec![1]));
        ifd
    }
}

const NEW_SUBFILE_TYPE: u16 = 254;
const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const SAMPLES_PER_PIXEL: u16 = 277;
const PLANAR_CONFIGURATION: u16 = 284;
const PREDICTOR: u16 = 317;
const COLOR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
pub(super) const GDAL_METADATA: u16 = 42112;
const GDAL_NODATA: u16 = 42113;

/// Bits of NewSubfileType.
const REDUCED: u32 = 1;
const MASK: u32 = 4;

struct Layout {
    ifds: Vec<Ifd>,
    big: bool,
    size: u64,
}

/// Offsets and sizes of one directory's tiles.
#[derive(Clone)]
struct Arrays {
    offsets: Vec<u64>,
    sizes: Vec<u32>,
}

impl Arrays {
    fn of_size(n: usize) -> Self {
        Self { offsets: vec![0; n], sizes: vec![0; n] }
    }

    /// Places tile `n` behind its leader at `at`; returns the first byte behind its trailer.
    fn put(&mut self, n: usize, at: u64, len: u32) -> u64 {
        self.offsets[n] = at + 4;
        self.sizes[n] = len;
        at + 4 + u64::from(len) + 4
    }
}

fn common(level: &Level, tile: usize, tiles: &Arrays) -> Ifd {
    let mut ifd = Ifd::default();
    ifd.set(IMAGE_WIDTH, Value::Long(vec![level.width as u32]));
    ifd.set(IMAGE_LENGTH, Value::Long(vec![level.height as u32]));
    ifd.set(PLANAR_CONFIGURATION, Value::Short(vec![1]));
    ifd.set(TILE_WIDTH, Value::Short(vec![tile as u16]));
    ifd.set(TILE_LENGTH, Value::Short(vec![tile as u16]));
    ifd.set(TILE_OFFSETS, Value::Offsets(tiles.offsets.clone()));
    ifd.set(TILE_BYTE_COUNTS, Value::Long(tiles.sizes.clone()));
    ifd
}

/// File header and GDAL's hidden structural metadata, which says how tiles are framed
/// (<https://gdal.org/drivers/raster/cog.html#header-ghost-area>).
fn header(big: bool, mask: bool) -> Vec<u8> {
    let mut ghost = String::from(
        "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n\
         BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n ",
    );
    if mask {
        ghost.push_str("MASK_INTERLEAVED_WITH_IMAGERY=YES\n");
    }
    let ghost = format!("GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{ghost}", ghost.len());
    let fixed = if big { 16 } else { 8 };
    let first = (fixed + ghost.len()).next_multiple_of(2);
    let mut out = match big {
        true => [b"II\x2b\0\x08\0\0\0".as_slice(), &(first as u64).to_le_bytes()].concat(),
        false => [b"II\x2a\0".as_slice(), &(first as u32).to_le_bytes()].concat(),
    };
    out.extend(ghost.as_bytes());
    out.resize(first, 0);
    out
}

/// A tile as GDAL frames it: its size before, its last four bytes repeated behind.
fn write_framed(bytes: &[u8], out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(bytes)?;
    let mut trailer = [0; 4];
    let last = &bytes[bytes.len().saturating_sub(4)..];
    trailer[..last.len()].copy_from_slice(last);
    out.write_all(&trailer)
}

/// A palette as TIFF keeps it: all reds, all greens, all blues, of 16 bits.
fn colour_map(palette: &[[u8; 3]]) -> Vec<u16> {
    let part =
        |channel: usize| (0..256).map(move |i| palette.get(i).map_or(0, |c| u16::from(c[channel]) * 257));
    (0..3).flat_map(part).collect()
}

/// A number as GDAL's nodata tag spells it.
fn number(v: f64) -> String {
    if v.is_nan() {
        "nan".into()
    } else {
        v.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Identity, Place};
    use super::super::levels::levels;
    use super::super::spool::Reuse;
    use super::*;
    use crate::error::Kind;

    /// The version in the header of a file whose first tile has `len` bytes and the others 100.
    fn version(bigtiff: BigTiff, len: u32) -> Result<u8> {
        let bands = vec![String::new()];
        let spec = CogSpec { bigtiff, tile: 64, ..CogSpec::new(100, 60, bands, SampleType::U8) };
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity { output: [0; 32], run: [0; 32] };
        let reuse = Reuse { resume: false, overwrite: false };
        let spool = Spool::open(&dir.path().join("spool"), identity, 3, reuse).unwrap();
        let at = |len| Stored::At(Place { offset: 0, len, mask_len: 0, crc: 0 });
        let assembly = Assembly {
            spec: &spec,
            metadata: &[],
            codec: &TileCodec::new(&spec),
            levels: &levels(100, 60, 64),
            spool: &spool,
            index: &[at(len), at(100), at(100)],
            empty: (&[], &[]),
        };
        assembly.head().map(|(head, size)| {
            assert!(size > u64::from(len) + 200);
            head[2]
        })
    }

    #[test]
    fn bigtiff_is_taken_exactly_when_offsets_need_it() {
        let (classic, big) = (42, 43);
        assert_eq!(version(BigTiff::Auto, 1000).unwrap(), classic);
        assert_eq!(version(BigTiff::Yes, 1000).unwrap(), big);
        assert_eq!(version(BigTiff::Auto, u32::MAX - 2000).unwrap(), classic);
        assert_eq!(version(BigTiff::Auto, u32::MAX - 200).unwrap(), big);
        assert_eq!(version(BigTiff::No, u32::MAX - 2000).unwrap(), classic);
        assert_eq!(version(BigTiff::No, u32::MAX - 200).err().unwrap().kind(), Kind::Limit);
    }
}
