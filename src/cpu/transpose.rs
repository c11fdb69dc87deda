//! Copies whose result runs along another axis than what they read, in squares of vectors: each line of the cache is
//! read once, and written once.

use super::args::Args;
use super::isa::Isa;
use super::pool::Pool;
use super::simd::{per_isa, Lanes, MOST};
use crate::kernel::map::{MapOp, MapParams};
use crate::Result;

/// The axis along which x lies without gaps, if a call is a copy that does not write along it and is large enough for
/// squares.
pub(super) fn axis(p: &MapParams) -> Option<usize> {
    let inner = (p.rank as usize).checked_sub(1)?;
    let large = |axis: usize| p.dims[axis] >= MOST as u64;
    let copies =
        matches!(p.map_op(), Ok(MapOp::Copy)) && p.y_strides[inner] == 1 && p.x_strides[0][inner] > 1;
    (0..inner).find(|&axis| copies && p.x_strides[0][axis] == 1 && large(axis) && large(inner))
}

/// Computes y.
///
/// # Safety
/// As [`Args`] says; `axis` is [`axis`] of `p`.
pub(super) unsafe fn run(p: &MapParams, axis: usize, args: &Args, pool: &Pool) -> Result<()> {
    let isa = Isa::current()?;
    let inner = p.rank as usize - 1;
    let [height, width] = [axis, inner].map(|axis| p.dims[axis] as usize);
    let strips = height.div_ceil(MOST);
    let others = (0..inner).rev().filter(|other| *other != axis);
    let outer: usize = others.clone().map(|other| p.dims[other] as usize).product();
    pool.run(outer * strips, |part| {
        let (mut rest, first) = ((part / strips) as u64, part % strips * MOST);
        let (mut x, mut y) = (first as u64, first as u64 * p.y_strides[axis]);
        for other in others.clone() {
            let i = rest % p.dims[other];
            rest /= p.dims[other];
            x += i * p.x_strides[0][other];
            y += i * p.y_strides[other];
        }
        let strides = [p.x_strides[0][inner] as usize, p.y_strides[axis] as usize];
        // SAFETY: the strip lies within the spans; parts write disjoint elements.
        unsafe {
            let places = (args.x[0].add(x as usize), args.y.add(y as usize));
            run_strip(isa, places, strides, [MOST.min(height - first), width]);
        }
    });
    Ok(())
}

per_isa!(unsafe fn run_strip = strip(places: (*const f32, *mut f32), strides: [usize; 2], extents: [usize; 2]));

/// Writes some rows, each a column of what is read; strides are those of either side's rows.
///
/// # Safety
/// As [`run`]; the instruction set is there.
#[inline(always)]
unsafe fn strip<L: Lanes>(
    (from, to): (*const f32, *mut f32),
    [x, y]: [usize; 2],
    [rows, columns]: [usize; 2],
) {
    let whole = [rows, columns].map(|n| n - n % L::N);
    // SAFETY: the caller's promise.
    unsafe {
        for column in (0..whole[1]).step_by(L::N) {
            for row in (0..whole[0]).step_by(L::N) {
                L::transpose(from.add(column * x + row), x, to.add(row * y + column), y);
            }
        }
        for row in 0..rows {
            for column in if row < whole[0] { whole[1] } else { 0 }..columns {
                *to.add(row * y + column) = *from.add(column * x + row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::args::MAX_OPERANDS;
    use crate::cpu::conv::Kept;
    use crate::cpu::handed_on::AsWords;
    use bytemuck::Zeroable;

    #[test]
    fn tokens_become_images_and_images_tokens() {
        let (n, c) = (3, 37);
        for pixels in [16, 35, 100] {
            let x: Vec<f32> = (0..n * c * pixels).map(|i| i as f32).collect();
            for [height, width] in [[c, pixels], [pixels, c]] {
                let mut p = MapParams { rank: 3, op: MapOp::Copy as u32, ..MapParams::zeroed() };
                let plane = (height * width) as u64;
                for (axis, dim) in [n, height, width].into_iter().enumerate() {
                    p.dims[axis] = dim as u64;
                    p.y_strides[axis] = [plane, width as u64, 1][axis];
                    p.x_strides[0][axis] = [plane, 1, height as u64][axis];
                }
                assert_eq!(axis(&p), Some(1));
                let mut y = vec![f32::NAN; x.len()];
                let mut args = Args {
                    x: [std::ptr::null(); MAX_OPERANDS],
                    y: y.as_mut_ptr(),
                    kept: Kept::NONE,
                    as_words: AsWords::default(),
                };
                args.x[0] = x.as_ptr();
                // SAFETY: both are as long as the extents say.
                unsafe { run(&p, 1, &args, &Pool::new(2).unwrap()).unwrap() };
                for (at, y) in y.iter().enumerate() {
                    let (image, row, column) = (at / (height * width), at / width % height, at % width);
                    assert_eq!(*y as usize, (image * width + column) * height + row);
                }
            }
        }
        // What is read along the axis that is written, or is not dense, is copied in runs.
        let mut p = MapParams { rank: 2, op: MapOp::Copy as u32, ..MapParams::zeroed() };
        (p.dims[0], p.dims[1], p.y_strides[0], p.y_strides[1]) = (32, 32, 32, 1);
        (p.x_strides[0][0], p.x_strides[0][1]) = (64, 1);
        assert_eq!(axis(&p), None);
    }
}
