//! Contract of the matrix product of a linear layer and of the epilogue fused into its store:
//! `y(m, n) = act(x(m, k) · w(n, k)ᵀ + bias(n)) + r(m, n)`, gap-free. y may be r.

use bytemuck::{Pod, Zeroable};

use crate::{Error, Result};

/// The function applied to a sum and its bias.
#[repr(u64)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatmulActivation {
    /// The identity.
    None = 0,
    /// max(v, 0).
    Relu = 1,
    /// v·Φ(v) by the error function.
    Gelu = 2,
}

/// Parameters of one matrix product.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct MatmulParams {
    /// Rows of x and y.
    pub m: u64,
    /// Columns of y, rows of w.
    pub n: u64,
    /// Columns of x and w: the length of each sum.
    pub k: u64,
    /// 1 if a bias per column of y is added.
    pub has_bias: u64,
    /// A [`MatmulActivation`] as its number.
    pub act: u64,
    /// 1 if a residual is added.
    pub residual: u64,
}

impl MatmulParams {
    /// The activation, or an error if the number names none.
    pub fn activation(&self) -> Result<MatmulActivation> {
        Ok(match self.act {
            0 => MatmulActivation::None,
            1 => MatmulActivation::Relu,
            2 => MatmulActivation::Gelu,
            other => return Err(Error::unsupported(format!("matmul: activation {other}, known are 0 to 2"))),
        })
    }
}
