//! How convolutions may round the numbers they multiply; sums are f32 always.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};

use crate::{Error, Result};

/// What the factors of convolutions are rounded to where a device has matrix units for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Nothing: f32 throughout.
    #[default]
    F32,
    /// 10 bits of mantissa, 8 of exponent.
    Tf32,
    /// 10 bits of mantissa, 5 of exponent: overflows above 65504.
    F16,
    /// 7 bits of mantissa, 8 of exponent.
    Bf16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::Tf32, Self::F16, Self::Bf16];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Largest relative error of a rounded number.
    pub fn rounding(self) -> f32 {
        match self {
            Self::F32 => 0.0,
            Self::Tf32 | Self::F16 => 1.0 / 2048.0,
            Self::Bf16 => 1.0 / 256.0,
        }
    }

    /// Numbers in a 32-bit word.
    pub(super) fn per_word(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 1,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The word of [`Precision::per_word`] neighbours, rounded as the kernels round.
    pub(super) fn word(self, v: [f32; 2]) -> u32 {
        let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        match self {
            Self::F32 => v[0].to_bits(),
            // To the nearest, halves away from zero.
            Self::Tf32 => v[0].to_bits().wrapping_add(0x1000) & !0x1fff,
            Self::F16 => pair(f16::from_f32(v[0]).to_bits(), f16::from_f32(v[1]).to_bits()),
            Self::Bf16 => pair(bf16::from_f32(v[0]).to_bits(), bf16::from_f32(v[1]).to_bits()),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|p| p.name() == text);
        found.ok_or_else(|| Error::usage(format!("no precision \"{text}\"; known are f32, tf32, f16, bf16")))
    }
}
