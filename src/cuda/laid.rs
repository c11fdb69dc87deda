//! What the workspace holds of the convolutions before: the next one over the same channels, as in a dense block,
//! lays out those only that have come since, and a result that follows its operand in a slab is laid out at once.

use std::collections::BTreeSet;

use super::conv_units::{halo, lay_result_out, lays_out, rest};
use super::launch::{Launch, BYTES_OF_ELEMENT as ELEMENT};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::Kernel;
use crate::plan::{Slot, Step};
use crate::Result;

/// The layout left in the workspace, step by step of a plan.
#[derive(Debug)]
pub(super) struct Laid {
    /// Elements of the workspace.
    room: usize,
    held: Option<Held>,
    /// Steps that lay x out, and nothing else, for themselves alone.
    alone: BTreeSet<usize>,
}

/// Channels laid out by an entry: `p.c_in` from `x` on, the first of them in step `by`.
#[derive(Debug)]
struct Held {
    by: usize,
    entry: &'static str,
    x: u64,
    p: Conv2dParams,
}

impl Laid {
    /// Nothing in a workspace of so many elements.
    pub fn new(room: usize) -> Self {
        Self { room, held: None, alone: BTreeSet::new() }
    }

    /// Shortens the launches of the plan's next step, which is number `at`, whose operands lie at addresses.
    ///
    /// # Errors
    /// As launching what is left.
    pub fn shorten(
        &mut self,
        at: usize,
        step: &Step,
        launches: &mut Vec<Launch>,
        address: impl Fn(Slot) -> u64,
    ) -> Result<()> {
        match (&step.kernel, launches.first(), step.operands.first()) {
            (Kernel::Conv2d(p), Some(first), Some(x)) if lays_out(first.entry) => {
                let (entry, x) = (first.entry, address(*x));
                let same = |h: &Held| h.entry == entry && h.x == x && same_pixels(&h.p, p);
                let (known, by) = self.held.take().filter(same).map_or((0, at), |h| (h.p.c_in, h.by));
                self.alone.remove(&by);
                let rest = rest(first, known)?;
                launches.splice(..1, rest);
                let behind = x + u64::from(p.c_in) * p.x_plane() as u64 * ELEMENT;
                let follows =
                    address(step.y) == behind && (p.batch == 1 || p.x_batch_stride == p.y_batch_stride);
                let held = |c_in| Some(Held { by, entry, x, p: Conv2dParams { c_in, ..*p } });
                let own = launches.last_mut().filter(|multiply| follows && multiply.operands().laid == 0);
                if let Some(multiply) = own {
                    if lay_result_out(multiply, self.room)? {
                        self.held = held(p.c_in.saturating_add(p.c_out));
                        return Ok(());
                    }
                }
                if known == 0 && launches.last().is_some_and(|multiply| multiply.operands().laid == 0) {
                    self.alone.insert(at);
                }
                self.held = held(p.c_in.max(known));
            }
            _ if step.choice.workspace > 0 => self.held = None,
            _ => {}
        }
        self.held = self.held.take().filter(|held| !held.written_by(&step.kernel, address(step.y)));
        Ok(())
    }

    /// Steps so far whose layout nobody else reads, and whose results are not laid out.
    pub fn alone(&self) -> impl Iterator<Item = usize> + '_ {
        self.alone.iter().copied()
    }
}

impl Held {
    /// Whether a call that writes from `y` on may write to what was laid out.
    fn written_by(&self, kernel: &Kernel, y: u64) -> bool {
        let (x_end, y_end) =
            (self.x + self.p.x_span() as u64 * ELEMENT, y + kernel.y_span() as u64 * ELEMENT);
        if y >= x_end || self.x >= y_end {
            return false;
        }
        // Other channels of the same slab, image by image.
        let Kernel::Conv2d(p) = kernel else { return true };
        let stride = self.p.x_batch_stride * ELEMENT;
        let beside = |offset: u64| {
            let own = u64::from(self.p.c_in) * self.p.x_plane() as u64 * ELEMENT;
            offset >= own && offset + u64::from(p.c_out) * p.y_plane() as u64 * ELEMENT <= stride
        };
        let slab = p.batch == self.p.batch && p.y_batch_stride == self.p.x_batch_stride && y > self.x;
        !(slab && beside(y - self.x))
    }
}

