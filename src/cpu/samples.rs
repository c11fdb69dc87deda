//! Samples normalised, and numbers rounded to samples.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use super::args::Args;
use super::pool::Pool;
use crate::kernel::samples::{NormaliseParams, ToSamplesParams};
use crate::tensor::DType;
use crate::Result;

/// Elements of a part.
const PART: usize = 1 << 14;

/// Normalises.
///
/// # Errors
/// `Unsupported` for samples of no known type.
///
/// # Safety
/// As [`Args`] says, x being samples, and no element of y is one of x.
pub(super) unsafe fn normalise(p: &NormaliseParams, args: &Args, pool: &Pool) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        match p.dtype()? {
            DType::U8 => normalise_of::<u8>(p, args, pool),
            DType::U16 => normalise_of::<u16>(p, args, pool),
            DType::F32 => {}
        }
    }
    Ok(())
}

/// # Safety
/// As [`normalise`], x being samples of `T`.
unsafe fn normalise_of<T: Copy + Into<f32>>(p: &NormaliseParams, args: &Args, pool: &Pool) {
    let plane = p.plane as usize;
    let parts = plane.div_ceil(PART);
    pool.run(p.planes as usize * parts, |part| {
        let args = *args;
        let (k, start) = (part / parts, part % parts * PART);
        let (at, len) = (k * plane + start, PART.min(plane - start));
        // SAFETY: the part lies within both spans, and belongs to nobody else.
        let (x, y) = unsafe {
            (from_raw_parts(args.x[0].cast::<T>().add(at), len), from_raw_parts_mut(args.y.add(at), len))
        };
        let scale = p.scales[k % p.channels as usize];
        y.iter_mut().zip(x).for_each(|(y, x)| *y = scale.apply((*x).into()));
    });
}

/// Rounds to samples.
///
/// # Errors
/// `Unsupported` for samples of no known type.
///
/// # Safety
/// As [`Args`] says, y being samples, and no element of y is one of x.
pub(super) unsafe fn to_samples(p: &ToSamplesParams, args: &Args, pool: &Pool) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        match p.dtype()? {
            DType::U8 => to_samples_of::<u8>(p, args, pool, |v| v as u8),
            DType::U16 => to_samples_of::<u16>(p, args, pool, |v| v as u16),
            DType::F32 => {}
        }
    }
    Ok(())
}

/// # Safety
/// As [`to_samples`], y being samples of `T`.
unsafe fn to_samples_of<T>(p: &ToSamplesParams, args: &Args, pool: &Pool, sample: fn(f32) -> T) {
    let n = p.n as usize;
    pool.run(n.div_ceil(PART), |part| {
        let args = *args;
        let (at, len) = (part * PART, PART.min(n - part * PART));
        // SAFETY: the part lies within both spans, and belongs to nobody else.
        let (x, y) = unsafe {
            (from_raw_parts(args.x[0].add(at), len), from_raw_parts_mut(args.y.cast::<T>().add(at), len))
        };
        y.iter_mut().zip(x).for_each(|(y, x)| *y = sample(p.apply(*x)));
    });
}
