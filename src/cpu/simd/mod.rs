//! One vector of f32 under one name on every instruction set, so that a kernel is written once.
//!
//! A kernel is a generic function over [`Lanes`]; [`per_isa`] compiles it for each instruction set.
//! The scalar `f32` is a vector of one lane, for the ends of rows.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "x86_64")]
mod bytes;
mod curves;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(super) use bf16::Bf16Pairs;
#[cfg(target_arch = "x86_64")]
pub(super) use bytes::Bytes;
pub(super) use curves::{exp, gelu, gelu_for_rounding};
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;
pub(super) use portable::{Portable, PortableBytes};

use super::scales::Scales;
use crate::kernel::precision::Precision;

/// Most lanes a vector has.
pub(super) const MOST: usize = 16;

/// Most numbers a word holds.
pub(super) const MOST_PER_WORD: usize = 4;

/// A vector of f32. Every method but `load` and `store` only asks that the instruction set is there.
///
/// # Safety
/// Callers of the methods run on a machine with the instruction set; pointers are readable or
/// writable for `N` elements.
#[allow(clippy::missing_safety_doc, reason = "one promise for all methods, stated above")]
pub(super) trait Lanes: Copy {
    /// Lanes.
    const N: usize;
    unsafe fn splat(v: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// As `store`, past the caches where the processor can, to the alignment of a vector. Other threads
    /// may read what was written after [`settle`].
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { self.store(to) }
    }
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// self·factor + term.
    unsafe fn fma(self, factor: Self, term: Self) -> Self;
    /// To the nearest whole number, halves to even.
    unsafe fn round(self) -> Self;
    /// Two to whole numbers from -126 to 127.
    unsafe fn exp2_whole(self) -> Self;
    /// `yes` where self is below `bound`, else `no`.
    unsafe fn if_below(self, bound: Self, yes: Self, no: Self) -> Self;
    /// The sum of all lanes.
    unsafe fn sum(self) -> f32;
    /// The largest lane.
    unsafe fn largest(self) -> f32;
    /// Reads 4·N elements; vector k of the result holds elements k, k + 4, k + 8, …
    #[inline(always)]
    unsafe fn load_by_four(from: *const f32) -> [Self; 4] {
        let mut rows = [[0.0f32; MOST]; 4];
        for i in 0..4 * Self::N {
            // SAFETY: the trait's promise, for 4·N elements.
            rows[i % 4][i / 4] = unsafe { *from.add(i) };
        }
        // SAFETY: a row has at least N elements.
        rows.map(|row| unsafe { Self::load(row.as_ptr()) })
    }
    /// Writes 4·N elements, the inverse of [`Lanes::load_by_four`].
    #[inline(always)]
    unsafe fn store_by_four(vectors: [Self; 4], to: *mut f32) {
        let mut rows = [[0.0f32; MOST]; 4];
        for (row, v) in rows.iter_mut().zip(vectors) {
            // SAFETY: a row has at least N elements.
            unsafe { v.store(row.as_mut_ptr()) };
        }
        for i in 0..4 * Self::N {
            // SAFETY: the trait's promise, for 4·N elements.
            unsafe { *to.add(i) = rows[i % 4][i / 4] };
        }
    }
    /// Numbers that whole sums stand for: (self - offset)·factor, self and offset the bits of i32.
    #[inline(always)]
    unsafe fn dequantise(self, offset: Self, factor: Self) -> Self {
        let mut rows = [[0.0f32; MOST]; 3];
        for (row, v) in rows.iter_mut().zip([self, offset, factor]) {
            // SAFETY: a row has at least N elements.
            unsafe { v.store(row.as_mut_ptr()) };
        }
        let numbers: [f32; MOST] = std::array::from_fn(|i| dequantise(rows[0][i], rows[1][i], rows[2][i]));
        // SAFETY: as above.
        unsafe { Self::load(numbers.as_ptr()) }
    }
    /// Asks for the cache line of `at`, which may be any address.
    #[inline(always)]
    fn prefetch(_at: *const f32) {}
    /// Writes a square of `N` rows and columns with rows and columns exchanged. Rows of either side are
    /// a stride apart.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..Self::N {
            for column in 0..Self::N {
                // SAFETY: the trait's promise, for N rows of N elements on both sides.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
            }
        }
    }
}

