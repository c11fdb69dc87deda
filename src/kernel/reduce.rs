//! Contracts over one axis of a gap-free tensor seen as (outer, n, inner): reductions and softmax.

use bytemuck::{Pod, Zeroable};

use crate::{Error, Result};

/// What a reduction makes of the n values.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReduceMode {
    /// The largest.
    Max = 0,
    /// The value at sorted index (n - 1) / 2, as `torch.median` gives.
    LowerMedian = 1,
    /// The arithmetic mean.
    Mean = 2,
}

/// Parameters of one reduction or softmax.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct AxisParams {
    /// Product of the extents before the axis.
    pub outer: u64,
    /// Extent of the axis.
    pub n: u64,
    /// Product of the extents after the axis.
    pub inner: u64,
    /// A [`ReduceMode`] as its number; 0 for softmax.
    pub mode: u64,
}

impl AxisParams {
    /// The mode, or an error if the number names none.
    pub fn reduce_mode(&self) -> Result<ReduceMode> {
        Ok(match self.mode {
            0 => ReduceMode::Max,
            1 => ReduceMode::LowerMedian,
            2 => ReduceMode::Mean,
            other => return Err(Error::unsupported(format!("reduce: mode {other}, known are 0 to 2"))),
        })
    }
}