/// Whether two convolutions look at the same pixels of x for the same pixels of y.
fn same_pixels(a: &Conv2dParams, b: &Conv2dParams) -> bool {
    let pixels = |p: &Conv2dParams| {
        ([p.batch, p.h_in, p.w_in, p.h_out, p.w_out, p.upsample], halo(p), p.x_batch_stride)
    };
    pixels(a) == pixels(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::launch::Operands;
    use crate::cuda::table::{choose, find};
    use crate::kernel::map::{MapOp, MapParams};
    use crate::kernel::precision::Precision;
    use crate::plan::Region;
    use crate::tensor::{Layout, Shape};

    const PLANE: usize = 64 * 8;

    fn arena(offset: usize) -> Slot {
        Slot { region: Region::Arena, offset }
    }

    /// A step from one place of the arena to another.
    fn step(kernel: Kernel, x: usize, y: usize) -> Step {
        let choice = choose(&kernel, 90, 1, Precision::Bf16).unwrap();
        Step {
            kernel,
            operands: vec![arena(x), arena(0)],
            y: arena(y),
            choice,
            kept: None,
            label: String::new(),
        }
    }

    /// A convolution by so many channels at the start of two images' slabs of 64 channels to the 16 after them.
    fn conv(channels: usize) -> Step {
        let stride = 64 * PLANE as u64;
        let p = Conv2dParams::same([2, channels as u32, 64, 8], 16, 3);
        let p = Conv2dParams { x_batch_stride: stride, y_batch_stride: stride, ..p };
        step(Kernel::Conv2d(p), 0, channels * PLANE)
    }

    /// A copy of one channel.
    fn copy(y: usize) -> Step {
        let layout = Layout::dense(Shape::new(&[PLANE]).unwrap());
        let p = MapParams::new(MapOp::Copy, [0.0; 2], &layout, &[layout.strides()]).unwrap();
        step(Kernel::Map(p), 200 * PLANE, y)
    }

    /// Octets of both images that each step lays out, and which steps do it for themselves alone.
    fn laid(steps: &[Step], room: usize) -> (Vec<u32>, Vec<usize>) {
        let mut laid = Laid::new(room);
        let address = |slot: Slot| 4096 + slot.offset as u64 * ELEMENT;
        let each = steps.iter().enumerate().map(|(at, step)| {
            let o = Operands { x: [address(step.operands[0]); 6], y: address(step.y), ..Operands::default() };
            let mut launches = (find(step.choice.entry).unwrap().launch)(&step.kernel, &o).unwrap();
            laid.shorten(at, step, &mut launches, address).unwrap();
            launches.iter().filter(|l| lays_out(l.entry)).map(|l| l.grid[2]).sum()
        });
        (each.collect(), laid.alone().collect())
    }

    fn octets(steps: &[Step], room: usize) -> Vec<u32> {
        laid(steps, room).0
    }

    #[test]
    fn new_channels_are_laid_out() {
        // Results that follow their operands need no launch of their own, where there is room for them.
        assert_eq!(octets(&[conv(16), conv(32), conv(48), conv(48)], 1 << 20), [4, 0, 0, 0]);
        assert_eq!(octets(&[conv(16), conv(32), conv(48), conv(48)], 0), [4, 4, 4, 0]);
        // Half of a stage is laid out again.
        assert_eq!(octets(&[conv(24), conv(40)], 1 << 20), [8, 8]);
    }

    #[test]
    fn layouts_that_nobody_else_reads_are_known() {
        let alone = |steps: &[Step], room| laid(steps, room).1;
        assert_eq!(alone(&[conv(16), conv(32), copy(0), conv(16)], 0), [3]);
        let other =
            || step(Kernel::Conv2d(Conv2dParams::same([1, 16, 64, 16], 16, 3)), 200 * PLANE, 300 * PLANE);
        assert_eq!(alone(&[conv(32), other(), conv(32), conv(32)], 0), [0, 1]);
        // The first one's result is laid out beside its operand.
        assert_eq!(alone(&[conv(32), other()], 1 << 20), [1]);
    }

    #[test]
    fn what_was_written_to_is_laid_out_again() {
        let octets = |steps: &[Step]| octets(steps, 1 << 20);
        assert_eq!(octets(&[conv(32), copy(31 * PLANE), conv(32)]), [8, 0, 8]);
        // In the second image.
        assert_eq!(octets(&[conv(32), copy((64 + 31) * PLANE), conv(32)]), [8, 0, 8]);
        assert_eq!(octets(&[conv(32), copy(130 * PLANE), conv(32)]), [8, 0, 0]);
        // What the first convolution has laid out of its result.
        assert_eq!(octets(&[conv(32), copy(40 * PLANE), conv(48)]), [8, 0, 12]);
        // Another size takes the workspace.
        let other = Kernel::Conv2d(Conv2dParams::same([1, 16, 64, 16], 16, 3));
        assert_eq!(octets(&[conv(32), step(other, 200 * PLANE, 300 * PLANE), conv(32)]), [8, 2, 8]);
    }
}
