//! Addresses a kernel works on, shared by the threads that run its parts.

use super::conv::Kept;
use super::handed_on::AsWords;

/// Most operands of any kernel.
pub(super) const MAX_OPERANDS: usize = 6;

/// Where operands and result of one call begin. Spans are the kernel's; see [`crate::kernel::Kernel`].
///
/// Kernels of this module ask their callers for one thing: operands are readable and the result
/// writable for their spans while the kernel runs, nobody else writes them meanwhile, and the
/// elements of the result are those of no operand, or coincide with an operand's one by one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Args {
    /// First element of each operand.
    pub x: [*const f32; MAX_OPERANDS],
    /// First element of the result.
    pub y: *mut f32,
    /// What calls on the same first operand share.
    pub kept: Kept,
    /// Which tensors are words; the kernel says so beforehand.
    pub as_words: AsWords,
}

// SAFETY: parts of a kernel write disjoint elements; callers keep everybody else away.
unsafe impl Sync for Args {}
// SAFETY: as above.
unsafe impl Send for Args {}
