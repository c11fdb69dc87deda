//! One tile's pixels at full tile size: made from a block, made empty, edges extended.

use super::spec::CogSpec;
use crate::error::{Error, Result};
use crate::raster::{Block, SampleType, Samples};
use crate::tile::Rect;

/// A tile with its mask (one byte a pixel), at full tile size whatever the image's edge.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tile {
    pub(super) samples: Samples,
    pub(super) mask: Option<Vec<u8>>,
}

impl Tile {
    /// A tile without data.
    pub(super) fn empty(spec: &CogSpec) -> Self {
        let (pixels, fill) = (spec.tile * spec.tile, spec.fill());
        let n = pixels * spec.bands.len();
        let samples = match spec.sample {
            SampleType::U8 => Samples::U8(vec![fill as u8; n]),
            SampleType::U16 => Samples::U16(vec![fill as u16; n]),
            _ => Samples::F32(vec![fill as f32; n]),
        };
        Self { samples, mask: spec.mask.then(|| vec![0; pixels]) }
    }

    /// A block at full tile size: masked pixels filled, the image's edge repeated outwards. `expected`
    /// is the part of the tile inside the image.
    pub(super) fn from_block(spec: &CogSpec, block: &Block, expected: Rect) -> Result<Self> {
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
        let mut tile = Self::empty(spec);
        let rows = Rows { width, height, clip_w, clip_h, bands, edge };
        let fits = match (&block.samples, &mut tile.samples) {
            (Samples::U8(s), Samples::U8(t)) => rows.copy(s, mask, t),
            (Samples::U16(s), Samples::U16(t)) => rows.copy(s, mask, t),
            (Samples::F32(s), Samples::F32(t)) => rows.copy(s, mask, t),
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
        tile.extend_edges((clip_w, clip_h), edge, bands);
        Ok(tile)
    }

    /// Repeats the last column and row of the image into the rest of the tile; the mask there stays 0.
    pub(super) fn extend_edges(&mut self, size: (usize, usize), edge: usize, bands: usize) {
        match &mut self.samples {
            Samples::U8(v) => extend(v, size, edge, bands),
            Samples::U16(v) => extend(v, size, edge, bands),
            Samples::F32(v) => extend(v, size, edge, bands),
        }
    }
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
