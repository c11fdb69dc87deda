//! JPEG 2000 codestreams (ISO/IEC 15444-1, Annex A): the main header with every size bounded, an index of
//! tile-parts, and codestreams of a few tiles cut out of a large one.
//!
//! The index follows the SOT markers, 12 bytes a tile-part. That is as quick as a TLM marker would be
//! on a mapped file, and cannot be told wrong by one.

use std::ops::Range;

use super::boxes::{be16, be32};
use crate::error::{Error, Result};
use crate::raster::Limits;

const SOC: u16 = 0xff4f;
const SIZ: u16 = 0xff51;
const COD: u16 = 0xff52;
const COC: u16 = 0xff53;
const TLM: u16 = 0xff55;
const PLM: u16 = 0xff57;
const PPM: u16 = 0xff60;
const SOT: u16 = 0xff90;
const SOD: u16 = 0xff93;
const EOC: u16 = 0xffd9;

/// Bytes of a tile-part's SOT marker segment, marker included.
const SOT_BYTES: usize = 12;
/// Where a SOT segment has its tile index.
const ISOT_AT: usize = 4;
/// Where it has the tile-part's length, marker included.
const PSOT_AT: usize = 6;

/// What a decoder keeps for a precinct or code-block, and for each of its quality layers.
const PARTITION_BYTES: usize = 256;
const LAYER_BYTES: usize = 64;

/// One component's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub precision: u8,
    pub signed: bool,
}

/// Image and tile sizes on the reference grid (SIZ). Components are not subsampled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Siz {
    /// Right and lower edge of the image area, excluded.
    pub x1: u32,
    pub y1: u32,
    /// Left and upper edge of the image area.
    pub x0: u32,
    pub y0: u32,
    pub tile_width: u32,
    pub tile_height: u32,
    /// Corner of the tile grid, not right of or below the image's.
    pub tile_x0: u32,
    pub tile_y0: u32,
    pub components: Vec<Component>,
}

impl Siz {
    fn parse(segment: &[u8], limits: &Limits) -> Result<Self> {
        let short = || Error::format("the codestream's SIZ segment is cut short");
        let field = |i: usize| be32(segment, 6 + 4 * i).ok_or_else(short);
        let count = usize::from(be16(segment, 38).ok_or_else(short)?);
        if count == 0 || count > limits.bands {
            return Err(Error::limit(format!("{count} components, the bound is {}", limits.bands)));
        }
        let mut components = Vec::with_capacity(count);
        for i in 0..count {
            let at = 40 + 3 * i;
            let [depth, dx, dy] = *segment.get(at..at + 3).ok_or_else(short)? else { return Err(short()) };
            if dx != 1 || dy != 1 {
                return Err(Error::unsupported("subsampled components in a JPEG 2000 file"));
            }
            components.push(Component { precision: (depth & 0x7f) + 1, signed: depth & 0x80 != 0 });
        }
        let siz = Self {
            x1: field(0)?,
            y1: field(1)?,
            x0: field(2)?,
            y0: field(3)?,
            tile_width: field(4)?,
            tile_height: field(5)?,
            tile_x0: field(6)?,
            tile_y0: field(7)?,
            components,
        };
        siz.check(limits)?;
        Ok(siz)
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        let grid = |first: u32, tile: u32, start: u32, end: u32| {
            start < end && tile > 0 && first <= start && u64::from(first) + u64::from(tile) > u64::from(start)
        };
        if !grid(self.tile_x0, self.tile_width, self.x0, self.x1)
            || !grid(self.tile_y0, self.tile_height, self.y0, self.y1)
        {
            return Err(Error::format("image and tile sizes of the codestream contradict each other"));
        }
        let side = self.width().max(self.height());
        if side > limits.side {
            return Err(Error::limit(format!(
                "an image {side} pixels wide or high, the bound is {}",
                limits.side
            )));
        }
        // Tile numbers have 16 bits.
        let tiles = u64::from(self.columns()) * u64::from(self.rows());
        if tiles > 65_535 {
            return Err(Error::format(format!("{tiles} tiles in a codestream, the format allows 65535")));
        }
        if let Some(c) = self.components.iter().find(|c| c.precision > 16) {
            return Err(Error::unsupported(format!(
                "{}-bit JPEG 2000 samples (up to 16 are read)",
                c.precision
            )));
        }
        Ok(())
    }

