//! Copies a chunk of x into the padded buffer that register tiles read.
//!
//! Padding, strided columns and nearest enlargement are dealt with here only.

use std::ops::Range;

use super::blocking::{Block, Blocking};
use crate::kernel::conv::{Conv2dParams, PadMode};

/// Gathers the input channels `channels` (of the block's group) that the block's pixels need.
///
/// # Safety
/// `x` is readable for `params.x_span()` elements.
pub(super) unsafe fn gather(
    params: &Conv2dParams,
    blocking: &Blocking,
    block: &Block,
    channels: Range<usize>,
    x: *const f32,
    buffer: &mut [f32],
) {
    let axes = [Axis::new(params, 0), Axis::new(params, 1)];
    let columns = axes[1].span(block.columns.start, blocking.phases, blocking.phase_width);
    let first_row = (block.rows.start * params.stride[0] as usize) as isize - params.pad[0] as isize;
    let rows = blocking.gathered_rows(block.rows.len());
    let plane = params.x_plane();
    let width = axes[1].stored;
    for (slot, channel) in channels.enumerate() {
        let offset =
            block.image * params.x_batch_stride as usize + (block.group * blocking.c_in + channel) * plane;
        for row in 0..rows {
            let start = slot * blocking.x_stride + row * blocking.row_step();
            let to = &mut buffer[start..start + blocking.row_step()];
            match axes[0].source(first_row + row as isize) {
                // SAFETY: a source row lies inside the plane.
                Some(row) => columns
                    .copy(unsafe { std::slice::from_raw_parts(x.add(offset + row * width), width) }, to),
                None => to.fill(0.0),
            }
        }
    }
}

/// How coordinates along one axis map to stored elements.
struct Axis {
    /// Extent the kernel sees.
    extent: isize,
    /// Extent that is stored.
    stored: usize,
    upsample: usize,
    stride: usize,
    pad: usize,
    reflect: bool,
}

impl Axis {
    fn new(params: &Conv2dParams, axis: usize) -> Self {
        let extent = if axis == 0 { params.h_in } else { params.w_in };
        Self {
            extent: extent as isize,
            stored: (extent / params.upsample) as usize,
            upsample: params.upsample as usize,
            stride: params.stride[axis] as usize,
            pad: params.pad[axis] as usize,
            reflect: params.pad_mode == PadMode::Reflect as u32,
        }
    }

    /// The stored element at a coordinate, None where it is zero.
    fn source(&self, at: isize) -> Option<usize> {
        let inside = if (0..self.extent).contains(&at) {
            at
        } else if self.reflect {
            let mirrored = if at < 0 { -at } else { 2 * (self.extent - 1) - at };
            // What vectors read past the last pixel that is needed may lie anywhere.
            mirrored.clamp(0, self.extent - 1)
        } else {
            return None;
        };
        Some(inside as usize / self.upsample)
    }

    fn span(&self, first: usize, phases: usize, width: usize) -> Columns<'_> {
        let start = (first * self.stride) as isize - self.pad as isize;
        Columns { axis: self, start, phases, width }
    }
}

/// The columns of a gathered row: `phases` runs of `width`, each every `stride`-th column.
struct Columns<'a> {
    axis: &'a Axis,
    start: isize,
    phases: usize,
    width: usize,
}

impl Columns<'_> {
    fn copy(&self, from: &[f32], to: &mut [f32]) {
        for (phase, to) in to.chunks_exact_mut(self.width).take(self.phases).enumerate() {
            let start = self.start + phase as isize;
            if self.axis.stride == 1 && self.axis.upsample == 1 {
                self.copy_run(from, to, start);
            } else {
                self.copy_single(to, from, start, 0..to.len());
            }
        }
    }

    /// Neighbouring columns: one copy between the paddings.
    fn copy_run(&self, from: &[f32], to: &mut [f32], start: isize) {
        let inside = (-start).clamp(0, to.len() as isize) as usize;
        let after = (self.axis.extent - start).clamp(inside as isize, to.len() as isize) as usize;
        self.copy_single(to, from, start, 0..inside);
        let source = (start + inside as isize) as usize;
        if after > inside {
            to[inside..after].copy_from_slice(&from[source..source + after - inside]);
        }
        self.copy_single(to, from, start, after..to.len());
    }

    fn copy_single(&self, to: &mut [f32], from: &[f32], start: isize, range: Range<usize>) {
        for i in range {
            let at = start + (i * self.axis.stride) as isize;
            to[i] = self.axis.source(at).map_or(0.0, |source| from[source]);
        }
    }
}
