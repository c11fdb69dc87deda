//! One aligned block of f32 elements that kernels share by offsets.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ptr::NonNull;

use crate::{Error, Result};

/// Bytes an arena's start is aligned to.
const ALIGNMENT: usize = 256;

/// A block of f32 elements, zero at first. Kernels work on parts of it through pointers, because
/// operands of one call may interleave; who runs them keeps parts that are written apart.
#[derive(Debug)]
pub struct Arena {
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: the block is owned; shared access only hands out its address.
unsafe impl Send for Arena {}
// SAFETY: as above; reading elements through `&Arena` needs `as_slice`, which is unsafe to call.
unsafe impl Sync for Arena {}

impl Arena {
    /// A block of `len` elements.
    ///
    /// # Errors
    /// `Limit` when the system has no such block.
    pub fn new(len: usize) -> Result<Self> {
        let refused =
            || Error::limit(format!("{len} f32 elements of memory cannot be had; try a smaller --tile"));
        if len == 0 {
            return Ok(Self { start: NonNull::dangling(), len });
        }
        let layout = Self::layout(len).ok_or_else(refused)?;
        // SAFETY: the layout has a size of at least one element.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start.cast::<f32>()).ok_or_else(refused)?;
        Ok(Self { start, len })
    }

    fn layout(len: usize) -> Option<Layout> {
        Layout::from_size_align(len.checked_mul(std::mem::size_of::<f32>())?, ALIGNMENT).ok()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address of the first element.
    pub fn as_ptr(&self) -> *mut f32 {
        self.start.as_ptr()
    }

    /// All elements.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: the block holds `len` initialised elements and `&mut self` makes access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// All elements.
    ///
    /// # Safety
    /// Nobody writes them through [`Arena::as_ptr`] while the slice lives.
    pub unsafe fn as_slice(&self) -> &[f32] {
        // SAFETY: the block holds `len` initialised elements; the caller keeps writers away.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len).filter(|_| self.len > 0) {
            // SAFETY: allocated by `new` with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_zero() {
        let mut arena = Arena::new(1000).unwrap();
        assert_eq!(arena.as_ptr() as usize % ALIGNMENT, 0);
        assert!(arena.as_mut_slice().iter().all(|v| *v == 0.0));
        assert!(Arena::new(0).unwrap().is_empty());
        assert!(Arena::new(usize::MAX / 4).is_err());
    }
}