/// A vector of factors of products: 32-bit words of one number, or of several that are neighbours in
/// the sum, under one name whatever they are rounded to. Pointers are to such words.
///
/// # Safety
/// As [`Lanes`].
#[allow(clippy::missing_safety_doc, reason = "one promise for all methods, stated above")]
pub(super) trait Factors: Copy {
    /// A sum per word.
    type Sums: Lanes;
    /// What the numbers are rounded to.
    const PRECISION: Precision;
    /// The same word in all lanes.
    unsafe fn word(at: *const f32) -> Self;
    /// A word per lane.
    unsafe fn words(at: *const f32) -> Self;
    /// Words of the numbers in the lanes of as many vectors as a word holds numbers; where they are bytes, on
    /// `levels`, the inverse and the zero of each vector.
    unsafe fn join(numbers: [Self::Sums; MOST_PER_WORD], levels: [[f32; 2]; MOST_PER_WORD]) -> Self;
    /// Writes a word per lane.
    unsafe fn write(self, to: *mut f32);
    /// Makes words of `n` numbers, as many as are neighbours in a word, the last filled up with any where they are
    /// bytes, on the levels of `scales`, else with zeros. `to` may be `from`.
    unsafe fn round(from: *const f32, to: *mut f32, n: usize, scales: &Scales);
    /// sums + the products of the numbers of words of x and of `weights`. Sums of bytes are the bits of i32.
    unsafe fn add_products(self, weights: Self, sums: Self::Sums) -> Self::Sums;
}

impl<L: Lanes> Factors for L {
    type Sums = L;
    const PRECISION: Precision = Precision::F32;
    #[inline(always)]
    unsafe fn word(at: *const f32) -> L {
        // SAFETY: the trait's promise.
        unsafe { L::splat(*at) }
    }
    #[inline(always)]
    unsafe fn words(at: *const f32) -> L {
        // SAFETY: the trait's promise.
        unsafe { L::load(at) }
    }
    #[inline(always)]
    unsafe fn join(numbers: [L; MOST_PER_WORD], _: [[f32; 2]; MOST_PER_WORD]) -> L {
        numbers[0]
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { self.store(to) }
    }
    #[inline(always)]
    unsafe fn round(from: *const f32, to: *mut f32, n: usize, _: &Scales) {
        let whole = n - n % L::N;
        // SAFETY: the trait's promise.
        unsafe {
            for i in (0..whole).step_by(L::N) {
                L::load(from.add(i)).store(to.add(i));
            }
            for i in whole..n {
                *to.add(i) = *from.add(i);
            }
        }
    }
    #[inline(always)]
    unsafe fn add_products(self, weights: L, sums: L) -> L {
        // SAFETY: the trait's promise.
        unsafe { self.fma(weights, sums) }
    }
}

impl Lanes for f32 {
    const N: usize = 1;
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        v
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { *to = self }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        if self > other {
            self
        } else {
            other
        }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        if self < other {
            self
        } else {
            other
        }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        self * factor + term
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        self.round_ties_even()
    }
    #[inline(always)]
    unsafe fn exp2_whole(self) -> Self {
        f32::from_bits(((self as i32 + 127) as u32) << 23)
    }
    #[inline(always)]
    unsafe fn if_below(self, bound: Self, yes: Self, no: Self) -> Self {
        if self < bound {
            yes
        } else {
            no
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self
    }
    #[inline(always)]
    unsafe fn dequantise(self, offset: Self, factor: Self) -> Self {
        dequantise(self, offset, factor)
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        self
    }
}

/// [`Lanes::dequantise`] of one sum.
#[inline(always)]
fn dequantise(sum: f32, offset: f32, factor: f32) -> f32 {
    let [sum, offset] = [sum, offset].map(|v| v.to_bits().cast_signed());
    sum.wrapping_sub(offset) as f32 * factor
}

/// Ends what this thread wrote by [`Lanes::stream`].
pub(super) fn settle() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Defines a function that runs a generic body with the lanes of the instruction set given first.
macro_rules! per_isa {
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        $vis unsafe fn $name(isa: $crate::cpu::isa::Isa, $($arg: $ty),*) {
            use $crate::cpu::isa::Isa;
            use $crate::cpu::simd;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: as the outer function's.
                unsafe { $body::<simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) {
                // SAFETY: as the outer function's.
                unsafe { $body::<simd::Avx2>($($arg),*) }
            }
            // SAFETY: as this function's; `Isa` is only made of what the machine has.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => $body::<simd::Neon>($($arg),*),
                    _ => $body::<simd::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(super) use per_isa;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa::Isa;

    #[inline(always)]
    unsafe fn square<L: Lanes>(from: &[f32], to: &mut [f32]) {
        // SAFETY: the test's slices hold 16 rows of 20 elements.
        unsafe { L::transpose(from.as_ptr(), 20, to.as_mut_ptr(), 20) };
    }

    per_isa!(unsafe fn run_square = square(from: &[f32], to: &mut [f32]));

    #[test]
    fn squares_are_transposed_on_every_instruction_set() {
        let from: Vec<f32> = (0..320).map(|i| i as f32).collect();
        for (isa, n) in [(Isa::Avx512, 16), (Isa::Avx2, 8), (Isa::Neon, 4), (Isa::Portable, 4)] {
            if isa.is_available() {
                let mut to = vec![0.0; 320];
                // SAFETY: the instruction set is there, the slices are long enough.
                unsafe { run_square(isa, &from, &mut to) };
                for (row, column) in (0..n).flat_map(|row| (0..n).map(move |column| (row, column))) {
                    assert_eq!(to[column * 20 + row], from[row * 20 + column], "{isa:?} {row} {column}");
                }
            }
        }
    }
}
