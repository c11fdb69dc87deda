//! Blended values to the samples of the output file.

use super::accumulate::BlockSums;
use crate::raster::{Block, SampleType, Samples};

/// Sample type of a result, and what its numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// `round(255 v)` of the network's 0..1, as 1..=255; 0 is "no data" (ESA's true-colour convention).
    U8,
    /// `round(10000 v)`, as 1..=65535; 0 is "no data".
    U16,
    /// The network's own numbers, not clamped; NaN is "no data".
    F32,
}

impl OutputKind {
    /// Sample type of the file.
    pub fn sample(self) -> SampleType {
        match self {
            Self::U8 => SampleType::U8,
            Self::U16 => SampleType::U16,
            Self::F32 => SampleType::F32,
        }
    }

    /// The value that means "no data".
    pub fn nodata(self) -> f64 {
        match self {
            Self::U8 | Self::U16 => 0.0,
            Self::F32 => f64::NAN,
        }
    }

    /// What the numbers mean, for the file's metadata.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::U8 => "round(255 v), 1..255 of the network's 0..1; 0 = no data",
            Self::U16 => "round(10000 v), 1..65535; 0 = no data",
            Self::F32 => "v as the network gives it, nominally 0..1; NaN = no data",
        }
    }

    /// A finished block as samples, `[y][x][band]`, with its mask where some pixel has no data. `None` when no
    /// pixel has any.
    pub fn quantize(self, sums: &BlockSums) -> Option<Block> {
        let n = sums.rect.area();
        let mask: Vec<u8> = (0..n).map(|i| u8::from(sums.value(0, i).is_some())).collect();
        if mask.iter().all(|m| *m == 0) {
            return None;
        }
        let values = (0..n).flat_map(|i| (0..sums.bands()).map(move |b| sums.value(b, i)));
        let scaled = |v: f32, gain: f32, most: f32| (v * gain).round_ties_even().clamp(1.0, most);
        let samples = match self {
            Self::U8 => Samples::U8(values.map(|v| v.map_or(0, |v| scaled(v, 255.0, 255.0) as u8)).collect()),
            Self::U16 => {
                Samples::U16(values.map(|v| v.map_or(0, |v| scaled(v, 1e4, 65535.0) as u16)).collect())
            }
            Self::F32 => Samples::F32(values.map(|v| v.unwrap_or(f32::NAN)).collect()),
        };
        let whole = mask.iter().all(|m| *m != 0);
        Some(Block { rect: sums.rect, samples, mask: (!whole).then_some(mask) })
    }
}
