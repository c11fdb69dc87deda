//! Contract of layer norm over rows, with an optional residual added to its result.
//!
//! `y = (x - mean) / sqrt(var + eps) * w + b + r`, mean and biased variance of each row of x; x, r
//! and y gap-free. y may be x or r.

use bytemuck::{Pod, Zeroable};

/// Parameters of one layer norm.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct LayerNormParams {
    /// Rows.
    pub rows: u64,
    /// Elements of a row.
    pub n: u64,
    /// Added to the variance.
    pub eps: f32,
    /// 1 if a residual is added.
    pub residual: u32,
}
