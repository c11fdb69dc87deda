//! The epilogue: takes a block's finished sums to y.

use super::blocking::{Block, Blocking};
use super::{Job, Operands, Spread};
use crate::cpu::simd::{Factors, Lanes};
use crate::kernel::conv::{Activation, Conv2dParams, Epilogue};
use crate::kernel::precision::Precision;

/// Stores a block's sums. Inlined into one copy per instruction set.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; nobody else writes this block of y.
#[inline(always)]
pub(super) unsafe fn store<F: Factors>(job: &Job, blocking: &Blocking, block: &Block, sums: &mut [f32]) {
    let params = job.params;
    let group_channels = (params.c_out / params.groups) as usize;
    let vectors = blocking.vectors(block);
    let tile_rows = blocking.tile_rows;
    let first = block.co_blocks.start * tile_rows;
    let last = (block.co_blocks.end * tile_rows).min(group_channels);
    for (slot, channel) in (first..last).enumerate() {
        let channel = block.group * group_channels + channel;
        let output = Channel::new(params, job.operands, job.spread, block.image, channel);
        for (i, row) in block.rows.clone().enumerate() {
            let start = slot * blocking.sum_stride + i * vectors.row_stride;
            let sums = &mut sums[start..start + block.columns.len()];
            if F::PRECISION == Precision::Int8 {
                let (offset, factor) = (job.scales.offset[channel], job.scales.factor[channel]);
                // SAFETY: one lane needs no instruction set.
                sums.iter_mut().for_each(|sum| *sum = unsafe { sum.dequantise(offset, factor) });
            }
            // SAFETY: the caller's promise.
            unsafe { output.store(sums, row, block.columns.start) };
        }
    }
}

/// The epilogue of one output channel of one image.
pub(super) struct Channel<'a> {
    params: &'a Conv2dParams,
    operands: &'a Operands<'a>,
    spread: Spread,
    image: usize,
    channel: usize,
    bias: f32,
    slope: f32,
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
        let epilogue = &params.epilogue;
        let bias = if epilogue.has_bias == 0 { 0.0 } else { operands.bias[channel] };
        let slope = match epilogue.slopes(params.c_out as usize) {
            0 if epilogue.act == Activation::Relu as u32 => 0.0,
            0 => epilogue.slope,
            1 => operands.slope[0],
            _ => operands.slope[channel],
        };
        Self { params, operands, spread, image, channel, bias, slope }
    }

    /// Stores the sums of a run of pixels from (`row`, `column`) on.
    ///
    /// # Safety
    /// The operands' spans are those of the parameters; the run lies inside of y, and nobody else
    /// writes it.
    #[inline(always)]
    pub unsafe fn store(&self, sums: &[f32], row: usize, column: usize) {
        if self.spread.column > 1 {
            // SAFETY: the caller's promise.
            return unsafe { self.store_spread(sums, row, column) };
        }
        let (params, slope) = (self.params, self.slope);
        let offset = self.channel * params.y_plane() + row * params.w_out as usize + column;
        let at = |batch_stride: u64| self.image * batch_stride as usize + offset;
        // SAFETY: the caller's promise.
        unsafe {
            let y = self.operands.y.add(at(params.y_batch_stride));
            let residual = |i: usize| {
                if i < params.epilogue.residuals as usize {
                    self.operands.residuals[i].add(at(params.r_batch_stride[i]))
                } else {
                    std::ptr::null()
                }
            };
            let residuals = [residual(0), residual(1)];
            match params.epilogue.act {
                0 => self.store_with(sums, y, residuals, |v| v),
                5 => self.store_with(sums, y, residuals, |v| 1.0 / (1.0 + (-v).exp())),
                _ => self.store_with(sums, y, residuals, |v| if v > 0.0 { v } else { v * slope }),
            }
        }
    }

    /// Stores sums apart from each other, without residuals.
    ///
    /// # Safety
    /// As [`Channel::store`].
    #[inline(always)]
    unsafe fn store_spread(&self, sums: &[f32], row: usize, column: usize) {
        let Spread { column: step, row: row_step, plane } = self.spread;
        let start = self.image * self.params.y_batch_stride as usize
            + self.channel * plane
            + row * row_step
            + column * step;
        let none = self.params.epilogue.act == Activation::None as u32;
        let slope = if none { 1.0 } else { self.slope };
        for (i, &sum) in sums.iter().enumerate() {
            let v = sum + self.bias;
            // SAFETY: the caller's promise.
            unsafe { *self.operands.y.add(start + i * step) = if v > 0.0 { v } else { v * slope } };
        }
    }

    /// # Safety
    /// As many elements as `sums` has are writable at `y` and readable at the epilogue's residuals.
    #[inline(always)]
    unsafe fn store_with(
        &self,
        sums: &[f32],
        y: *mut f32,
        residuals: [*const f32; 2],
        act: impl Fn(f32) -> f32,
    ) {
        let epilogue: &Epilogue = &self.params.epilogue;
        let (bias, scale) = (self.bias, epilogue.scale);
        let [s0, s1] = epilogue.residual_scale;
        let [r0, r1] = residuals;
        // SAFETY: the caller's promise; where a residual is y itself, it is read before y is written.
        unsafe {
            match epilogue.residuals {
                0 => for_each(sums, y, |_, sum| act(sum + bias) * scale),
                1 => for_each(sums, y, |i, sum| act(sum + bias) * scale + s0 * *r0.add(i)),
                _ => for_each(sums, y, |i, sum| act(sum + bias) * scale + s0 * *r0.add(i) + s1 * *r1.add(i)),
            }
        }
    }
}

/// # Safety
/// As many elements as `sums` has are writable at `y`.
#[inline(always)]
unsafe fn for_each(sums: &[f32], y: *mut f32, value: impl Fn(usize, f32) -> f32) {
    for (i, &sum) in sums.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { *y.add(i) = value(i, sum) };
    }
}
