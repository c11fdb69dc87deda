//! What kernels that multiply bytes know beside packed weights: how numbers of x become bytes, and what a sum
//! stands for. It lies behind the packed weights it belongs to.

use crate::kernel::levels::{Levels, MOST_TERMS};
use crate::{Error, Result};

/// Added to and taken from a small number, leaves the nearest whole one, halves to even: the last bit of f32 counts
/// ones here.
const WHOLE: f32 = 1.5 * (1 << 23) as f32;

/// A view of it; empty where factors are no bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scales<'a> {
    /// Of each channel of x: a number times this, plus `zero`, rounded, is its byte.
    pub inverse: &'a [f32],
    /// The byte of zero.
    pub zero: &'a [f32],
    /// Of each output, as the bits of an i32: the sum where all of x is zero.
    pub offset: &'a [f32],
    /// A sum without its offset, times this, is a number.
    pub factor: &'a [f32],
}

impl<'a> Scales<'a> {
    /// Of no bytes.
    pub const NONE: Self = Self { inverse: &[], zero: &[], offset: &[], factor: &[] };

    /// Elements for so many channels of x and outputs.
    pub fn len(channels: usize, outputs: usize) -> usize {
        2 * (channels + outputs)
    }

    /// The view of what [`weigh`] made.
    pub fn of(data: &'a [f32], channels: usize) -> Self {
        let (x, y) = data.split_at((2 * channels).min(data.len()));
        let ((inverse, zero), (offset, factor)) = (x.split_at(x.len() / 2), y.split_at(y.len() / 2));
        Self { inverse, zero, offset, factor }
    }

    /// Inverse and zero of a channel; those of a channel that is not there quantise nothing that counts.
    #[inline(always)]
    pub fn level(&self, channel: usize) -> [f32; 2] {
        match (self.inverse.get(channel), self.zero.get(channel)) {
            (Some(inverse), Some(zero)) => [*inverse, *zero],
            _ => [0.0; 2],
        }
    }
}

/// Makes weights, as many for each of `outputs`, whole numbers from -127 to 127 in place, and gives the
/// [`Scales`]. `channel` says which channel of x a weight is for, by its place.
///
/// # Errors
/// `Weights` when the levels have not as many channels or a sum has too many terms.
pub(super) fn weigh(
    weights: &mut [f32],
    outputs: usize,
    channels: usize,
    levels: Option<&Levels>,
    channel: impl Fn(usize) -> usize,
) -> Result<Vec<f32>> {
    let levels = levels.ok_or_else(|| Error::weights("int8 without levels of what it multiplies"))?;
    let terms = weights.len() / outputs.max(1);
    if levels.channels() != channels || terms as u64 > MOST_TERMS {
        return Err(Error::weights(format!(
            "levels of {} channels for {channels}, sums of {terms} terms (at most {MOST_TERMS})",
            levels.channels()
        )));
    }
    let mut scales: Vec<f32> = levels.scale().iter().map(|s| 1.0 / s).collect();
    scales.extend_from_slice(levels.zero());
    let (mut offsets, mut factors) = (Vec::with_capacity(outputs), Vec::with_capacity(outputs));
    for (o, row) in weights.chunks_exact_mut(terms.max(1)).enumerate() {
        let of = |i: usize| channel(o * terms + i);
        row.iter_mut().enumerate().for_each(|(i, w)| *w *= levels.scale()[of(i)]);
        let most = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
        let factor = if most > 0.0 { most / 127.0 } else { 1.0 };
        let mut offset = 0;
        for (i, w) in row.iter_mut().enumerate() {
            *w = (*w / factor + WHOLE - WHOLE).clamp(-127.0, 127.0);
            offset += *w as i32 * levels.zero()[of(i)] as i32;
        }
        offsets.push(f32::from_bits(offset.cast_unsigned()));
        factors.push(factor);
    }
    scales.append(&mut offsets);
    scales.append(&mut factors);
    Ok(scales)
}
