//! One tile between samples and bytes: predictor, compression, 1-bit masks. The same samples always
//! give the same bytes: resumed runs depend on it.

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::spec::{CogSpec, Compression};
use super::tile::Tile;
use crate::error::{Error, Result};
use crate::raster::{SampleType, Samples};

/// Encodes and decodes the tiles of one file.
#[derive(Debug, Clone)]
pub(super) struct TileCodec {
    /// Edge in pixels.
    tile: usize,
    bands: usize,
    sample: SampleType,
    compression: Compression,
    level: u32,
}

impl TileCodec {
    pub(super) fn new(spec: &CogSpec) -> Self {
        let usual = if spec.compression == Compression::Zstd { 9 } else { 6 };
        Self {
            tile: spec.tile,
            bands: spec.bands.len(),
            sample: spec.sample,
            compression: spec.compression,
            level: spec.level.unwrap_or(usual),
        }
    }

    /// TIFF's number of the compression of image tiles.
    pub(super) fn scheme(&self) -> u16 {
        match self.compression {
            Compression::None => 1,
            Compression::Lzw => 5,
            Compression::Deflate => 8,
            Compression::Zstd => 50_000,
        }
    }

    /// TIFF's number of the compression of mask tiles: deflate, unless nothing is compressed.
    pub(super) fn mask_scheme(&self) -> u16 {
        if self.compression == Compression::None {
            1
        } else {
            8
        }
    }

    /// TIFF's number of the predictor: none, horizontal differences, floating point.
    pub(super) fn predictor(&self) -> u16 {
        match (self.compression, self.sample) {
            (Compression::None, _) => 1,
            (_, SampleType::F32) => 3,
            _ => 2,
        }
    }

    /// Compresses a tile and its mask (empty without one).
    pub(super) fn encode_tile(&self, tile: &Tile) -> Result<(Vec<u8>, Vec<u8>)> {
        let mask = tile.mask.as_ref().map(|m| self.encode_mask(m)).transpose()?;
        Ok((self.encode(&tile.samples)?, mask.unwrap_or_default()))
    }

    /// Compresses a whole tile of samples.
    fn encode(&self, samples: &Samples) -> Result<Vec<u8>> {
        let bytes = match (samples, self.predictor()) {
            (Samples::U8(v), 2) => self.differences(v, |a, b| a.wrapping_sub(b), |v| [v]),
            (Samples::U16(v), 2) => self.differences(v, |a, b| a.wrapping_sub(b), u16::to_le_bytes),
            (Samples::F32(v), 3) => self.float_planes(v),
            (Samples::U8(v), _) => v.clone(),
            (Samples::U16(v), _) => little_endian(v, u16::to_le_bytes),
            (Samples::F32(v), _) => little_endian(v, f32::to_le_bytes),
        };
        self.compress(bytes)
    }

    /// The samples of a tile that [`encode`](Self::encode) made.
    pub(super) fn decode(&self, data: &[u8]) -> Result<Samples> {
        let pixels = self.tile * self.tile * self.bands;
        let mut bytes = self.decompress(data, pixels * self.sample.size())?;
        let predicted = self.predictor() != 1;
        let width = self.tile * self.bands;
        Ok(match self.sample {
            SampleType::U8 => {
                if predicted {
                    bytes.chunks_exact_mut(width).for_each(|row| sum_bytes(row, self.bands));
                }
                Samples::U8(bytes)
            }
            SampleType::U16 => {
                let mut v: Vec<u16> = words(&bytes).map(u16::from_le_bytes).collect();
                if predicted {
                    v.chunks_exact_mut(width).for_each(|row| sum_words(row, self.bands));
                }
                Samples::U16(v)
            }
            _ if predicted => Samples::F32(self.undo_float_planes(&mut bytes)),
            _ => Samples::F32(words(&bytes).map(f32::from_le_bytes).collect()),
        })
    }

