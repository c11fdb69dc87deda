//! Sums and products of tensors of one shape, and the bias along channels.

use super::activation::channel_strides;
use super::{inputs, pointwise_cost, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::map::{MapOp, MapParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// alpha·x0 + beta·x1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Add {
    /// Factor of the first input.
    pub alpha: f32,
    /// Factor of the second input.
    pub beta: f32,
}

/// x0·x1, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mul;

/// The larger of x0 and x1, element by element; a NaN where either is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maximum;

/// A factor for every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale(pub f32);

/// x + b along the channels (axis 1). Inputs: x, b.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bias;

fn alike(ins: &[TensorSpec]) -> Result<TensorSpec> {
    let [a, b] = inputs::<2>(ins)?;
    if a != b {
        return Err(Error::shape(format!("{a} and {b} differ")));
    }
    Ok(TensorSpec::f32(a))
}

fn map_two(op: MapOp, numbers: [f32; 2], ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
    let params = MapParams::new(op, numbers, y, &[ins[0].strides(), ins[1].strides()])?;
    Ok(vec![Call::of(Kernel::Map(params), [0, 1])])
}

impl OpDef for Add {
    const NAME: &'static str = "add";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        alike(ins)
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        map_two(MapOp::Add, [self.alpha, self.beta], ins, y)
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(3, ins, out)
    }

    fn may_overwrite(&self, _input: usize) -> bool {
        true
    }
}

/// Operators of two values of the same extents, element by element, without attributes.
macro_rules! pairwise {
    ($($op:ident $name:literal $map:expr),*) => {$(
        impl OpDef for $op {
            const NAME: &'static str = $name;
            const LIE: Lie = Lie::Any;

            fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
                alike(ins)
            }

            fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
                Reach::SAME
            }

            fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
                map_two($map, [0.0; 2], ins, y)
            }

            fn may_overwrite(&self, _input: usize) -> bool {
                true
            }
        }
    )*};
}

pairwise!(Mul "mul" MapOp::Mul, Maximum "maximum" MapOp::Max);

impl OpDef for Scale {
    const NAME: &'static str = "scale";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        inputs::<1>(ins).map(|[x]| TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let params = MapParams::new(MapOp::Scale, [self.0, 0.0], y, &[ins[0].strides()])?;
        Ok(vec![Call::of(Kernel::Map(params), [0])])
    }

    fn may_overwrite(&self, _input: usize) -> bool {
        true
    }
}

impl OpDef for Bias {
    const NAME: &'static str = "bias";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x, b] = inputs::<2>(ins)?;
        if b.len() != 1 || x.get(1) != Some(&b[0]) {
            return Err(Error::shape(format!("a bias of {b} for the channels of {x}")));
        }
        Ok(TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let bias = channel_strides(y, ins[1].strides()[0]);
        let params = MapParams::new(MapOp::Add, [1.0, 1.0], y, &[ins[0].strides(), &bias[..y.shape.len()]])?;
        Ok(vec![Call::of(Kernel::Map(params), [0, 1])])
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input == 0
    }
}
