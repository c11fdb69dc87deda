//! Winograd's transforms: pixels to the numbers that are multiplied, and sums back to pixels.

use std::iter::once;
use std::ops::Range;

use super::super::gather::{gather, prefetch, InPlace};
use super::super::store::{expect_run, Channel};
use super::{Buffers, Transformed, Unit, IN, NO_LEVELS};
use crate::cpu::simd::{Factors, Lanes, MOST_PER_WORD};
use crate::kernel::conv::BLOCK_PIXELS;

/// `Bt d B` of the input channels of some words for all blocks of a unit, put to `to`. Inlined into one copy
/// per instruction set.
///
/// # Safety
/// The conditions of [`run_part`](super::run_part); the instruction set of `F` is available; `to` has
/// room for the words, and nobody else writes it.
#[inline(always)]
pub(in crate::cpu::conv) unsafe fn transform_input<F: Factors>(
    unit: &Unit,
    words: Range<usize>,
    to: Transformed,
    buffers: &mut Buffers,
) {
    let (cut, window, x) = (unit.cut, unit.window(), unit.operands.x);
    let (c_in, per_word) = (unit.params.c_in as usize, F::PRECISION.per_word());
    let (columns, lanes, step) = (unit.place.columns.len(), F::Sums::N, cut.row_step);
    let plane = cut.pixel_rows() * step;
    let in_place = InPlace::new(unit.params, &window, lanes);
    if let Some(lies) = &in_place {
        // A row outside, and what is left and right of those inside.
        buffers.pixels[..lies.columns.len()].fill(0.0);
        for rows in buffers.rows.chunks_exact_mut(step) {
            rows[..lies.columns.start].fill(0.0);
            rows[lies.columns.end..window.phase_width].fill(0.0);
        }
    }
    for (slot, word) in words.enumerate() {
        // What stands in for a channel that is not there meets weights of zero.
        let channel = |i: usize| (word * per_word + i).min(c_in - 1);
        // SAFETY: the caller's promise; the window's rows and vectors lie inside the buffers, those of `in_place` in x.
        unsafe {
            for i in 0..per_word {
                let channel = channel(i);
                if in_place.is_none() {
                    gather(unit.params, &window, channel..channel + 1, x, &mut buffers.pixels[i * plane..]);
                }
                if channel + 1 < c_in {
                    prefetch::<F::Sums>(unit.params, &window, channel + 1, x);
                }
            }
            for row in 0..unit.place.rows.len() {
                let rows = buffers.rows.as_mut_ptr();
                for k in 0..per_word {
                    let (to, top) = (rows.add(k * IN * step), row * BLOCK_PIXELS);
                    match &in_place {
                        Some(lies) => {
                            let zeros = buffers.pixels.as_ptr();
                            let row = |r| lies.row(channel(k), top + r).map_or(zeros, |at| x.add(at));
                            let (len, to) = (lies.columns.len(), to.add(lies.columns.start));
                            let from = std::array::from_fn(row);
                            transform_rows::<F::Sums>(
                                from,
                                (to, step),
                                (0..len / lanes * lanes).step_by(lanes),
                            );
                            // The last vector overlaps those before.
                            transform_rows::<F::Sums>(from, (to, step), once(len - lanes));
                        }
                        None => {
                            let pixels = buffers.pixels[k * plane + top * step..].as_ptr();
                            let from = std::array::from_fn(|r| pixels.add(r * step));
                            let all = (0..window.phase_width).step_by(lanes);
                            transform_rows::<F::Sums>(from, (to, step), all);
                        }
                    }
                }
                let to_row = to.at.add(slot * cut.lane_step + row * columns);
                for i in 0..IN {
                    for column in (0..columns).step_by(lanes) {
                        let mut numbers = [[F::Sums::splat(0.0); MOST_PER_WORD]; IN];
                        for k in 0..per_word {
                            let from = rows.add((k * IN + i) * step + BLOCK_PIXELS * column);
                            let [d0, d1, d2, d3] = F::Sums::load_by_four(from);
                            let [d4, d5, _, _] = F::Sums::load_by_four(from.add(4));
                            let v = input_transform([d0, d1, d2, d3, d4, d5]);
                            v.into_iter().zip(&mut numbers).for_each(|(v, numbers)| numbers[k] = v);
                        }
                        for (j, numbers) in numbers.into_iter().enumerate() {
                            let to = to_row.add((i * IN + j) * to.frequency_step + column);
                            F::join(numbers, NO_LEVELS).write(to);
                        }
                    }
                }
            }
        }
    }
}