    /// Compresses a tile of mask pixels (0 = masked) as bits, the leftmost pixel in the highest.
    fn encode_mask(&self, mask: &[u8]) -> Result<Vec<u8>> {
        let bit = |byte: u8, v: &u8| byte << 1 | u8::from(*v != 0);
        let bits: Vec<u8> = mask.chunks_exact(8).map(|eight| eight.iter().fold(0, bit)).collect();
        match self.mask_scheme() {
            1 => Ok(bits),
            _ => deflate(&bits, 6),
        }
    }

    /// The mask pixels (0 or 1) that [`encode_mask`](Self::encode_mask) packed.
    pub(super) fn decode_mask(&self, data: &[u8]) -> Result<Vec<u8>> {
        let size = self.tile * self.tile / 8;
        let bits = match self.mask_scheme() {
            1 => data.to_vec(),
            _ => inflate(data, size)?,
        };
        check_size(bits.len(), size)?;
        Ok(bits.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1)).collect())
    }

    /// Each sample minus the one a pixel to its left, row by row, as bytes.
    fn differences<T: Copy, const N: usize>(
        &self,
        samples: &[T],
        minus: impl Fn(T, T) -> T,
        bytes: impl Fn(T) -> [u8; N],
    ) -> Vec<u8> {
        let mut out = vec![0; samples.len() * N];
        let width = self.tile * self.bands;
        for (row, out) in samples.chunks_exact(width).zip(out.chunks_exact_mut(width * N)) {
            let (first, rest) = out.split_at_mut(self.bands * N);
            for (o, v) in first.chunks_exact_mut(N).zip(row) {
                o.copy_from_slice(&bytes(*v));
            }
            let left_and_here = row.iter().zip(&row[self.bands..]);
            for (o, (left, here)) in rest.chunks_exact_mut(N).zip(left_and_here) {
                o.copy_from_slice(&bytes(minus(*here, *left)));
            }
        }
        out
    }

    /// Predictor 3 (Adobe Photoshop TIFF Technical Note 3): a row's bytes by significance, highest
    /// first, then differences at a pixel's distance.
    fn float_planes(&self, samples: &[f32]) -> Vec<u8> {
        let width = self.tile * self.bands;
        let mut out = vec![0; samples.len() * 4];
        let mut planes = vec![0; width * 4];
        for (row, out) in samples.chunks_exact(width).zip(out.chunks_exact_mut(width * 4)) {
            for (k, plane) in planes.chunks_exact_mut(width).enumerate() {
                plane.iter_mut().zip(row).for_each(|(p, v)| *p = (v.to_bits() >> (24 - 8 * k)) as u8);
            }
            let (first, rest) = out.split_at_mut(self.bands);
            first.copy_from_slice(&planes[..self.bands]);
            let left_and_here = planes.iter().zip(&planes[self.bands..]);
            rest.iter_mut().zip(left_and_here).for_each(|(o, (left, here))| *o = here.wrapping_sub(*left));
        }
        out
    }

    fn undo_float_planes(&self, bytes: &mut [u8]) -> Vec<f32> {
        let width = self.tile * self.bands;
        let mut out = Vec::with_capacity(bytes.len() / 4);
        for row in bytes.chunks_exact_mut(width * 4) {
            sum_bytes(row, self.bands);
            let (high, low) = row.split_at(width * 2);
            let (a, b) = high.split_at(width);
            let (c, d) = low.split_at(width);
            let quads = a.iter().zip(b).zip(c.iter().zip(d));
            out.extend(quads.map(|((a, b), (c, d))| f32::from_be_bytes([*a, *b, *c, *d])));
        }
        out
    }

    fn compress(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let failed = |e| Error::io("cannot compress a tile", e);
        match self.compression {
            Compression::None => Ok(bytes),
            Compression::Deflate => deflate(&bytes, self.level),
            Compression::Zstd => zstd::bulk::compress(&bytes, self.level as i32).map_err(failed),
            Compression::Lzw => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(&bytes)
                .map_err(|e| Error::format(format!("cannot compress a tile: {e}"))),
        }
    }

    fn decompress(&self, data: &[u8], size: usize) -> Result<Vec<u8>> {
        let bytes = match self.compression {
            Compression::None => data.to_vec(),
            Compression::Deflate => inflate(data, size)?,
            Compression::Zstd => {
                zstd::bulk::decompress(data, size).map_err(|e| Error::io("cannot decompress a tile", e))?
            }
            Compression::Lzw => weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .decode(data)
                .map_err(|e| Error::format(format!("cannot decompress a tile: {e}")))?,
        };
        check_size(bytes.len(), size)?;
        Ok(bytes)
    }
}

