//! Operators between samples of files and numbers: see [`crate::kernel::samples`] for the formulas.

use super::{inputs, pointwise_cost, u32_of, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::samples::{sample_number, ChannelScale, NormaliseParams, ToSamplesParams, MAX_CHANNELS};
use crate::kernel::Kernel;
use crate::tensor::{DType, Layout, TensorSpec};
use crate::{Error, Result};

/// Raw samples (…, rows, columns) of u8 or u16 as a network's numbers. Images of all channels follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalise {
    /// Type of the samples.
    samples: DType,
    /// Channels.
    channels: usize,
    /// Their scales.
    scales: [ChannelScale; MAX_CHANNELS],
}

impl Normalise {
    /// Of samples of that type, by one scale a channel.
    ///
    /// # Errors
    /// `Limit` for more channels than a call takes, or none.
    pub fn new(samples: DType, channels: &[ChannelScale]) -> Result<Self> {
        let Some(first) = channels.first().filter(|_| channels.len() <= MAX_CHANNELS) else {
            let n = channels.len();
            return Err(Error::limit(format!("{n} channels to normalise (1 to {MAX_CHANNELS})")));
        };
        let mut scales = [*first; MAX_CHANNELS];
        scales[..channels.len()].copy_from_slice(channels);
        Ok(Self { samples, channels: channels.len(), scales })
    }
}

/// Numbers times a factor, within 1 and the largest sample, rounded to samples; 0 where there is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToSamples {
    /// Type of the samples, u8 or u16.
    pub samples: DType,
    /// Factor.
    pub factor: f32,
}

impl OpDef for Normalise {
    const NAME: &'static str = "normalise";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        sample_number(self.samples)?;
        if ins.iter().any(|x| x.dtype != self.samples) {
            return Err(Error::shape(format!("{} wanted, {} given", self.samples, ins[0].dtype)));
        }
        let planes: usize = x.iter().rev().skip(2).product();
        if x.len() < 3 || !planes.is_multiple_of(self.channels) {
            return Err(Error::shape(format!("{x} is not whole images of {} channels", self.channels)));
        }
        Ok(TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let x = ins[0].shape;
        let params = NormaliseParams {
            planes: x.iter().rev().skip(2).product::<usize>() as u64,
            plane: x.iter().rev().take(2).product::<usize>() as u64,
            channels: u32_of(self.channels)?,
            samples: sample_number(self.samples)?,
            scales: self.scales,
        };
        Ok(vec![Call::of(Kernel::Normalise(params), [0])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(4, ins, out)
    }
}

impl OpDef for ToSamples {
    const NAME: &'static str = "to_samples";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [shape] = inputs::<1>(ins)?;
        sample_number(self.samples)?;
        Ok(TensorSpec { dtype: self.samples, shape })
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let params = ToSamplesParams {
            n: ins[0].shape.numel() as u64,
            factor: self.factor,
            most: if self.samples == DType::U8 { 255.0 } else { 65_535.0 },
            samples: sample_number(self.samples)?,
            reserved: 0,
        };
        Ok(vec![Call::of(Kernel::ToSamples(params), [0])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(4, ins, out)
    }
}
