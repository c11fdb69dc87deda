//! Element-wise maps: runs along the innermost axis, in blocks that compilers vectorise.

use super::args::Args;
use super::pool::Pool;
use super::simd::gelu;
use super::transpose;
use crate::kernel::map::{MapOp, MapParams, MAX_INPUTS};
use crate::Result;

/// Elements a part works on, about.
const PART: usize = 1 << 14;

/// Elements computed at once: read first, written after, so that y may be an operand.
const BLOCK: usize = 16;

/// One run along the innermost axis.
#[derive(Clone, Copy)]
struct Run {
    y: *mut f32,
    y_step: usize,
    x: [*const f32; MAX_INPUTS],
    x_step: [usize; MAX_INPUTS],
    len: usize,
}

/// Computes y.
///
/// # Safety
/// As [`Args`] says.
pub(super) unsafe fn run(p: &MapParams, args: &Args, pool: &Pool) -> Result<()> {
    if let Some(axis) = transpose::axis(p) {
        // SAFETY: the caller's promise.
        return unsafe { transpose::run(p, axis, args, pool) };
    }
    let op = p.map_op()?;
    let inner_axis = (p.rank as usize).saturating_sub(1);
    let inner = p.dims[inner_axis] as usize;
    let outer: usize = p.dims[..inner_axis].iter().product::<u64>() as usize;
    if inner == 0 || outer == 0 {
        return Ok(());
    }
    let runs_per_part = (PART / inner).max(1);
    let chunks = inner.div_ceil(PART).max(1);
    let groups = outer.div_ceil(runs_per_part);
    pool.run(groups * chunks, |part| {
        let (group, chunk) = (part / chunks, part % chunks);
        let from = chunk * PART.min(inner);
        let len = if chunks == 1 { inner } else { PART.min(inner - from) };
        for index in group * runs_per_part..((group + 1) * runs_per_part).min(outer) {
            // SAFETY: the run lies within the spans; parts cover disjoint elements of y.
            unsafe {
                let run = run_at(p, args, inner_axis, index, from, len);
                compute(op, [p.a, p.b], &run);
            }
        }
    });
    Ok(())
}

/// The run of `len` elements from `from` at a flat index of the outer axes.
///
/// # Safety
/// The index is below the product of the outer extents and the run within the inner extent.
unsafe fn run_at(
    p: &MapParams,
    args: &Args,
    inner_axis: usize,
    index: usize,
    from: usize,
    len: usize,
) -> Run {
    let mut rest = index as u64;
    let mut y = from as u64 * p.y_strides[inner_axis];
    let mut x = [0u64; MAX_INPUTS];
    for (at, strides) in x.iter_mut().zip(&p.x_strides) {
        *at = from as u64 * strides[inner_axis];
    }
    for axis in (0..inner_axis).rev() {
        let i = rest % p.dims[axis];
        rest /= p.dims[axis];
        y += i * p.y_strides[axis];
        for (at, strides) in x.iter_mut().zip(&p.x_strides) {
            *at += i * strides[axis];
        }
    }
    let mut run = Run {
        // SAFETY: within the span of y, see above.
        y: unsafe { args.y.add(y as usize) },
        y_step: p.y_strides[inner_axis] as usize,
        x: [std::ptr::null(); MAX_INPUTS],
        x_step: [0; MAX_INPUTS],
        len,
    };
    for (k, at) in x.into_iter().enumerate() {
        if !args.x[k].is_null() {
            // SAFETY: within the span of the operand, see above.
            run.x[k] = unsafe { args.x[k].add(at as usize) };
            run.x_step[k] = p.x_strides[k][inner_axis] as usize;
        }
    }
    run
}

/// Computes one run.
///
/// # Safety
/// Its elements are readable and writable.
unsafe fn compute(op: MapOp, [a, b]: [f32; 2], run: &Run) {
    // SAFETY: as this function's.
    unsafe {
        match op {
            MapOp::Fill => each(run, |_: [f32; 0]| a),
            MapOp::Copy => each(run, |[x]: [f32; 1]| x),
            MapOp::Relu => each(run, |[x]| if x < 0.0 { 0.0 } else { x }),
            MapOp::LeakyRelu => each(run, |[x]| if x < 0.0 { x * a } else { x }),
            MapOp::Sigmoid => each(run, |[x]| 1.0 / (1.0 + (0.0 - x).exp())),
            MapOp::Scale => each(run, |[x]| a * x),
            MapOp::Add => each(run, |[x, z]| a * x + b * z),
            MapOp::Mul => each(run, |[x, z]| x * z),
            MapOp::Prelu => each(run, |[x, slope]| if x < 0.0 { x * slope } else { x }),
            MapOp::Affine => each(run, |[x, factor, shift]| x * factor + shift),
            MapOp::Norm => {
                each(run, |[x, mean, var, weight, bias]| (x - mean) / (var + a).sqrt() * weight + bias)
            }
            MapOp::NormScale => each(run, |[weight, var]| weight / (var + a).sqrt()),
            MapOp::Gelu => each(run, |[x]| gelu(x)),
            MapOp::Max => each(run, |[x, z]| if z > x || z.is_nan() { z } else { x }),
            MapOp::NormShift => each(run, |[x, mean, factor, bias]| (x - mean) * factor + bias),
        }
    }
}

/// y = f(x0, …) over a run.
///
/// # Safety
/// The run's elements are readable and writable.
#[inline(always)]
unsafe fn each<const N: usize>(run: &Run, f: impl Fn([f32; N]) -> f32) {
    let mut done = 0;
    if run.y_step == 1 && run.x_step[..N].iter().all(|s| *s <= 1) {
        while run.len - done >= BLOCK {
            let mut x = [[0.0; BLOCK]; N];
            for (k, x) in x.iter_mut().enumerate() {
                *x = match run.x_step[k] {
                    // SAFETY: `done..done + BLOCK` is within the run.
                    1 => unsafe { run.x[k].add(done).cast::<[f32; BLOCK]>().read_unaligned() },
                    // SAFETY: a broadcast operand's only element of the run.
                    _ => [unsafe { *run.x[k] }; BLOCK],
                };
            }
            let y: [f32; BLOCK] = std::array::from_fn(|i| f(std::array::from_fn(|k| x[k][i])));
            // SAFETY: as for reading.
            unsafe { run.y.add(done).cast::<[f32; BLOCK]>().write_unaligned(y) };
            done += BLOCK;
        }
    }
    for i in done..run.len {
        // SAFETY: `i` is within the run.
        unsafe {
            let x = std::array::from_fn(|k| *run.x[k].add(i * run.x_step[k]));
            *run.y.add(i * run.y_step) = f(x);
        }
    }
}
