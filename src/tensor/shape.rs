//! Inline, copyable tensor extents of rank up to six.

use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// Largest rank of a tensor.
pub const MAX_RANK: usize = 6;

/// Extents of a tensor, outermost first. Dereferences to a slice.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// A single element without axes.
    pub const SCALAR: Self = Self { dims: [1; MAX_RANK], rank: 0 };

    /// The given extents.
    ///
    /// # Errors
    /// `Limit` when the rank is over [`MAX_RANK`] or the number of elements overflows.
    pub fn new(dims: &[usize]) -> Result<Self> {
        if dims.len() > MAX_RANK {
            return Err(Error::limit(format!("a tensor of rank {} (at most {MAX_RANK})", dims.len())));
        }
        let mut numel = 1usize;
        for &d in dims {
            numel = numel
                .checked_mul(d)
                .filter(|n| *n <= isize::MAX as usize / 8)
                .ok_or_else(|| Error::limit(format!("a tensor of shape {dims:?} has too many elements")))?;
        }
        let mut out = [1; MAX_RANK];
        out[..dims.len()].copy_from_slice(dims);
        Ok(Self { dims: out, rank: dims.len() as u8 })
    }

    /// The same extents but for one axis, which must exist.
    #[must_use]
    pub fn with(mut self, axis: usize, extent: usize) -> Self {
        self.dims[axis] = extent;
        self
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.iter().product()
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { "x" })?;
        }
        Ok(())
    }
}
