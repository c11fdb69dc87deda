//! Joining along an axis, and padding an axis with zeros.

use super::view::copy;
use super::{check_axis, inputs, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::map::{MapOp, MapParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// The inputs one after the other along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

/// Zeros before and after the indices of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PadAxis {
    /// The axis.
    pub axis: usize,
    /// Zeros before.
    pub before: usize,
    /// Zeros after.
    pub after: usize,
}

impl OpDef for Concat {
    const NAME: &'static str = "concat";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let Some(first) = ins.first() else { return Err(Error::shape("nothing to join")) };
        check_axis(&first.shape, self.axis)?;
        let mut total = 0usize;
        for x in ins {
            if x.shape.len() != first.shape.len()
                || x.shape.with(self.axis, 1) != first.shape.with(self.axis, 1)
            {
                return Err(Error::shape(format!(
                    "{} and {} joined along axis {}",
                    first.shape, x.shape, self.axis
                )));
            }
            total = total.saturating_add(x.shape[self.axis]);
        }
        super::f32_of(&first.shape.with(self.axis, total))
    }

    fn reach(&self, _ins: &[TensorSpec], out: &TensorSpec) -> Reach {
        Reach::across(self.axis, out.shape.len())
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let mut start = 0;
        let mut calls = Vec::with_capacity(ins.len());
        for (k, x) in ins.iter().enumerate() {
            let part = y.narrow(self.axis, start, x.shape[self.axis]);
            let mut call = copy(x, &part)?;
            call.operands[0].input = k;
            call.y_offset = part.offset - y.offset;
            calls.push(call);
            start += x.shape[self.axis];
        }
        Ok(calls)
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        super::pointwise_cost(0, ins, out)
    }
}

impl OpDef for PadAxis {
    const NAME: &'static str = "pad_axis";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        check_axis(&x, self.axis)?;
        let extent = x[self.axis].saturating_add(self.before).saturating_add(self.after);
        super::f32_of(&x.with(self.axis, extent))
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::across(self.axis, ins[0].shape.len())
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let extent = ins[0].shape[self.axis];
        let fill = |start: usize, len: usize| -> Result<Call> {
            let part = y.narrow(self.axis, start, len);
            let mut call = Call::of(Kernel::Map(MapParams::new(MapOp::Fill, [0.0; 2], &part, &[])?), []);
            call.y_offset = part.offset - y.offset;
            Ok(call)
        };
        let middle = y.narrow(self.axis, self.before, extent);
        let mut calls = vec![copy(&ins[0], &middle)?];
        calls[0].y_offset = middle.offset - y.offset;
        if self.before > 0 {
            calls.push(fill(0, self.before)?);
        }
        if self.after > 0 {
            calls.push(fill(self.before + extent, self.after)?);
        }
        Ok(calls)
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        super::pointwise_cost(0, ins, out)
    }
}
