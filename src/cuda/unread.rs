//! Results that nobody reads where they would be stored, because all convolutions that read them take them from the
//! layout in the workspace: they are not stored.

use std::ops::Range;

use super::conv_warpgroup::{
    arguments, lays_out, lays_result_out, leave_result_out, multiplies, BYTES_OF_ELEMENT,
};
use super::launch::Launch;
use crate::kernel::Kernel;
use crate::plan::{Region, Slot, Step};
use crate::Result;

/// Addresses of bytes, some of each image.
type Parts = Vec<Range<u64>>;

/// Leaves out what the launches of a plan's steps store of such results; `address` says where operands lie.
///
/// # Errors
/// `Device` when a launch holds other arguments.
pub(super) fn leave_out(
    steps: &[Step],
    launches: &mut [Vec<Launch>],
    address: impl Fn(Slot) -> u64,
) -> Result<()> {
    let mut touched = Vec::with_capacity(steps.len());
    for (step, launches) in steps.iter().zip(&*launches) {
        touched.push((reads(step, launches, &address)?, writes(step, &address)));
    }
    for (at, (step, launches)) in steps.iter().zip(launches).enumerate() {
        let Some(multiply) = launches.last_mut().filter(|_| step.y.region == Region::Arena) else { continue };
        if !lays_result_out(multiply)? {
            continue;
        }
        let mut stored = touched[at].1.clone();
        let is_read = touched[at + 1..].iter().any(|(reads, writes)| {
            let is_read = reads.iter().any(|read| stored.iter().any(|part| meet(part, read)));
            stored = writes.iter().fold(std::mem::take(&mut stored), without);
            is_read
        });
        if !is_read {
            leave_result_out(multiply)?;
        }
    }
    Ok(())
}

/// What a step reads of what steps store.
fn reads(step: &Step, launches: &[Launch], address: impl Fn(Slot) -> u64) -> Result<Parts> {
    let mut parts = Parts::new();
    for (k, slot) in step.operands.iter().enumerate().filter(|(_, slot)| slot.region == Region::Arena) {
        let from = address(*slot);
        let Kernel::Conv2d(p) = &step.kernel else {
            parts.extend(images(from, 1, 0, step.kernel.x_span(k)));
            continue;
        };
        // The last operands are the residuals.
        let residual = (k + p.epilogue.residuals as usize).checked_sub(step.operands.len());
        if let Some(stride) = residual.and_then(|r| p.r_batch_stride.get(r)) {
            parts.extend(images(from, p.batch, *stride, p.c_out as usize * p.y_plane()));
        } else if k > 0 {
            parts.extend(images(from, 1, 0, step.kernel.x_span(k)));
        } else if let Some((from, channels)) = read_of_x(step, launches, (from, p.c_in))? {
            parts.extend(images(from, p.batch, p.x_batch_stride, channels as usize * p.x_plane()));
        }
    }
    Ok(parts)
}

/// Where a convolution begins to read x where it was stored, and how many channels; all of them unless it reads the
/// layout.
fn read_of_x(step: &Step, launches: &[Launch], all: (u64, u32)) -> Result<Option<(u64, u32)>> {
    match launches.iter().find(|launch| lays_out(launch.entry)) {
        Some(launch) => arguments(launch).map(|(o, p)| Some((o.x[0], p.c_in))),
        None => Ok(Some(all).filter(|_| !multiplies(step.choice.entry))),
    }
}

/// What a step surely writes.
fn writes(step: &Step, address: impl Fn(Slot) -> u64) -> Parts {
    let to = address(step.y);
    match &step.kernel {
        _ if step.y.region != Region::Arena => Parts::new(),
        Kernel::Conv2d(p) => images(to, p.batch, p.y_batch_stride, p.c_out as usize * p.y_plane()),
        Kernel::Map(p) if p.numel() == p.y_span() => images(to, 1, 0, p.numel()),
        _ => Parts::new(),
    }
}

/// `len` elements of each image.
fn images(start: u64, batch: u32, stride: u64, len: usize) -> Parts {
    let part = |image: u32| {
        let start = start + u64::from(image) * stride * BYTES_OF_ELEMENT;
        start..start + len as u64 * BYTES_OF_ELEMENT
    };
    (0..batch).map(part).collect()
}

