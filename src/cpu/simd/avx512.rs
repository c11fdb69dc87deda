//! Sixteen lanes in AVX-512.

use std::arch::x86_64::*;

use super::Lanes;

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Avx512(__m512);

impl Lanes for Avx512 {
    const N: usize = 16;
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_set1_ps(v)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_min_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, term.0)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_roundscale_ps::<0>(self.0)) }
    }
    #[inline(always)]
    unsafe fn exp2_whole(self) -> Self {
        // SAFETY: the trait's promise.
        unsafe {
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
                _mm512_cvtps_epi32(self.0),
                _mm512_set1_epi32(127),
            ))))
        }
    }
    #[inline(always)]
    unsafe fn if_below(self, bound: Self, yes: Self, no: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, bound.0), no.0, yes.0)) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the trait's promise.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        // SAFETY: the trait's promise.
        unsafe { _mm512_reduce_max_ps(self.0) }
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the trait's promise.
        unsafe {
            // Four rows of one quarter each, then squares of four within the quarters, quarter by quarter.
            for quarter in 0..4 {
                let at = |row: usize| _mm_loadu_ps(from.add(row * from_stride + 4 * quarter));
                let four = |row: usize| {
                    let low = _mm512_insertf32x4::<1>(_mm512_castps128_ps512(at(row)), at(row + 4));
                    _mm512_insertf32x4::<3>(_mm512_insertf32x4::<2>(low, at(row + 8)), at(row + 12))
                };
                let rows = [four(0), four(1), four(2), four(3)];
                let low = [_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpacklo_ps(rows[2], rows[3])];
                let high = [_mm512_unpackhi_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[2], rows[3])];
                let columns = [
                    _mm512_shuffle_ps::<0x44>(low[0], low[1]),
                    _mm512_shuffle_ps::<0xee>(low[0], low[1]),
                    _mm512_shuffle_ps::<0x44>(high[0], high[1]),
                    _mm512_shuffle_ps::<0xee>(high[0], high[1]),
                ];
                for (k, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * quarter + k) * to_stride), column);
                }
            }
        }
    }
}
