//! The epilogue: takes a block's finished sums to y.

use super::blocking::{Block, Blocking};
use super::{Operands, Spread};
use crate::kernel::conv::{Activation, Conv2dParams, Epilogue};

/// Stores a block's sums. Inlined into one copy per instruction set.
///
/// # Safety
/// The conditions of [`super::PackedConv::run`]; nobody else writes this block of y.
#[inline(always)]
pub(super) unsafe fn store(
    params: &Conv2dParams,
    blocking: &Blocking,
    block: &Block,
    operands: &Operands,
    spread: Spread,
    sums: &[f32],
) {
    let group_channels = (params.c_out / params.groups) as usize;
    let vectors = blocking.vectors(block);
    let tile_rows = blocking.tile_rows;
    let first = block.co_blocks.start * tile_rows;
    let last = (block.co_blocks.end * tile_rows).min(group_channels);
    let (width, plane) = (params.w_out as usize, params.y_plane());
    for (slot, channel) in (first..last).enumerate() {
        let channel = block.group * group_channels + channel;
        let row = Row::new(params, operands, channel);
        for (i, y_row) in block.rows.clone().enumerate() {
            let start = slot * blocking.sum_stride + i * vectors.row_stride;
            let sums = &sums[start..start + block.columns.len()];
            let offset = channel * plane + y_row * width + block.columns.start;
            let at = |batch_stride: u64| block.image * batch_stride as usize + offset;
            // SAFETY: the caller's promise; the row lies inside y and the residuals.
            unsafe {
                if spread.column > 1 {
                    let y = operands.y.add(block.image * params.y_batch_stride as usize);
                    let offset =
                        channel * spread.plane + y_row * spread.row + block.columns.start * spread.column;
                    row.store_spread(sums, y.add(offset), spread.column);
                    continue;
                }
                let y = operands.y.add(at(params.y_batch_stride));
                let residual = |i: usize| {
                    if i < params.epilogue.residuals as usize {
                        operands.residuals[i].add(at(params.r_batch_stride[i]))
                    } else {
                        std::ptr::null()
                    }
                };
                row.store(sums, y, [residual(0), residual(1)]);
            }
        }
    }
}

/// The epilogue of one output channel.
struct Row<'a> {
    epilogue: &'a Epilogue,
    bias: f32,
    slope: f32,
}

impl<'a> Row<'a> {
    #[inline(always)]
    fn new(params: &'a Conv2dParams, operands: &Operands, channel: usize) -> Self {
        let epilogue = &params.epilogue;
        let bias = if epilogue.has_bias == 0 { 0.0 } else { operands.bias[channel] };
        let slope = match epilogue.slopes(params.c_out as usize) {
            0 if epilogue.act == Activation::Relu as u32 => 0.0,
            0 => epilogue.slope,
            1 => operands.slope[0],
            _ => operands.slope[channel],
        };
        Self { epilogue, bias, slope }
    }

    /// # Safety
    /// As many elements as `sums` has are writable at `y` and readable at the epilogue's residuals.
    #[inline(always)]
    unsafe fn store(&self, sums: &[f32], y: *mut f32, residuals: [*const f32; 2]) {
        let slope = self.slope;
        // SAFETY: the caller's promise.
        unsafe {
            match self.epilogue.act {
                0 => self.store_with(sums, y, residuals, |v| v),
                5 => self.store_with(sums, y, residuals, |v| 1.0 / (1.0 + (-v).exp())),
                _ => self.store_with(sums, y, residuals, |v| if v > 0.0 { v } else { v * slope }),
            }
        }
    }

    /// Stores every `step`-th element, without residuals.
    ///
    /// # Safety
    /// As many elements as `sums` has are writable at `y`, `step` apart.
    #[inline(always)]
    unsafe fn store_spread(&self, sums: &[f32], y: *mut f32, step: usize) {
        let slope = if self.epilogue.act == Activation::None as u32 { 1.0 } else { self.slope };
        for (i, &sum) in sums.iter().enumerate() {
            let v = sum + self.bias;
            // SAFETY: the caller's promise.
            unsafe { *y.add(i * step) = if v > 0.0 { v } else { v * slope } };
        }
    }

    /// # Safety
    /// As [`Row::store`].
    #[inline(always)]
    unsafe fn store_with(
        &self,
        sums: &[f32],
        y: *mut f32,
        residuals: [*const f32; 2],
        act: impl Fn(f32) -> f32,
    ) {
        let (bias, scale) = (self.bias, self.epilogue.scale);
        let [s0, s1] = self.epilogue.residual_scale;
        let [r0, r1] = residuals;
        // SAFETY: the caller's promise; where a residual is y itself, it is read before y is written.
        unsafe {
            match self.epilogue.residuals {
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
