//! Softmax over one axis.

use super::{check_axis, inputs, pointwise_cost, split_at, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::reduce::AxisParams;
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::Result;

/// exp(x - max) / Σ exp(x - max) along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The axis.
    pub axis: usize,
}

impl OpDef for Softmax {
    const NAME: &'static str = "softmax";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        check_axis(&x, self.axis)?;
        Ok(TensorSpec::f32(x))
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::across(self.axis, ins[0].shape.len())
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let [outer, n, inner] = split_at(&ins[0].shape, self.axis);
        Ok(vec![Call::of(Kernel::Softmax(AxisParams { outer, n, inner, mode: 0 }), [0])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(4, ins, out)
    }
}
