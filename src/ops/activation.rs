//! Activations: functions of one element.

use super::{inputs, Call, Lie, OpDef, Reach};
use crate::kernel::map::{MapOp, MapParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec, MAX_RANK};
use crate::{Error, Result};

/// A function of one element without learned numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x, or slope·x below zero.
    LeakyRelu(f32),
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// x·Φ(x), Φ the normal distribution, by the error function.
    Gelu,
}

/// Applies an [`Activation`] to every element of its input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activate(pub Activation);

impl OpDef for Activate {
    const NAME: &'static str = "activate";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        inputs::<1>(ins).map(|[x]| TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let (op, a) = match self.0 {
            Activation::Relu => (MapOp::Relu, 0.0),
            Activation::LeakyRelu(slope) => (MapOp::LeakyRelu, slope),
            Activation::Sigmoid => (MapOp::Sigmoid, 0.0),
            Activation::Gelu => (MapOp::Gelu, 0.0),
        };
        let params = MapParams::new(op, [a, 0.0], y, &[ins[0].strides()])?;
        Ok(vec![Call::of(Kernel::Map(params), [0])])
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input == 0
    }
}

/// x, or slope·x below zero. Inputs: x, slopes (one, or one per channel on axis 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prelu;

impl OpDef for Prelu {
    const NAME: &'static str = "prelu";
    const LIE: Lie = Lie::Any;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x, slopes] = inputs::<2>(ins)?;
        let n = slopes.numel();
        if slopes.len() != 1 || (n != 1 && x.get(1) != Some(&n)) {
            return Err(Error::shape(format!("{slopes} slopes for {x}: one, or one per channel")));
        }
        Ok(TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::SAME
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let per_channel = ins[1].shape.numel() > 1;
        let slopes = channel_strides(y, if per_channel { ins[1].strides()[0] } else { 0 });
        let inputs = [ins[0].strides(), &slopes[..y.shape.len()]];
        let params = MapParams::new(MapOp::Prelu, [0.0; 2], y, &inputs)?;
        Ok(vec![Call::of(Kernel::Map(params), [0, 1])])
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input == 0
    }
}

/// Strides of a vector that runs along the channels (axis 1, or the only axis) of `y`.
pub(super) fn channel_strides(y: &Layout, stride: usize) -> [usize; MAX_RANK] {
    let mut strides = [0; MAX_RANK];
    strides[1.min(y.shape.len().saturating_sub(1))] = stride;
    strides
}