    pub fn width(&self) -> usize {
        (self.x1 - self.x0) as usize
    }

    pub fn height(&self) -> usize {
        (self.y1 - self.y0) as usize
    }

    /// Tiles across.
    fn columns(&self) -> u32 {
        (self.x1 - self.tile_x0).div_ceil(self.tile_width)
    }

    /// Tiles down.
    fn rows(&self) -> u32 {
        (self.y1 - self.tile_y0).div_ceil(self.tile_height)
    }
}

/// How tiles are coded, as far as sizes of the decoder's tables depend on it (COD, COC).
#[derive(Debug, Clone, PartialEq)]
struct CodingStyle {
    decompositions: u8,
    /// Quality layers; only COD says.
    layers: usize,
    /// log2 of code-block width and height.
    code_block: (u32, u32),
    /// log2 of precinct width and height, lowest resolution first.
    precincts: Vec<(u32, u32)>,
}

impl CodingStyle {
    fn parse(marker: u16, segment: &[u8], components: usize) -> Result<Self> {
        let short = || Error::format("a coding style segment (COD or COC) is cut short");
        // COD: Scod, then progression, layers, transform. COC: component (2 bytes from 257 on), Scoc.
        let (flags_at, body_at) = match (marker, components) {
            (COD, _) => (4, 9),
            (_, 0..=256) => (5, 6),
            _ => (6, 7),
        };
        let layers = if marker == COD { usize::from(be16(segment, 6).ok_or_else(short)?) } else { 1 };
        let custom = segment.get(flags_at).ok_or_else(short)? & 1 != 0;
        let body = segment.get(body_at..).unwrap_or_default();
        let [decompositions, w, h, _, _] = *body.get(..5).ok_or_else(short)? else { return Err(short()) };
        if decompositions > 32 || w > 8 || h > 8 || w + h > 8 {
            return Err(Error::format("a coding style segment (COD or COC) holds impossible sizes"));
        }
        let precincts = if custom {
            let sizes = body.get(5..6 + usize::from(decompositions)).ok_or_else(short)?;
            sizes.iter().map(|s| (u32::from(s & 15), u32::from(s >> 4))).collect()
        } else {
            vec![(15, 15); usize::from(decompositions) + 1]
        };
        Ok(Self { decompositions, layers, code_block: (u32::from(w) + 2, u32::from(h) + 2), precincts })
    }

    /// Upper bound on the bytes of a decoder's tables (precincts, code-blocks, their layers) for one
    /// component of the given size.
    fn table_bytes(&self, width: usize, height: usize) -> usize {
        let mut partitions = 0usize;
        for (resolution, &precinct) in self.precincts.iter().enumerate() {
            let down = usize::from(self.decompositions) - resolution;
            let half = |side: usize| side.checked_shr(down as u32).unwrap_or(0) + 1;
            let count = |log_x: u32, log_y: u32| {
                ((half(width) >> log_x) + 2).saturating_mul((half(height) >> log_y) + 2)
            };
            // Bands above the lowest resolution are half its size, and so are precincts on them.
            let band =
                if resolution == 0 { precinct } else { (precinct.0.max(1) - 1, precinct.1.max(1) - 1) };
            let block = (self.code_block.0.min(band.0), self.code_block.1.min(band.1));
            partitions = partitions.saturating_add(count(precinct.0, precinct.1));
            partitions = partitions.saturating_add(count(block.0, block.1));
        }
        partitions.saturating_mul(PARTITION_BYTES + LAYER_BYTES * self.layers)
    }
}

/// A rectangle of tiles, and the reference grid points it covers.
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    pub columns: Range<u32>,
    pub rows: Range<u32>,
    pub x: Range<u32>,
    pub y: Range<u32>,
}

/// A parsed codestream: its header and where every tile's parts lie.
#[derive(Debug)]
pub(super) struct Codestream {
    pub siz: Siz,
    /// Resolutions below full that every component has.
    pub decompositions: u8,
    /// Main header segments, SIZ first, without those that speak of other tiles (TLM, PLM).
    segments: Vec<Range<usize>>,
    styles: Vec<CodingStyle>,
    parts: Vec<Vec<Range<usize>>>,
}

