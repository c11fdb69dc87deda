//! Samples normalised, and numbers rounded to samples. Both are f32 by contract, in f64 too.

use super::Element;
use crate::kernel::samples::{NormaliseParams, ToSamplesParams};

/// Normalises.
pub(super) fn normalise<T: Element>(p: &NormaliseParams, x: &[T], y: &mut [T]) {
    let planes = x.chunks_exact(p.plane as usize).zip(y.chunks_exact_mut(p.plane as usize));
    for ((x, y), scale) in planes.zip(p.scales[..p.channels as usize].iter().cycle()) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = T::from_f32(scale.apply(x.to_f32())));
    }
}

/// Rounds to samples.
pub(super) fn to_samples<T: Element>(p: &ToSamplesParams, x: &[T], y: &mut [T]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = T::from_f32(p.apply(x.to_f32())));
}
