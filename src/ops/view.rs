//! Operators that only move elements: slices, reshapes, permutations, pixel (un)shuffle.

use super::{check_axis, image, inputs, AxisReach, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::map::{MapOp, MapParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, Shape, TensorSpec, MAX_RANK};
use crate::{Error, Result};

/// The part `start..start + len` of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// First index.
    pub start: usize,
    /// Number of indices.
    pub len: usize,
}

/// The same elements in the same order under other extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reshape {
    /// The new extents.
    pub shape: Shape,
}

/// The axes in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permute {
    order: [u8; MAX_RANK],
    rank: u8,
}

/// (n, c·r², h, w) to (n, c, h·r, w·r), as PyTorch's `pixel_shuffle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelShuffle(
    /// The factor r.
    pub usize,
);

/// (n, c, h·r, w·r) to (n, c·r², h, w): channel (c·r + dy)·r + dx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelUnshuffle(
    /// The factor r.
    pub usize,
);

/// One copy of an input lying as `x` to `y`, of equal extents.
pub(super) fn copy(x: &Layout, y: &Layout) -> Result<Call> {
    Ok(Call::of(Kernel::Map(MapParams::new(MapOp::Copy, [0.0; 2], y, &[x.strides()])?), [0]))
}

fn moved(ins: &[TensorSpec], out: &TensorSpec) -> Cost {
    super::pointwise_cost(0, ins, out)
}

impl OpDef for Slice {
    const NAME: &'static str = "slice";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        check_axis(&x, self.axis)?;
        let end = self.start.checked_add(self.len).filter(|&end| end <= x[self.axis] && self.len > 0);
        if end.is_none() {
            let extent = x[self.axis];
            return Err(Error::shape(format!("{} from {} of an axis of {extent}", self.len, self.start)));
        }
        Ok(TensorSpec::f32(x.with(self.axis, self.len)))
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::across(self.axis, ins[0].shape.len())
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let part = ins[0].narrow(self.axis, self.start, self.len);
        let mut call = copy(&part, y)?;
        call.operands[0].offset = part.offset - ins[0].offset;
        Ok(vec![call])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        moved(ins, out)
    }

    fn view(&self, x: &Layout) -> Option<Layout> {
        Some(x.narrow(self.axis, self.start, self.len))
    }
}

impl OpDef for Reshape {
    const NAME: &'static str = "reshape";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        if x.numel() != self.shape.numel() {
            return Err(Error::shape(format!(
                "{x} has {} elements, {} has {}",
                x.numel(),
                self.shape,
                self.shape.numel()
            )));
        }
        Ok(TensorSpec::f32(self.shape))
    }

    fn reach(&self, ins: &[TensorSpec], out: &TensorSpec) -> Reach {
        let tail = |s: &Shape| s.len().checked_sub(2).map(|k| [s[k], s[k + 1]]);
        match (tail(&ins[0].shape), tail(&out.shape)) {
            (Some(a), Some(b)) if a == b => Reach::SAME,
            _ => Reach::Global,
        }
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let x = ins[0].reshaped(self.shape).ok_or_else(|| Error::shape("reshape of a tensor with gaps"))?;
        Ok(vec![copy(&x, y)?])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        moved(ins, out)
    }

    fn view(&self, x: &Layout) -> Option<Layout> {
        x.reshaped(self.shape)
    }
}

impl Permute {
    /// Axis `k` of the output is axis `order[k]` of the input.
    ///
    /// # Errors
    /// `Shape` when `order` does not name every axis once.
    pub fn new(order: &[usize]) -> Result<Self> {
        let rank = order.len();
        if rank > MAX_RANK || (0..rank).any(|axis| !order.contains(&axis)) {
            return Err(Error::shape(format!("{order:?} is no order of {rank} axes (at most {MAX_RANK})")));
        }
        let mut out = [0; MAX_RANK];
        for (to, from) in out.iter_mut().zip(order) {
            *to = *from as u8;
        }
        Ok(Self { order: out, rank: rank as u8 })
    }

    fn order(&self) -> Vec<usize> {
        self.order[..self.rank as usize].iter().map(|&k| k as usize).collect()
    }
}

impl OpDef for Permute {
    const NAME: &'static str = "permute";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        if x.len() != self.rank as usize {
            return Err(Error::shape(format!("an order of {} axes for {x}", self.rank)));
        }
        Ok(TensorSpec::f32(Layout::dense(x).permuted(&self.order()).shape))
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        let rank = ins[0].shape.len();
        let order = self.order();
        if rank >= 2 && order[rank - 2..] == [rank - 2, rank - 1] {
            return Reach::SAME;
        }
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        Ok(vec![copy(&ins[0].permuted(&self.order()), y)?])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        moved(ins, out)
    }
}

/// The fine image (n, c, h·r, w·r) and the coarse one (n, c·r², h, w) as (n, c, h, r, w, r) each.
fn shuffled(fine: &Layout, coarse: &Layout, r: usize) -> Option<(Layout, Layout)> {
    let [n, c, h, w] = image(&fine.shape).ok()?;
    let fine = fine.reshaped(Shape::new(&[n, c, h / r, r, w / r, r]).ok()?)?;
    let coarse = coarse.reshaped(Shape::new(&[n, c, r, r, h / r, w / r]).ok()?)?;
    Some((fine, coarse.permuted(&[0, 1, 4, 2, 5, 3])))
}

fn gaps() -> Error {
    Error::shape("pixel shuffle of an image with gaps")
}

impl OpDef for PixelShuffle {
    const NAME: &'static str = "pixel_shuffle";
    const LIE: Lie = Lie::Batched;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        let ([n, c, h, w], r) = (image(&x)?, self.0);
        if r == 0 || c % (r * r) != 0 {
            return Err(Error::shape(format!("{c} channels shuffled by {r}")));
        }
        super::f32_of(&[n, c / (r * r), h * r, w * r])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Window([AxisReach::finer(self.0); 2])
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let (fine, coarse) = shuffled(y, &ins[0], self.0).ok_or_else(gaps)?;
        Ok(vec![copy(&coarse, &fine)?])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        moved(ins, out)
    }
}

impl OpDef for PixelUnshuffle {
    const NAME: &'static str = "pixel_unshuffle";
    const LIE: Lie = Lie::Batched;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        let ([n, c, h, w], r) = (image(&x)?, self.0);
        if r == 0 || h % r != 0 || w % r != 0 {
            return Err(Error::shape(format!("{h} x {w} pixels are no multiple of {r}")));
        }
        super::f32_of(&[n, c * r * r, h / r, w / r])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Window([AxisReach::coarser(self.0); 2])
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let (fine, coarse) = shuffled(&ins[0], y, self.0).ok_or_else(gaps)?;
        let back = [0, 1, 3, 5, 2, 4];
        Ok(vec![copy(&fine.permuted(&back), &coarse.permuted(&back))?])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        moved(ins, out)
    }
}