fn check_size(size: usize, expected: usize) -> Result<()> {
    match size == expected {
        true => Ok(()),
        false => Err(Error::format(format!("a spooled tile of {size} bytes instead of {expected}"))),
    }
}

fn deflate(bytes: &[u8], level: u32) -> Result<Vec<u8>> {
    let out = Vec::with_capacity(bytes.len() / 2 + 64);
    let mut encoder = ZlibEncoder::new(out, flate2::Compression::new(level));
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .map_err(|e| Error::io("cannot deflate a tile", e))
}

fn inflate(data: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; size];
    ZlibDecoder::new(data).read_exact(&mut out).map_err(|e| Error::io("cannot inflate a spooled tile", e))?;
    Ok(out)
}

fn little_endian<T: Copy, const N: usize>(samples: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut out = vec![0; samples.len() * N];
    out.chunks_exact_mut(N).zip(samples).for_each(|(o, v)| o.copy_from_slice(&bytes(*v)));
    out
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).filter_map(|c| c.try_into().ok())
}

fn sum_bytes(row: &mut [u8], distance: usize) {
    for i in distance..row.len() {
        row[i] = row[i].wrapping_add(row[i - distance]);
    }
}

fn sum_words(row: &mut [u16], distance: usize) {
    for i in distance..row.len() {
        row[i] = row[i].wrapping_add(row[i - distance]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(sample: SampleType, compression: Compression) -> TileCodec {
        let bands = vec!["a".to_string(); 3];
        TileCodec::new(&CogSpec { tile: 16, compression, ..CogSpec::new(16, 16, bands, sample) })
    }

    #[test]
    fn every_codec_and_type_comes_back() {
        let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761);
        let n = 16 * 16 * 3;
        let tiles = [
            (SampleType::U8, Samples::U8((0..n).map(|i| (hash(i) >> 24) as u8).collect())),
            (SampleType::U16, Samples::U16((0..n).map(|i| (hash(i) >> 16) as u16).collect())),
            (SampleType::F32, Samples::F32((0..n).map(|i| hash(i) as f32 / 1e7 - 200.0).collect())),
        ];
        for (sample, samples) in &tiles {
            for compression in [Compression::Deflate, Compression::Zstd, Compression::Lzw, Compression::None]
            {
                let codec = codec(*sample, compression);
                let bytes = codec.encode(samples).unwrap();
                assert_eq!(&codec.decode(&bytes).unwrap(), samples, "{sample:?} {compression:?}");
                assert!(codec.decode(&bytes[..bytes.len() / 2]).is_err(), "{sample:?} {compression:?}");
            }
        }
    }

    #[test]
    fn masks_are_packed_leftmost_bit_highest() {
        let codec = codec(SampleType::U8, Compression::None);
        let mut mask = vec![0; 256];
        (mask[0], mask[9]) = (1, 200);
        let bits = codec.encode_mask(&mask).unwrap();
        assert_eq!(bits[..3], [0x80, 0x40, 0]);
        mask[9] = 1;
        assert_eq!(codec.decode_mask(&bits).unwrap(), mask);
    }
}