fn meet(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The parts less one range.
fn without(parts: Parts, taken: &Range<u64>) -> Parts {
    let rest =
        |part: Range<u64>| [part.start..part.end.min(taken.start), part.start.max(taken.end)..part.end];
    parts.into_iter().flat_map(rest).filter(|part| part.start < part.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::laid::Laid;
    use crate::cuda::launch::Operands;
    use crate::cuda::table::{choose, find};
    use crate::kernel::conv::{Conv2dParams, Epilogue};
    use crate::kernel::map::{MapOp, MapParams};
    use crate::kernel::precision::Precision;
    use crate::tensor::{Layout, Shape};

    const PLANE: usize = 64 * 8;

    /// A step from places of the arena, in channels, to another.
    fn step(kernel: Kernel, x: &[usize], y: usize) -> Step {
        let place = |channel: &usize| Slot { region: Region::Arena, offset: channel * PLANE };
        let choice = choose(&kernel, 90, 1, Precision::Bf16).unwrap();
        let operands = x.iter().map(place).collect();
        Step { kernel, operands, y: place(&y), choice, kept: None, label: String::new() }
    }

    /// A convolution by the first channels of two images' slabs of 64, and the residuals it adds, to 16 channels.
    fn conv(channels: usize, residuals: &[usize], y: usize) -> Step {
        let stride = 64 * PLANE as u64;
        let p = Conv2dParams::same([2, channels as u32, 64, 8], 16, 3);
        let epilogue = Epilogue { residuals: residuals.len() as u32, ..p.epilogue };
        let strides = [stride; 2];
        let p = Conv2dParams {
            x_batch_stride: stride,
            y_batch_stride: stride,
            r_batch_stride: strides,
            epilogue,
            ..p
        };
        step(Kernel::Conv2d(p), &[&[0, 1000], residuals].concat(), y)
    }

    /// A copy of one channel.
    fn copy(from: usize, to: usize) -> Step {
        let layout = Layout::dense(Shape::new(&[PLANE]).unwrap());
        let p = MapParams::new(MapOp::Copy, [0.0; 2], &layout, &[layout.strides()]).unwrap();
        step(Kernel::Map(p), &[from], to)
    }

    /// Which steps store what they lay out.
    fn stored(steps: &[Step]) -> Vec<bool> {
        let mut laid = Laid::new(1 << 20);
        let address = |slot: Slot| 4096 + slot.offset as u64 * BYTES_OF_ELEMENT;
        let each = steps.iter().map(|step| {
            let mut x = [0; 6];
            x.iter_mut().zip(&step.operands).for_each(|(x, slot)| *x = address(*slot));
            let o = Operands { x, y: address(step.y), workspace: 1 << 40, ..Operands::default() };
            let mut launches = (find(step.choice.entry).unwrap().launch)(&step.kernel, &o).unwrap();
            laid.shorten(step, &mut launches, address).unwrap();
            launches
        });
        let mut launches: Vec<_> = each.collect();
        leave_out(steps, &mut launches, address).unwrap();
        let laying =
            launches.iter().filter_map(|of| of.last()).filter(|l| lays_result_out(l).unwrap_or(false));
        laying.map(|launch| arguments(launch).unwrap().0.y != 0).collect()
    }

    #[test]
    fn what_only_convolutions_read_is_not_stored() {
        let block = [conv(16, &[], 16), conv(32, &[], 32), conv(48, &[0], 200)];
        assert_eq!(stored(&block), [false, false]);
    }

    #[test]
    fn what_others_read_is_stored() {
        let residual = [conv(16, &[], 16), conv(32, &[], 32), conv(48, &[16], 200)];
        assert_eq!(stored(&residual), [true, false]);
        let copied = [conv(16, &[], 16), conv(32, &[], 32), conv(48, &[], 200), copy(47, 300)];
        assert_eq!(stored(&copied), [false, true]);
        // In the second image.
        assert_eq!(stored(&[conv(16, &[], 16), conv(32, &[], 200), copy(64 + 20, 300)]), [true]);
        assert_eq!(stored(&[conv(16, &[], 16), conv(32, &[], 200), copy(64 + 32, 300)]), [false]);
        // A stage of the layout is made again.
        assert_eq!(stored(&[conv(16, &[], 16), copy(300, 20), conv(32, &[], 200)]), [true]);
    }

    #[test]
    fn what_is_read_after_it_was_overwritten_is_not_the_same() {
        let again = [conv(16, &[], 16), conv(32, &[], 200), conv(16, &[], 16), conv(48, &[16], 200)];
        assert_eq!(stored(&again), [false, true]);
        // A part of it is still the same.
        assert_eq!(stored(&[conv(16, &[], 16), copy(300, 16), copy(16, 301)]), [false]);
        assert_eq!(stored(&[conv(16, &[], 16), copy(300, 16), copy(17, 301)]), [true]);
    }
}
