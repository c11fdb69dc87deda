//! Batch norm by running statistics, and the parts it is folded into.

use super::activation::channel_strides;
use super::{inputs, pointwise_cost, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::map::{MapOp, MapParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, Shape, TensorSpec};
use crate::{Error, Result};

/// (x - mean) / sqrt(var + eps)·weight + bias along the channels. Inputs: x, weight, bias, mean, var.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
}

/// The factor a batch norm amounts to: weight / sqrt(var + eps). Inputs: weight, var.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormScale {
    /// Added to the variance.
    pub eps: f32,
}

/// The bias a batch norm leaves: (b - mean)·factor + bias. Inputs: b, mean, factor, bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormShift;

/// x·factor + shift along one axis. Inputs: x, factor, then shift if `shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affine {
    /// The axis the factors run along.
    pub axis: usize,
    /// Whether a shift is added.
    pub shift: bool,
}

fn vectors(x: &Shape, axis: usize, vectors: &[TensorSpec]) -> Result<TensorSpec> {
    let n = x.get(axis).copied();
    for v in vectors {
        if v.shape.len() != 1 || Some(v.shape[0]) != n {
            return Err(Error::shape(format!("a vector of {} along axis {axis} of {x}", v.shape)));
        }
    }
    Ok(TensorSpec::f32(*x))
}

impl OpDef for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x, ..] = inputs::<5>(ins)?;
        vectors(&x, 1, &ins[1..])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let vector = channel_strides(y, 1);
        let v = &vector[..y.shape.len()];
        let params = MapParams::new(MapOp::Norm, [self.eps, 0.0], y, &[ins[0].strides(), v, v, v, v])?;
        // The map takes mean, variance, weight, bias.
        Ok(vec![Call::of(Kernel::Map(params), [0, 3, 4, 1, 2])])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(4, ins, out)
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input == 0
    }
}

impl OpDef for NormScale {
    const NAME: &'static str = "norm_scale";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [weight, _] = inputs::<2>(ins)?;
        vectors(&weight, 0, ins)
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, _ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let params = MapParams::new(MapOp::NormScale, [self.eps, 0.0], y, &[y.strides(), y.strides()])?;
        Ok(vec![Call::of(Kernel::Map(params), [0, 1])])
    }
}

impl OpDef for NormShift {
    const NAME: &'static str = "norm_shift";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [b, ..] = inputs::<4>(ins)?;
        vectors(&b, 0, ins)
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, _ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let params = MapParams::new(MapOp::NormShift, [0.0; 2], y, &[y.strides(); 4])?;
        Ok(vec![Call::of(Kernel::Map(params), 0..4)])
    }
}

impl OpDef for Affine {
    const NAME: &'static str = "affine";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let wanted = 2 + usize::from(self.shift);
        let Some(x) = ins.first().filter(|_| ins.len() == wanted) else {
            return Err(Error::shape(format!("{} inputs given, {wanted} wanted", ins.len())));
        };
        vectors(&x.shape, self.axis, &ins[1..])
    }

    fn reach(&self, _ins: &[TensorSpec], out: &TensorSpec) -> Reach {
        Reach::across(self.axis, out.shape.len())
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let mut along = [0; crate::tensor::MAX_RANK];
        along[self.axis] = 1;
        let v = &along[..y.shape.len()];
        let (op, strides) = match self.shift {
            true => (MapOp::Affine, vec![ins[0].strides(), v, v]),
            false => (MapOp::Mul, vec![ins[0].strides(), v]),
        };
        let params = MapParams::new(op, [0.0; 2], y, &strides)?;
        Ok(vec![Call::of(Kernel::Map(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(2, ins, out)
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input == 0
    }
}
