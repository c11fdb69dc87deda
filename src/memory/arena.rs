//! One aligned block of f32 elements that kernels share by offsets.

use std::alloc::{alloc, dealloc, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

/// Bytes an arena's start is aligned to.
const ALIGNMENT: usize = 256;
/// Bytes of a huge page. Arenas of at least two start at one.
const HUGE: usize = 2 << 20;
/// Elements one part of [`Arena::touched_by`] zeroes.
const PART: usize = HUGE / std::mem::size_of::<f32>();

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
        Self::touched_by(len, |parts, zero| (0..parts).for_each(zero))
    }

    /// As [`Arena::new`], zeroed by numbered parts that `run` calls on the threads that will use the
    /// block: systems place memory near the thread that touches it first.
    ///
    /// # Errors
    /// As [`Arena::new`].
    pub fn touched_by(len: usize, run: impl FnOnce(usize, &(dyn Fn(usize) + Sync))) -> Result<Self> {
        let arena = Self::uninitialised(len)?;
        let zeroed: Vec<AtomicBool> = (0..len.div_ceil(PART)).map(|_| AtomicBool::new(false)).collect();
        let zero = |part: usize| {
            if zeroed.get(part).is_some_and(|done| !done.swap(true, Ordering::Relaxed)) {
                let start = part * PART;
                // SAFETY: the part lies in the block, and nobody else writes it.
                unsafe { arena.as_ptr().add(start).write_bytes(0, PART.min(len - start)) };
            }
        };
        run(zeroed.len(), &zero);
        (0..zeroed.len()).for_each(zero);
        Ok(arena)
    }

    fn uninitialised(len: usize) -> Result<Self> {
        let refused =
            || Error::limit(format!("{len} f32 elements of memory cannot be had; try a smaller --tile"));
        if len == 0 {
            return Ok(Self { start: NonNull::dangling(), len });
        }
        let layout = Self::layout(len).ok_or_else(refused)?;
        // SAFETY: the layout has a size of at least one element.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start.cast::<f32>()).ok_or_else(refused)?;
        if layout.align() == HUGE {
            prefer_huge_pages(start, layout.size());
        }
        Ok(Self { start, len })
    }

    fn layout(len: usize) -> Option<Layout> {
        let size = len.checked_mul(std::mem::size_of::<f32>())?;
        Layout::from_size_align(size, if size < 2 * HUGE { ALIGNMENT } else { HUGE }).ok()
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

    /// Gives the first bytes' memory back to the system, where it can be, until it is touched again; the elements are
    /// void, but numbers.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    pub fn let_go(&mut self, bytes: usize) {
        #[cfg(target_os = "linux")]
        if self.len * std::mem::size_of::<f32>() >= 2 * HUGE {
            let size = bytes.min(self.len * std::mem::size_of::<f32>()) / HUGE * HUGE;
            // SAFETY: whole pages of our own block, which starts at one; they read as zeros from now on.
            unsafe { libc::madvise(self.start.as_ptr().cast(), size, libc::MADV_DONTNEED) };
        }
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

/// Asks the system to back a block that starts at a huge page by such pages: kernels walk many planes
/// at a time, one small page each.
#[cfg(target_os = "linux")]
fn prefer_huge_pages(start: NonNull<f32>, size: usize) {
    // SAFETY: the range of whole pages lies in a block of ours. The advice does not change what memory
    // holds, and a system that does not take it is as good as one that was not asked.
    unsafe { libc::madvise(start.as_ptr().cast(), size / HUGE * HUGE, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages(_: NonNull<f32>, _: usize) {}

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

    #[test]
    fn large_blocks_start_at_a_huge_page_and_are_zero_whoever_touches_them() {
        let len = 3 * PART + 5;
        // A caller that leaves parts out, calls some twice and some that are not there.
        let mut arena =
            Arena::touched_by(len, |parts, zero| [1, 1, parts, 0].into_iter().for_each(zero)).unwrap();
        assert_eq!(arena.as_ptr() as usize % HUGE, 0);
        assert!(arena.as_mut_slice().iter().all(|v| *v == 0.0));
    }

    #[test]
    fn what_was_let_go_reads_as_zero_and_the_rest_stays() {
        let elements = 3 * PART + 100;
        let mut arena = Arena::new(elements).unwrap();
        arena.as_mut_slice().fill(1.0);
        arena.let_go(PART * 4 + 8);
        let all = arena.as_mut_slice();
        assert!(all[PART..].iter().all(|v| *v == 1.0));
        let gone = all[..PART].iter().filter(|v| **v == 0.0).count();
        assert_eq!(gone, if cfg!(target_os = "linux") { PART } else { 0 });
        all.fill(2.0);
        arena.let_go(usize::MAX);
        assert!(arena.as_mut_slice()[elements - 1] == 2.0 && arena.as_mut_slice()[0] != 1.0);
    }
}
