//! Contract of the matrix product of a linear layer: y(m, n) = x(m, k) · w(n, k)ᵀ + bias(n), gap-free.

use bytemuck::{Pod, Zeroable};

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
}