impl Codestream {
    /// Parses the main header and indexes the tile-parts of `bytes`, which start with SOC.
    ///
    /// # Errors
    /// `Format` for damage and truncation, `Unsupported` for packed packet headers, `Limit`.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        if be16(bytes, 0) != Some(SOC) {
            return Err(Error::format("the codestream does not start with its marker"));
        }
        let mut at = 2;
        let mut siz = None;
        let mut segments = Vec::new();
        let mut styles = Vec::new();
        loop {
            let (marker, end) = segment_at(bytes, at)?;
            let segment = bytes.get(at..end).unwrap_or_default();
            match marker {
                SOT => break,
                SOD => return Err(Error::format("the codestream has data before its first tile-part")),
                SIZ => siz = Some(Siz::parse(segment, limits)?),
                COD | COC => {
                    let components = siz.as_ref().map_or(0, |s: &Siz| s.components.len());
                    styles.push(CodingStyle::parse(marker, segment, components)?);
                }
                PPM => {
                    return Err(Error::unsupported(
                        "JPEG 2000 with packet headers packed in the main header (PPM)",
                    ))
                }
                _ => {}
            }
            if (marker == SIZ) != segments.is_empty() {
                return Err(Error::format("the codestream's header does not start with SIZ"));
            }
            if marker != TLM && marker != PLM {
                segments.push(at..end);
            }
            at = end;
        }
        let siz = siz.ok_or_else(|| Error::format("the codestream has no SIZ segment"))?;
        let decompositions = styles
            .iter()
            .map(|s| s.decompositions)
            .min()
            .ok_or_else(|| Error::format("the codestream has no COD segment"))?;
        let parts = index_parts(bytes, at, &siz)?;
        Ok(Self { siz, decompositions, segments, styles, parts })
    }

    /// Compressed bytes of a rectangle of tiles.
    pub fn compressed(&self, tiles: &Tiles) -> usize {
        self.parts_of(tiles).flat_map(|(_, parts)| parts).map(Range::len).sum()
    }

    /// Upper bound on the bytes of a decoder's tables for an area of the given size, all components.
    pub fn table_bytes(&self, width: usize, height: usize) -> usize {
        let worst = self.styles.iter().map(|s| s.table_bytes(width, height)).max().unwrap_or(0);
        worst.saturating_mul(self.siz.components.len())
    }

    /// A codestream of a rectangle of tiles alone, at the same place of the reference grid, so that it
    /// decodes to the same samples.
    ///
    /// # Errors
    /// `Unsupported` when a tile-part's header changes the coding style beyond the main header's.
    pub fn cut(&self, bytes: &[u8], tiles: &Tiles) -> Result<Vec<u8>> {
        let header: usize = self.segments.iter().map(Range::len).sum();
        let mut out = Vec::with_capacity(header + self.compressed(tiles) + 4);
        out.extend(SOC.to_be_bytes());
        for segment in &self.segments {
            out.extend_from_slice(bytes.get(segment.clone()).unwrap_or_default());
        }
        self.rewrite_siz(&mut out, tiles);
        for (local, parts) in self.parts_of(tiles) {
            for part in parts {
                let part = bytes.get(part.clone()).unwrap_or_default();
                self.check_part(part, tiles.x.len(), tiles.y.len())?;
                let start = out.len();
                out.extend_from_slice(part);
                put(&mut out, start + ISOT_AT, &local.to_be_bytes());
                put(&mut out, start + PSOT_AT, &(part.len() as u32).to_be_bytes());
            }
        }
        out.extend(EOC.to_be_bytes());
        Ok(out)
    }

    /// The tile-parts of every tile, with the tile's number among `tiles`.
    fn parts_of<'a>(&'a self, tiles: &'a Tiles) -> impl Iterator<Item = (u16, &'a Vec<Range<usize>>)> {
        let across = self.siz.columns();
        let numbers = tiles.rows.clone().flat_map(move |row| {
            tiles.columns.clone().map(move |column| u64::from(row) * u64::from(across) + u64::from(column))
        });
        numbers.enumerate().filter_map(|(local, tile)| Some((local as u16, self.parts.get(tile as usize)?)))
    }

    fn rewrite_siz(&self, out: &mut [u8], tiles: &Tiles) {
        let siz = &self.siz;
        let corner = |first: u32, size: u32, tile: u32| first.saturating_add(size.saturating_mul(tile));
        let fields = [
            tiles.x.end,
            tiles.y.end,
            tiles.x.start,
            tiles.y.start,
            siz.tile_width,
            siz.tile_height,
            corner(siz.tile_x0, siz.tile_width, tiles.columns.start),
            corner(siz.tile_y0, siz.tile_height, tiles.rows.start),
        ];
        for (i, field) in fields.iter().enumerate() {
            put(out, 2 + 6 + 4 * i, &field.to_be_bytes());
        }
    }

    /// Tile-part headers may set a coding style of their own.
    fn check_part(&self, part: &[u8], width: usize, height: usize) -> Result<()> {
        let mut at = SOT_BYTES;
        while at < part.len() {
            let (marker, end) = segment_at(part, at)?;
            if marker == SOD {
                break;
            }
            if marker == COD || marker == COC {
                let segment = part.get(at..end).unwrap_or_default();
                let style = CodingStyle::parse(marker, segment, self.siz.components.len())?;
                let bytes = style.table_bytes(width, height).saturating_mul(self.siz.components.len());
                if style.decompositions < self.decompositions || bytes > self.table_bytes(width, height) {
                    return Err(Error::unsupported("a JPEG 2000 tile coded unlike its main header says"));
                }
            }
            at = end;
        }
        Ok(())
    }
}

