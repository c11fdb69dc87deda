//! Contracts between samples of files and numbers of networks: raw samples normalised, results rounded to samples.
//!
//! Samples are u8 or u16, gap-free; numbers are f32. Both contracts are computed in f32, operation by operation as
//! written here, so that they give the same bits on every device and on the host.

use bytemuck::{Pod, Zeroable};

use crate::tensor::DType;
use crate::{Error, Result};

/// Most channels that one call normalises.
pub const MAX_CHANNELS: usize = 16;

/// How one channel's numbers become the network's: `(v - zero) · gain`, held within `least` and `most`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct ChannelScale {
    /// The file's number that becomes 0.
    pub zero: f32,
    /// Factor of what is above it.
    pub gain: f32,
    /// Least value kept.
    pub least: f32,
    /// Largest value kept.
    pub most: f32,
}

impl ChannelScale {
    /// The network's number of a file's.
    pub fn apply(self, v: f32) -> f32 {
        ((v - self.zero) * self.gain).max(self.least).min(self.most)
    }

    /// The file's number of a network's.
    pub fn invert(self, v: f32) -> f32 {
        v / self.gain + self.zero
    }
}

/// Parameters of normalising raw samples; operand x, samples in `planes` planes of `plane` pixels. Plane k of y is
/// plane k of x by the scale of channel k modulo `channels`, see [`ChannelScale::apply`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct NormaliseParams {
    /// Planes.
    pub planes: u64,
    /// Pixels of one.
    pub plane: u64,
    /// Channels.
    pub channels: u32,
    /// Type of x, see [`sample_number`].
    pub samples: u32,
    /// Scales of the channels.
    pub scales: [ChannelScale; MAX_CHANNELS],
}

/// Parameters of rounding to samples; operand x, f32. y is x times `factor`, within 1 and `most`, rounded to the
/// nearest whole number, halves to the even one, see [`rounded`]; 0 where x is no number.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct ToSamplesParams {
    /// Elements.
    pub n: u64,
    /// Factor.
    pub factor: f32,
    /// Largest sample.
    pub most: f32,
    /// Type of y, see [`sample_number`].
    pub samples: u32,
    /// Zero.
    pub reserved: u32,
}

impl NormaliseParams {
    /// Type of x.
    ///
    /// # Errors
    /// `Unsupported` for a number that names none.
    pub fn dtype(&self) -> Result<DType> {
        sample_type(self.samples)
    }
}

impl ToSamplesParams {
    /// Type of y.
    ///
    /// # Errors
    /// `Unsupported` for a number that names none.
    pub fn dtype(&self) -> Result<DType> {
        sample_type(self.samples)
    }

    /// The sample of a number.
    pub fn apply(&self, v: f32) -> f32 {
        match rounded(v * self.factor, self.most) {
            sample if sample.is_nan() => 0.0,
            sample => sample,
        }
    }
}

/// Within 1 and `most`, to the nearest whole number, halves to the even one. Adding and taking away 1.5·2²³ leaves
/// no room for a fraction, in one instruction each where `round_ties_even` may be a call.
pub fn rounded(v: f32, most: f32) -> f32 {
    const WHOLE: f32 = 12_582_912.0;
    v.clamp(1.0, most) + WHOLE - WHOLE
}

/// The number that stands for a type of samples in parameters.
///
/// # Errors
/// `Unsupported` for a type that is none of samples.
pub fn sample_number(dtype: DType) -> Result<u32> {
    match dtype {
        DType::U8 => Ok(0),
        DType::U16 => Ok(1),
        DType::F32 => Err(Error::unsupported("samples of f32; u8 and u16 are possible")),
    }
}

fn sample_type(number: u32) -> Result<DType> {
    match number {
        0 => Ok(DType::U8),
        1 => Ok(DType::U16),
        _ => Err(Error::unsupported(format!("samples of type {number}, known are 0 and 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_even_one_of_two() {
        let values = (0..2_000).map(|i| i as f32 / 8.0 - 3.0).chain([65_534.5, 65_535.5, 1e9, -1e9]);
        for v in values {
            assert_eq!(rounded(v, 65_535.0), v.round_ties_even().clamp(1.0, 65_535.0), "{v}");
        }
        assert_eq!(rounded(f32::NAN, 255.0) as u8, 0);
    }

    #[test]
    fn what_is_no_number_has_no_sample() {
        let p = ToSamplesParams { n: 1, factor: 255.0, most: 255.0, samples: 0, reserved: 0 };
        assert_eq!([f32::NAN, f32::INFINITY, -1.0, 0.5].map(|v| p.apply(v)), [0.0, 255.0, 1.0, 128.0]);
    }
}
