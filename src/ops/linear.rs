//! A linear layer over the last axis.

use super::{f32_of, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::matmul::MatmulParams;
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// x·wᵀ + b over the last axis. Inputs: x (…, k), w (n, k), then b (n) if there is a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Whether a bias is added.
    pub bias: bool,
}

impl OpDef for Linear {
    const NAME: &'static str = "linear";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let wanted = 2 + usize::from(self.bias);
        let [x, w, rest @ ..] = ins else { return Err(Error::shape("a linear layer takes x and a weight")) };
        if ins.len() != wanted {
            return Err(Error::shape(format!("{} inputs given, {wanted} wanted", ins.len())));
        }
        let (Some(&k), &[n, w_k]) = (x.shape.last(), &*w.shape) else {
            return Err(Error::shape(format!("a weight of {} for {}", w.shape, x.shape)));
        };
        if k != w_k || rest.iter().any(|b| *b.shape != [n]) {
            return Err(Error::shape(format!("a weight of {} for {}, or its bias", w.shape, x.shape)));
        }
        f32_of(&x.shape.with(x.shape.len() - 1, n))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let (n, k) = (ins[1].shape[0] as u64, ins[1].shape[1] as u64);
        let m = y.shape.numel() as u64 / n.max(1);
        let params = MatmulParams { m, n, k, has_bias: u64::from(self.bias) };
        Ok(vec![Call::of(Kernel::Matmul(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        let k = ins[1].shape[1];
        super::pointwise_cost(2 * k as u64, ins, out)
    }
}
