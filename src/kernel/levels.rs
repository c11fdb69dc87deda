//! Bytes in place of numbers: what each of 256 levels of a product's first operand stands for, channel by
//! channel, and which products of a network have such levels.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Error, Result};

/// Most terms of a sum of products of bytes: 255·127 each, the sum within 31 bits.
pub const MOST_TERMS: u64 = i32::MAX as u64 / (255 * 127);

/// Levels of an operand with some channels: byte b of a channel is `(b - zero)·scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    scale: Vec<f32>,
    zero: Vec<f32>,
}

impl Levels {
    /// Levels of as many channels as there are scales.
    ///
    /// # Errors
    /// `Weights` for scales that are no positive normal numbers, and zeros that are no bytes or not as many.
    pub fn new(scale: Vec<f32>, zero: Vec<f32>) -> Result<Self> {
        // Both a scale and its inverse are multiplied by.
        let scales = scale.iter().all(|s| (1e-30..1e30).contains(s));
        let zeros = zero.iter().all(|z| (0.0..=255.0).contains(z) && z.fract() == 0.0);
        if scale.is_empty() || scale.len() != zero.len() || !scales || !zeros {
            return Err(Error::weights(format!(
                "levels of {} scales and {} zeros, or one out of bounds",
                scale.len(),
                zero.len()
            )));
        }
        Ok(Self { scale, zero })
    }

    /// Levels that hold numbers from `low` to `high` of each channel, and zero. With `own` 1 each channel has levels of
    /// its own, with 0 all have the widest's, between them the logarithms of both are mixed.
    ///
    /// # Errors
    /// `Weights` for no channels, or ranges that are not finite.
    pub fn of_ranges(ranges: &[[f32; 2]], own: f32) -> Result<Self> {
        let ranges: Vec<[f32; 2]> = ranges.iter().map(|[low, high]| [low.min(0.0), high.max(0.0)]).collect();
        let widest = ranges.iter().fold(1e-20f32, |most, [low, high]| most.max(high - low));
        let level = |[low, high]: &[f32; 2]| {
            // A channel that is always zero takes a thousandth of the widest.
            let width = (high - low).max(1e-3 * widest);
            let own_scale = width.powf(own) * widest.powf(1.0 - own) / 255.0;
            // Rounding zero to a byte must not push the other end out.
            let zero = (-low / own_scale).round().clamp(0.0, 255.0);
            let least = f32::max(high / (255.5 - zero).max(1.0), -low / (zero + 0.5));
            (own_scale.max(least), zero)
        };
        let (scale, zero) = ranges.iter().map(level).unzip();
        Self::new(scale, zero)
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.scale.len()
    }

    /// What the levels of a channel are apart.
    pub fn scale(&self) -> &[f32] {
        &self.scale
    }

    /// The byte of each channel that stands for zero.
    pub fn zero(&self) -> &[f32] {
        &self.zero
    }

    /// The byte of a number: the nearest level, halves to even; that of no number at all is 0.
    pub fn byte(&self, channel: usize, v: f32) -> u8 {
        byte(v, 1.0 / self.scale[channel], self.zero[channel])
    }
}

/// The byte of a number on levels of which so many are in one, and `zero` is that of zero.
pub fn byte(v: f32, inverse: f32, zero: f32) -> u8 {
    let level = v.mul_add(inverse, zero);
    let level = if level > 255.0 { 255.0 } else { level };
    level.round_ties_even().max(0.0) as u8
}

/// Levels of a network's products, by the name of the parameter that their second operand is or is made from.
pub type Calibration = BTreeMap<String, Arc<Levels>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_hold_their_ranges_and_zero_exactly() {
        let ranges = [[-1.0, 3.0], [0.5, 2.0], [-0.2, -0.1], [0.0, 0.0], [-7e-4, 100.0], [-5.0, 1e-5]];
        for own in [0.0, 0.5, 1.0] {
            let levels = Levels::of_ranges(&ranges, own).unwrap();
            for (channel, [low, high]) in ranges.into_iter().enumerate() {
                let (scale, zero) = (levels.scale()[channel], levels.zero()[channel]);
                let back = |v| (f32::from(levels.byte(channel, v)) - zero) * scale;
                assert_eq!(back(0.0), 0.0);
                for v in [low, high, 0.3 * low + 0.7 * high] {
                    assert!((back(v) - v).abs() <= 0.5001 * scale, "{own} {channel} {v} {}", back(v));
                }
            }
        }
        let own = Levels::of_ranges(&ranges, 1.0).unwrap();
        assert!(own.scale()[0] < 4.02 / 255.0 && own.scale()[1] < 2.01 / 255.0);
        let shared = Levels::of_ranges(&ranges, 0.0).unwrap();
        assert!(shared.scale().iter().all(|s| *s >= 100.0 / 255.0));
        assert_eq!([f32::NAN, -1e9, 1e9, f32::INFINITY].map(|v| own.byte(0, v)), [0, 0, 255, 255]);
    }

    #[test]
    fn levels_that_no_byte_has_are_refused() {
        for (scale, zero) in [
            (vec![], vec![]),
            (vec![1.0], vec![]),
            (vec![0.0], vec![0.0]),
            (vec![f32::NAN], vec![0.0]),
            (vec![1.0], vec![256.0]),
            (vec![1.0], vec![0.5]),
            (vec![1.0], vec![f32::NAN]),
            (vec![1e-40], vec![0.0]),
        ] {
            assert!(Levels::new(scale, zero).is_err());
        }
        assert!(Levels::of_ranges(&[[0.0, f32::INFINITY]], 1.0).is_err());
        assert!(Levels::of_ranges(&[[f32::NAN, 1.0]], 1.0).is_ok());
    }
}
