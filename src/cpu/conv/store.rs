//! The epilogue: takes finished sums to y.

use std::ops::Range;

use super::blocking::{Block, Vectors, LINE};
use super::{Job, Operands, Spread};
use crate::cpu::simd::{Factors, Lanes, MOST};
use crate::kernel::conv::{Activation, Conv2dParams, Epilogue};
use crate::kernel::precision::Precision;

/// The finished sums of one register tile.
pub(super) struct Finished<'a> {
    /// What they are a part of.
    pub block: &'a Block,
    /// The block's vectors of pixels.
    pub layout: &'a Vectors,
    /// Those of the tile.
    pub vectors: Range<usize>,
    /// The tile's block of output channels.
    pub co_block: usize,
    /// Sums of its first output channel.
    pub sums: *const f32,
    /// Distance of the sums of the next output channel.
    pub sum_stride: usize,
}

/// Asks for what [`store`] will read and write. Inlined into one copy per instruction set.
#[inline(always)]
pub(super) fn expect<F: Factors>(job: &Job, done: &Finished) {
    let (params, block) = (job.params, done.block);
    let group_channels = (params.c_out / params.groups) as usize;
    let first = done.co_block * job.tile.rows;
    for run in done.layout.runs(&done.vectors) {
        let (row, column) = (block.rows.start + run.row, block.columns.start + run.column);
        for channel in first..(first + job.tile.rows).min(group_channels) {
            let channel = block.group * group_channels + channel;
            expect_run::<F::Sums>(
                params,
                job.operands,
                job.spread,
                [block.image, channel, row, column],
                run.len,
            );
        }
    }
}

/// Asks for what [`Channel::store`] will read and write of so many pixels from (image, channel, row, column) on.
#[inline(always)]
pub(super) fn expect_run<L: Lanes>(
    params: &Conv2dParams,
    operands: &Operands,
    spread: Spread,
    [image, channel, row, column]: [usize; 4],
    len: usize,
) {
    if spread.column > 1 {
        return;
    }
    let tensors = [
        (operands.y.cast_const(), params.y_batch_stride),
        (operands.residuals[0], params.r_batch_stride[0]),
        (operands.residuals[1], params.r_batch_stride[1]),
    ];
    let start = channel * params.y_plane() + row * params.w_out as usize + column;
    for (tensor, batch_stride) in tensors.into_iter().take(1 + params.epilogue.residuals as usize) {
        let at = tensor.wrapping_add(image * batch_stride as usize + start);
        for i in (0..len + LINE - 1).step_by(LINE) {
            L::prefetch(at.wrapping_add(i));
        }
    }
}

/// Stores a tile's sums. Inlined into one copy per instruction set.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; the sums are there; nobody else writes these elements of y.
#[inline(always)]
pub(super) unsafe fn store<F: Factors>(job: &Job, done: &Finished) {
    let (params, block) = (job.params, done.block);
    let group_channels = (params.c_out / params.groups) as usize;
    let first = done.co_block * job.tile.rows;
    let channels = first..(first + job.tile.rows).min(group_channels);
    for run in done.layout.runs(&done.vectors) {
        for (slot, channel) in channels.clone().enumerate() {
            let channel = block.group * group_channels + channel;
            let mut output = Channel::new(params, job.operands, job.spread, block.image, channel);
            if F::PRECISION == Precision::Int8 {
                output.scales = Some([job.scales.offset[channel], job.scales.factor[channel]]);
            }
            let (row, column) = (block.rows.start + run.row, block.columns.start + run.column);
            // SAFETY: the caller's promise; the run's sums are the tile's.
            unsafe {
                let sums = done.sums.add(slot * done.sum_stride + run.at);
                output.store::<F::Sums>(std::slice::from_raw_parts(sums, run.len), row, column);
            }
        }
    }
}

/// The epilogue of one output channel of one image. All that its inner loop needs is held by value, which stores to y
/// cannot change.
pub(super) struct Channel<'a> {
    params: &'a Conv2dParams,
    operands: &'a Operands<'a>,
    spread: Spread,
    image: usize,
    channel: usize,
    epilogue: Epilogue,
    bias: f32,
    slope: f32,
    /// Offset and factor of sums that are of bytes.
    scales: Option<[f32; 2]>,
}

