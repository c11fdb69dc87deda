//! Blended values to the samples of output files: numbers, classes, or only where there is data.

use super::accumulate::BlockSums;
use crate::models::rounded;
use crate::raster::{Block, SampleType, Samples};

/// What a raster holds of the blended values.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoding {
    /// All bands, as numbers.
    Numbers {
        /// Their type.
        kind: OutputKind,
        /// The network's number that [`OutputKind`] takes for 1.
        one: f32,
    },
    /// The class of a pixel, 8-bit; 0 is "no data".
    Classes(Classes),
    /// 1 where there is data, 8-bit; 0 is "no data".
    Coverage,
}

/// How probabilities become one class.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// Bands count only above their threshold; the greatest of those is the pixel's class.
    pub above: Vec<f32>,
    /// Number written for the first band; the others follow.
    pub first: u8,
    /// Number written where no band counts.
    pub none: u8,
}

impl Encoding {
    /// A finished block as samples, `[y][x][band]`, with its mask where some pixel has no data. `None` when no
    /// pixel has any.
    pub fn block(&self, sums: &BlockSums) -> Option<Block> {
        let mask: Vec<u8> = sums.weights().iter().map(|w| u8::from(*w > 0.0)).collect();
        if mask.iter().all(|m| *m == 0) {
            return None;
        }
        let samples = match self {
            Self::Numbers { kind, one } => kind.samples(sums, *one),
            Self::Classes(classes) => Samples::U8(classes.samples(sums)),
            Self::Coverage => Samples::U8(mask.clone()),
        };
        let whole = mask.iter().all(|m| *m != 0);
        Some(Block { rect: sums.rect, samples, mask: (!whole).then_some(mask) })
    }
}

impl Classes {
    fn samples(&self, sums: &BlockSums) -> Vec<u8> {
        let mut best = vec![f32::NEG_INFINITY; sums.rect.area()];
        let mut out: Vec<u8> = sums.weights().iter().map(|w| if *w > 0.0 { self.none } else { 0 }).collect();
        for (band, above) in (0..sums.bands()).zip(&self.above) {
            let class = self.first.saturating_add(band as u8);
            let values = sums.band(band).iter().zip(sums.weights());
            for ((out, best), (v, w)) in out.iter_mut().zip(&mut best).zip(values) {
                let value = v / w;
                if *w > 0.0 && value > *above && value > *best {
                    (*out, *best) = (class, value);
                }
            }
        }
        out
    }
}

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

    /// What one step of the samples is worth, where `one` is the network's number for 1.
    pub fn step(self, one: f32) -> f64 {
        match self {
            Self::U8 => f64::from(one) / 255.0,
            Self::U16 => f64::from(one) / 1e4,
            Self::F32 => 1.0,
        }
    }

    fn samples(self, sums: &BlockSums, one: f32) -> Samples {
        match self {
            Self::U8 => Samples::U8(woven(sums, 0, |v| rounded(v * (255.0 / one), 255.0) as u8)),
            Self::U16 => Samples::U16(woven(sums, 0, |v| rounded(v * (1e4 / one), 65535.0) as u16)),
            Self::F32 => Samples::F32(woven(sums, f32::NAN, |v| v)),
        }
    }
}

/// The blended values, bands interleaved; `nodata` where there are none.
fn woven<T: Copy>(sums: &BlockSums, nodata: T, convert: impl Fn(f32) -> T) -> Vec<T> {
    let mut out = vec![nodata; sums.rect.area() * sums.bands()];
    for band in 0..sums.bands() {
        let values = sums.band(band).iter().zip(sums.weights());
        for (out, (v, w)) in out.iter_mut().skip(band).step_by(sums.bands()).zip(values) {
            *out = if *w > 0.0 { convert(v / w) } else { nodata };
        }
    }
    out
}
