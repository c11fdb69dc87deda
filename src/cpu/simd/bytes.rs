//! Fours of bytes in AVX-512: sixteen sums of four products an instruction, x unsigned and weights signed.
//! Sums are i32 in vectors of f32.

use std::arch::x86_64::*;

use super::{Avx512, Factors};
use crate::cpu::scales::Scales;
use crate::kernel::precision::Precision;

/// Sixteen words of four bytes each.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Bytes(__m512i);

/// Bytes of four vectors, those of a quarter of each vector in a quarter, one vector's behind the other's.
///
/// # Safety
/// The machine has AVX-512 BW.
#[inline(always)]
unsafe fn quantise(numbers: [Avx512; 4], inverse: [__m512; 4], zero: [__m512; 4]) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let whole = |i: usize| {
            let level = _mm512_fmadd_ps(numbers[i].0, inverse[i], zero[i]);
            // Numbers beyond i32 become its least, so the upper bound comes first; the packs saturate at both.
            _mm512_cvtps_epi32(_mm512_min_ps(_mm512_set1_ps(255.0), level))
        };
        let (low, high) = (_mm512_packs_epi32(whole(0), whole(1)), _mm512_packs_epi32(whole(2), whole(3)));
        _mm512_packus_epi16(low, high)
    }
}

impl Factors for Bytes {
    type Sums = Avx512;
    const PRECISION: Precision = Precision::Int8;
    #[inline(always)]
    unsafe fn word(at: *const f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_set1_epi32(*at.cast())) }
    }
    #[inline(always)]
    unsafe fn words(at: *const f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_loadu_si512(at.cast())) }
    }
    #[inline(always)]
    unsafe fn join(numbers: [Avx512; 4], levels: [[f32; 2]; 4]) -> Self {
        // SAFETY: the trait's promise.
        unsafe {
            let [a, b, c, d] = levels;
            let inverse =
                [_mm512_set1_ps(a[0]), _mm512_set1_ps(b[0]), _mm512_set1_ps(c[0]), _mm512_set1_ps(d[0])];
            let zero =
                [_mm512_set1_ps(a[1]), _mm512_set1_ps(b[1]), _mm512_set1_ps(c[1]), _mm512_set1_ps(d[1])];
            let order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let order = _mm512_broadcast_i32x4(order);
            Self(_mm512_shuffle_epi8(quantise(numbers, inverse, zero), order))
        }
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn round(from: *const f32, to: *mut f32, n: usize, scales: &Scales) {
        let (inverse, zero) = (scales.inverse.as_ptr(), scales.zero.as_ptr());
        // SAFETY: the trait's promise, for as many channels of scales; masked lanes are not touched.
        unsafe {
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            for i in (0..n).step_by(64) {
                let left = n - i;
                let lanes = if left < 64 { (1u64 << left) - 1 } else { u64::MAX };
                let at = |from: *const f32, k: usize| {
                    _mm512_maskz_loadu_ps((lanes >> (16 * k)) as u16, from.wrapping_add(i + 16 * k))
                };
                let read = |from: *const f32| [at(from, 0), at(from, 1), at(from, 2), at(from, 3)];
                let [a, b, c, d] = read(from);
                let bytes = quantise([Avx512(a), Avx512(b), Avx512(c), Avx512(d)], read(inverse), read(zero));
                let words = (1u32 << left.div_ceil(4).min(16)) - 1;
                let bytes = _mm512_permutexvar_epi32(order, bytes);
                _mm512_mask_storeu_epi32(to.wrapping_add(i / 4).cast(), words as u16, bytes);
            }
        }
    }
    #[inline(always)]
    unsafe fn add_products(self, weights: Self, sums: Avx512) -> Avx512 {
        // SAFETY: the trait's promise.
        unsafe {
            let sums = _mm512_castps_si512(sums.0);
            Avx512(_mm512_castsi512_ps(_mm512_dpbusd_epi32(sums, self.0, weights.0)))
        }
    }
}
