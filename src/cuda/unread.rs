//! Results that nobody reads where they would be stored, because all that read them take them as they are laid out:
//! they are not stored.

use super::launch::Launch;
use super::stored::Stored;
use crate::plan::{Region, Step};

/// Leaves out what the launches of a plan's steps store of such results.
pub(super) fn leave_out(steps: &[Step], launches: &mut [Vec<Launch>], stored: &Stored) {
    for (at, (step, launches)) in steps.iter().zip(launches).enumerate() {
        let Some(last) = launches.last_mut().filter(|_| step.y.region == Region::Arena) else { continue };
        if last.operands().laid != 0 && stored.readers(at).is_empty() {
            last.change_operands(|o| o.y = 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::laid::Laid;
    use crate::cuda::launch::{Operands, BYTES_OF_ELEMENT};
    use crate::cuda::table::{choose, find};
    use crate::kernel::conv::{Conv2dParams, Epilogue};
    use crate::kernel::map::{MapOp, MapParams};
    use crate::kernel::precision::Precision;
    use crate::kernel::Kernel;
    use crate::plan::Slot;
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
        let each = steps.iter().enumerate().map(|(at, step)| {
            let mut x = [0; 6];
            x.iter_mut().zip(&step.operands).for_each(|(x, slot)| *x = address(*slot));
            let o = Operands { x, y: address(step.y), workspace: 1 << 40, ..Operands::default() };
            let mut launches = (find(step.choice.entry).unwrap().launch)(&step.kernel, &o).unwrap();
            laid.shorten(at, step, &mut launches, address).unwrap();
            launches
        });
        let mut launches: Vec<_> = each.collect();
        let all = Stored::new(steps, &launches, address).unwrap();
        leave_out(steps, &mut launches, &all);
        let last = launches.iter().filter_map(|of| of.last()).map(Launch::operands);
        last.filter(|o| o.laid != 0).map(|o| o.y != 0).collect()
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
