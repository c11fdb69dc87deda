//! How kernels may round the numbers they multiply; tensors are f32 always, and sums wherever factors are no bytes.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};

use crate::{Error, Result};

/// What factors of products may be rounded to, where a device multiplies such numbers faster.
/// Asking for one allows it and nothing coarser: a kernel that has no such form runs in f32.
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
    /// Bytes, where a [`Calibration`](super::levels::Calibration) says what they stand for; elsewhere bf16. Sums are exact.
    Int8,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::F32, Self::Tf32, Self::F16, Self::Bf16, Self::Int8];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// That of an implementation, by its name: `<contract>_<precision>__<variant>`.
    pub fn of(entry: &str) -> Self {
        let typed = entry.split("__").next().and_then(|head| head.rsplit('_').next()).unwrap_or_default();
        let mut rounded = Self::ALL.into_iter().filter(|p| *p != Self::F32);
        rounded.find(|p| typed.starts_with(p.name())).unwrap_or_default()
    }

    /// Whether an implementation that rounds to `other` may run where this was asked for.
    pub fn allows(self, other: Self) -> bool {
        other == Self::F32 || other == self || (self, other) == (Self::Int8, Self::Bf16)
    }

    /// Largest relative error of a rounded number; of bytes, relative to the largest number of its kind.
    pub fn rounding(self) -> f32 {
        match self {
            Self::F32 => 0.0,
            Self::Tf32 | Self::F16 => 1.0 / 2048.0,
            Self::Bf16 => 1.0 / 256.0,
            Self::Int8 => 1.0 / 254.0,
        }
    }

    /// Numbers in a 32-bit word.
    pub fn per_word(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }

    /// The word of up to [`Precision::per_word`] neighbours, rounded as the kernels round, the first lowest; those
    /// that are left out are zero. Numbers that become bytes are weights, whole and from -127 to 127.
    pub fn word(self, v: impl AsRef<[f32]>) -> u32 {
        let bits = |v: f32| match self {
            Self::F32 => v.to_bits(),
            // To the nearest, halves away from zero.
            Self::Tf32 => v.to_bits().wrapping_add(0x1000) & !0x1fff,
            Self::F16 => f16::from_f32(v).to_bits().into(),
            Self::Bf16 => bf16::from_f32(v).to_bits().into(),
            Self::Int8 => u8::from_ne_bytes((v as i8).to_ne_bytes()).into(),
        };
        let numbers = v.as_ref().iter().take(self.per_word()).enumerate();
        numbers.fold(0, |word, (i, &v)| word | bits(v) << (i * 32 / self.per_word()))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    /// Its name, or `auto`: what every device takes unless told otherwise.
    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::default());
        }
        let found = Self::ALL.into_iter().find(|p| p.name() == text);
        let known = "auto, f32, bf16, int8, and on CUDA tf32, f16";
        found.ok_or_else(|| Error::usage(format!("no precision \"{text}\"; known are {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_nothing_coarser_is_allowed() {
        for asked in Precision::ALL {
            assert_eq!(asked.name().parse::<Precision>().unwrap(), asked);
            let allowed: Vec<_> = Precision::ALL.into_iter().filter(|p| asked.allows(*p)).collect();
            assert!(
                allowed.iter().all(|p| p.rounding() <= asked.rounding()) && allowed.contains(&Precision::F32)
            );
        }
        assert_eq!(Precision::of("conv2d_fwd_bf16f32__halo_3x3_32_sm80"), Precision::Bf16);
        assert_eq!(Precision::of("matmul_fwd_tf32__panels"), Precision::Tf32);
        assert_eq!(Precision::of("matmul_fwd_f32__bf16"), Precision::F32);
        assert_eq!(Precision::of("matmul_fwd_int8__panels"), Precision::Int8);
        assert_eq!(Precision::Int8.word([1.0, -1.0, 127.0]), 0x007f_ff01);
        assert_eq!("auto".parse::<Precision>().unwrap(), Precision::F32);
        assert!("f8".parse::<Precision>().is_err());
    }
}