fn put(out: &mut [u8], at: usize, value: &[u8]) {
    if let Some(slot) = out.get_mut(at..at + value.len()) {
        slot.copy_from_slice(value);
    }
}

/// Marker at `at` and the end of its segment; SOT and SOD end where they start.
fn segment_at(bytes: &[u8], at: usize) -> Result<(u16, usize)> {
    let truncated = || Error::format(format!("the codestream is truncated at byte {at}, inside its headers"));
    let marker = be16(bytes, at).ok_or_else(truncated)?;
    if marker == SOT || marker == SOD {
        return Ok((marker, at));
    }
    if marker < 0xff01 || marker == EOC {
        return Err(Error::format(format!("no marker at byte {at} of the codestream, but {marker:04x}")));
    }
    if (0xff30..=0xff3f).contains(&marker) {
        return Ok((marker, at + 2));
    }
    let length = usize::from(be16(bytes, at + 2).ok_or_else(truncated)?);
    if length < 2 {
        return Err(Error::format(format!("an impossible length at byte {at} of the codestream")));
    }
    let end = at + 2 + length;
    if end > bytes.len() {
        return Err(truncated());
    }
    Ok((marker, end))
}

fn index_parts(bytes: &[u8], first: usize, siz: &Siz) -> Result<Vec<Vec<Range<usize>>>> {
    let tiles = siz.columns() as usize * siz.rows() as usize;
    let mut parts: Vec<Vec<Range<usize>>> = vec![Vec::new(); tiles];
    let mut at = first;
    while be16(bytes, at) == Some(SOT) {
        let header =
            (|| Some((usize::from(be16(bytes, at + ISOT_AT)?), be32(bytes, at + PSOT_AT)? as usize)))();
        let Some((tile, length)) = header else { break };
        let end = if length == 0 { last_part_end(bytes) } else { at.saturating_add(length) };
        let slot = parts.get_mut(tile).ok_or_else(|| {
            Error::format(format!("a tile-part of tile {tile}, but there are {tiles} tiles"))
        })?;
        if end < at + SOT_BYTES {
            return Err(Error::format(format!("an impossible length of tile {tile}'s part at byte {at}")));
        }
        if end > bytes.len() {
            return Err(Error::format(format!(
                "truncated: tile {tile} goes on to byte {end} of a codestream of which {} bytes are there",
                bytes.len()
            )));
        }
        slot.push(at..end);
        at = end;
    }
    match parts.iter().position(Vec::is_empty) {
        Some(missing) => Err(Error::format(format!(
            "truncated or damaged: no data of tile {missing} of {tiles}, the index ends at byte {at} of {}",
            bytes.len()
        ))),
        None => Ok(parts),
    }
}

/// A last tile-part of length 0 goes on to the end marker.
fn last_part_end(bytes: &[u8]) -> usize {
    let end = bytes.len();
    if end >= 2 && be16(bytes, end - 2) == Some(EOC) {
        end - 2
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn data_where_the_main_header_should_be_is_refused() {
        let bytes = [0xff, 0x4f, 0xff, 0x93, 0, 0, 0, 0];
        let error = Codestream::parse(&bytes, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Format);
    }
}
