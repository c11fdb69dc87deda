//! A linear layer over the last axis with an epilogue that passes may fill.

use super::{f32_of, Activation, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::matmul::{MatmulActivation, MatmulParams};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// act(x·wᵀ + b) + r over the last axis. Inputs: x (…, k), w (n, k), then b (n) if there is a bias and
/// r (…, n) if there is a residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// Whether a bias is added.
    pub bias: bool,
    /// The activation; one that [`Linear::takes`].
    pub act: Option<Activation>,
    /// Whether a residual is added.
    pub residual: bool,
}

impl Linear {
    /// Whether the epilogue knows an activation.
    pub fn takes(act: Activation) -> bool {
        matches!(act, Activation::Relu | Activation::Gelu)
    }

    fn inputs(&self) -> usize {
        2 + usize::from(self.bias) + usize::from(self.residual)
    }
}

impl OpDef for Linear {
    const NAME: &'static str = "linear";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [x, w, rest @ ..] = ins else { return Err(Error::shape("a linear layer takes x and a weight")) };
        if ins.len() != self.inputs() {
            return Err(Error::shape(format!("{} inputs given, {} wanted", ins.len(), self.inputs())));
        }
        let (Some(&k), &[n, w_k]) = (x.shape.last(), &*w.shape) else {
            return Err(Error::shape(format!("a weight of {} for {}", w.shape, x.shape)));
        };
        let y = x.shape.with(x.shape.len() - 1, n);
        let (bias, residual) = rest.split_at(usize::from(self.bias));
        if k != w_k || bias.iter().any(|b| *b.shape != [n]) || residual.iter().any(|r| r.shape != y) {
            return Err(Error::shape(format!(
                "a weight of {} for {}, or its bias or residual",
                w.shape, x.shape
            )));
        }
        f32_of(&y)
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let (n, k) = (ins[1].shape[0] as u64, ins[1].shape[1] as u64);
        let act = match self.act {
            None => MatmulActivation::None,
            Some(Activation::Relu) => MatmulActivation::Relu,
            Some(Activation::Gelu) => MatmulActivation::Gelu,
            Some(other) => return Err(Error::unsupported(format!("{other:?} fused into a linear layer"))),
        };
        let params = MatmulParams {
            m: y.shape.numel() as u64 / n.max(1),
            n,
            k,
            has_bias: u64::from(self.bias),
            act: act as u64,
            residual: u64::from(self.residual),
        };
        Ok(vec![Call::of(Kernel::Matmul(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        let k = ins[1].shape[1];
        super::pointwise_cost(2 * k as u64, ins, out)
    }

    fn may_overwrite(&self, input: usize) -> bool {
        self.residual && input + 1 == self.inputs()
    }
}