impl<'a> Channel<'a> {
    /// `channel` is counted over all groups.
    #[inline(always)]
    pub fn new(
        params: &'a Conv2dParams,
        operands: &'a Operands<'a>,
        spread: Spread,
        image: usize,
        channel: usize,
    ) -> Self {
        let epilogue = params.epilogue;
        let bias = if epilogue.has_bias == 0 { 0.0 } else { operands.bias[channel] };
        let slope = match epilogue.slopes(params.c_out as usize) {
            0 if epilogue.act == Activation::Relu as u32 => 0.0,
            0 => epilogue.slope,
            1 => operands.slope[0],
            _ => operands.slope[channel],
        };
        Self { params, operands, spread, image, channel, epilogue, bias, slope, scales: None }
    }

    /// Stores the sums of a run of pixels from (`row`, `column`) on, which goes on in the next row where rows
    /// follow each other.
    ///
    /// # Safety
    /// The operands' spans are those of the parameters; the run lies inside of y, and nobody else
    /// writes it; the instruction set of `L` is available.
    #[inline(always)]
    pub unsafe fn store<L: Lanes>(&self, sums: &[f32], row: usize, column: usize) {
        let params = self.params;
        let image = |batch_stride: u64| self.image * batch_stride as usize;
        // SAFETY: the caller's promise; where a residual is y itself, it is read before y is written.
        unsafe {
            if self.spread.column > 1 {
                let Spread { column: step, row: row_step, plane } = self.spread;
                let start = self.channel * plane + row * row_step + column * step;
                let y = self.operands.y.add(image(params.y_batch_stride) + start);
                for (i, sum) in sums.iter().enumerate() {
                    *y.add(i * step) = self.value::<f32>(sum, [std::ptr::null(); 2]);
                }
                return;
            }
            let start = self.channel * params.y_plane() + row * params.w_out as usize + column;
            let y = self.operands.y.add(image(params.y_batch_stride) + start);
            let residuals: [*const f32; 2] = std::array::from_fn(|k| {
                self.operands.residuals[k].wrapping_add(image(params.r_batch_stride[k]) + start)
            });
            let whole = sums.len() - sums.len() % L::N;
            for i in (0..whole).step_by(L::N) {
                self.value::<L>(sums.as_ptr().add(i), residuals.map(|r| r.wrapping_add(i))).store(y.add(i));
            }
            for i in whole..sums.len() {
                *y.add(i) = self.value::<f32>(sums.as_ptr().add(i), residuals.map(|r| r.wrapping_add(i)));
            }
        }
    }

    /// What the epilogue makes of a vector of sums.
    ///
    /// # Safety
    /// The instruction set is available; sums and the epilogue's residuals are readable.
    #[inline(always)]
    unsafe fn value<L: Lanes>(&self, sums: *const f32, residuals: [*const f32; 2]) -> L {
        let epilogue = &self.epilogue;
        // SAFETY: the caller's promise.
        unsafe {
            let zero = L::splat(0.0);
            let mut v = L::load(sums);
            if let Some([offset, factor]) = self.scales {
                v = v.dequantise(L::splat(offset), L::splat(factor));
            }
            v = v.add(L::splat(self.bias));
            v = match epilogue.act {
                0 => v,
                5 => one_by_one(v, |v| 1.0 / (1.0 + (-v).exp())),
                _ => zero.if_below(v, v, v.mul(L::splat(self.slope))),
            };
            v = v.mul(L::splat(epilogue.scale));
            for (k, residual) in residuals.into_iter().enumerate() {
                if k < epilogue.residuals as usize {
                    v = v.add(L::load(residual).mul(L::splat(epilogue.residual_scale[k])));
                }
            }
            if epilogue.rectified == 1 {
                v = v.if_below(zero, zero, v);
            }
            v
        }
    }
}

/// A function of each lane.
///
/// # Safety
/// The instruction set is available.
#[inline(always)]
unsafe fn one_by_one<L: Lanes>(v: L, function: impl Fn(f32) -> f32) -> L {
    let mut numbers = [0.0; MOST];
    // SAFETY: the caller's promise; there is room for any vector.
    unsafe {
        v.store(numbers.as_mut_ptr());
        numbers[..L::N].iter_mut().for_each(|v| *v = function(*v));
        L::load(numbers.as_ptr())
    }
}