/// `Bt d` of vectors of columns that begin at `columns` of six rows of pixels, to six rows a step apart.
///
/// # Safety
/// The vectors lie inside the rows; the instruction set of `L` is available.
#[inline(always)]
unsafe fn transform_rows<L: Lanes>(
    from: [*const f32; IN],
    (to, step): (*mut f32, usize),
    columns: impl Iterator<Item = usize>,
) {
    for column in columns {
        // SAFETY: the caller's promise.
        unsafe {
            let d = from.map(|row| L::load(row.add(column)));
            for (i, v) in input_transform(d).into_iter().enumerate() {
                v.store(to.add(i * step + column));
            }
        }
    }
}

/// `At m A` of the finished sums, and the epilogue. Inlined into one copy per instruction set.
///
/// # Safety
/// The conditions of [`run_part`](super::run_part); the instruction set of `L` is available.
#[inline(always)]
pub(in crate::cpu::conv) unsafe fn transform_output<L: Lanes>(unit: &Unit, buffers: &mut Buffers) {
    let (cut, params, place) = (unit.cut, unit.params, &unit.place);
    let step = cut.row_step;
    let sum_step = cut.frequency_step(unit.out_channels());
    let first = place.co_blocks.start * cut.tile_rows;
    let last = (place.co_blocks.end * cut.tile_rows).min(params.c_out as usize);
    let start = [place.rows.start, place.columns.start].map(|block| block * BLOCK_PIXELS);
    let height = (params.h_out as usize - start[0]).min(place.rows.len() * BLOCK_PIXELS);
    let width = (params.w_out as usize - start[1]).min(place.columns.len() * BLOCK_PIXELS);
    let expect = |channel: usize| {
        for row in start[0]..start[0] + height {
            let run = [place.image, channel, row, start[1]];
            expect_run::<L>(params, unit.operands, unit.spread, run, width);
        }
    };
    expect(first);
    for (slot, channel) in (first..last).enumerate() {
        if channel + 1 < last {
            expect(channel + 1);
        }
        for row in 0..place.rows.len() {
            let at = slot * cut.lane_step + row * place.columns.len();
            let sums = buffers.sums[at..].as_ptr();
            let pixels = buffers.pixels[row * BLOCK_PIXELS * step..].as_mut_ptr();
            for column in (0..place.columns.len()).step_by(L::N) {
                // SAFETY: the caller's promise; the vectors lie inside the buffers.
                unsafe {
                    let mut t = [[L::splat(0.0); IN]; BLOCK_PIXELS];
                    for j in 0..IN {
                        let m = std::array::from_fn(|i| L::load(sums.add((i * IN + j) * sum_step + column)));
                        for (r, v) in output_transform(m).into_iter().enumerate() {
                            t[r][j] = v;
                        }
                    }
                    for (r, t) in t.into_iter().enumerate() {
                        let to = pixels.add(r * step + BLOCK_PIXELS * column);
                        L::store_by_four(output_transform(t), to);
                    }
                }
            }
        }
        let output = Channel::new(params, unit.operands, unit.spread, place.image, channel);
        for row in 0..height {
            let pixels = &buffers.pixels[row * step..][..width];
            // SAFETY: the caller's promise.
            unsafe { output.store::<L>(pixels, start[0] + row, start[1]) };
        }
    }
}

/// `Bt d` of six values.
///
/// # Safety
/// The instruction set is available.
#[inline(always)]
unsafe fn input_transform<L: Lanes>(d: [L; IN]) -> [L; IN] {
    // SAFETY: the caller's promise.
    unsafe {
        let (two, four, five) = (L::splat(2.0), L::splat(4.0), L::splat(-5.0));
        let (minus_two, minus_four) = (L::splat(-2.0), L::splat(-4.0));
        let even = d[2].fma(minus_four, d[4]);
        let odd = d[1].fma(minus_four, d[3]);
        let (a, b) = (d[4].sub(d[2]), d[3].sub(d[1]));
        [
            d[0].fma(four, d[2].fma(five, d[4])),
            even.add(odd),
            even.sub(odd),
            b.fma(two, a),
            b.fma(minus_two, a),
            d[1].fma(four, d[3].fma(five, d[5])),
        ]
    }
}

/// `At m` of six values.
///
/// # Safety
/// The instruction set is available.
#[inline(always)]
unsafe fn output_transform<L: Lanes>(m: [L; IN]) -> [L; BLOCK_PIXELS] {
    // SAFETY: the caller's promise.
    unsafe {
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum2, difference2) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(sum).add(sum2),
            difference2.fma(L::splat(2.0), difference),
            sum2.fma(L::splat(4.0), sum),
            difference2.fma(L::splat(8.0), difference).add(m[5]),
        ]
    }
}
