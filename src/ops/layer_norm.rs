//! Layer norm over the last axis.

use super::{inputs, pointwise_cost, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::norm::LayerNormParams;
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// (x - mean) / sqrt(var + eps)·w + b, mean and biased variance over the last axis. Inputs: x, w, b,
/// then what is added if `residual`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Whether a tensor of x's extents is added to the result.
    pub residual: bool,
}

impl OpDef for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let (vectors, residual) = ins.split_at(ins.len().min(3));
        let [x, w, b] = inputs::<3>(vectors)?;
        if residual.len() != usize::from(self.residual) || residual.iter().any(|r| r.shape != x) {
            return Err(Error::shape(format!("{} tensors added to a layer norm of {x}", residual.len())));
        }
        let n = x.last().copied().unwrap_or(0);
        if n == 0 || *w != [n] || *b != [n] {
            return Err(Error::shape(format!("weight {w} and bias {b} for the last axis of {x}")));
        }
        Ok(TensorSpec::f32(x))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let n = ins[1].shape.numel() as u64;
        let rows = y.shape.numel() as u64 / n.max(1);
        let params = LayerNormParams { rows, n, eps: self.eps, residual: u32::from(self.residual) };
        Ok(vec![Call::of(Kernel::LayerNorm(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(8, ins, out)
    }

    fn may_overwrite(&self, input: usize) -> bool {
        input == 0 || input == 3
    }
}
