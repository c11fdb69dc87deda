//! Reductions over one axis.

use super::{check_axis, f32_of, inputs, split_at, Call, Lie, OpDef, Reach};
use crate::kernel::reduce::{AxisParams, ReduceMode};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// Removes an axis by taking the maximum, lower median or mean along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduce {
    /// The axis.
    pub axis: usize,
    /// What is made of its values.
    pub mode: ReduceMode,
}

impl OpDef for Reduce {
    const NAME: &'static str = "reduce";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x] = inputs::<1>(ins)?;
        check_axis(&x, self.axis)?;
        if x[self.axis] == 0 {
            return Err(Error::shape(format!("nothing along axis {} of {x}", self.axis)));
        }
        let rest: Vec<usize> = [&x[..self.axis], &x[self.axis + 1..]].concat();
        f32_of(&rest)
    }

    fn reach(&self, ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::across(self.axis, ins[0].shape.len())
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let [outer, n, inner] = split_at(&ins[0].shape, self.axis);
        let params = AxisParams { outer, n, inner, mode: self.mode as u64 };
        Ok(vec![Call::of(Kernel::Reduce(params), [0])])
    }
}
