//! Sixteen lanes in AVX-512.

use std::arch::x86_64::*;

use super::Lanes;

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Avx512(pub(super) __m512);

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
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the trait's promise; `to` is aligned.
        unsafe { _mm512_stream_ps(to, self.0) }
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
    unsafe fn dequantise(self, offset: Self, factor: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe {
            let sum = _mm512_sub_epi32(_mm512_castps_si512(self.0), _mm512_castps_si512(offset.0));
            Self(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor.0))
        }
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
    #[inline(always)]
    unsafe fn load_by_four(at: *const f32) -> [Self; 4] {
        // SAFETY: the trait's promise, for 4·N elements.
        unsafe {
            let v: [__m512; 4] = std::array::from_fn(|k| _mm512_loadu_ps(at.add(16 * k)));
            let (low, high) = (by_four(0), by_four(2));
            let a = [_mm512_permutex2var_ps(v[0], low, v[1]), _mm512_permutex2var_ps(v[2], low, v[3])];
            let b = [_mm512_permutex2var_ps(v[0], high, v[1]), _mm512_permutex2var_ps(v[2], high, v[3])];
            [
                Self(_mm512_shuffle_f32x4::<0x44>(a[0], a[1])),
                Self(_mm512_shuffle_f32x4::<0xEE>(a[0], a[1])),
                Self(_mm512_shuffle_f32x4::<0x44>(b[0], b[1])),
                Self(_mm512_shuffle_f32x4::<0xEE>(b[0], b[1])),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store_by_four(v: [Self; 4], at: *mut f32) {
        let v = v.map(|v| v.0);
        // SAFETY: the trait's promise, for 4·N elements.
        unsafe {
            let a = [_mm512_shuffle_f32x4::<0x44>(v[0], v[1]), _mm512_shuffle_f32x4::<0xEE>(v[0], v[1])];
            let b = [_mm512_shuffle_f32x4::<0x44>(v[2], v[3]), _mm512_shuffle_f32x4::<0xEE>(v[2], v[3])];
            let (first, second) = (rejoined(0), rejoined(4));
            for half in 0..2 {
                let one = _mm512_permutex2var_ps(a[half], first, b[half]);
                let two = _mm512_permutex2var_ps(a[half], second, b[half]);
                _mm512_storeu_ps(at.add(32 * half), one);
                _mm512_storeu_ps(at.add(32 * half + 16), two);
            }
        }
    }

    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: a prefetch never faults; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

/// Picks elements k, k + 4, ... of two vectors, then those of k + 1.
#[inline(always)]
unsafe fn by_four(k: i32) -> __m512i {
    let index: [i32; 16] = std::array::from_fn(|i| k + i as i32 / 8 + i as i32 % 8 * 4);
    // SAFETY: the caller's instruction set; the vector is as long as the array.
    unsafe { _mm512_loadu_si512(index.as_ptr().cast()) }
}

/// Picks elements k to k + 3 of the four halves in two vectors, four by four.
#[inline(always)]
unsafe fn rejoined(k: i32) -> __m512i {
    let index: [i32; 16] = std::array::from_fn(|i| i as i32 % 4 * 8 + k + i as i32 / 4);
    // SAFETY: the caller's instruction set; the vector is as long as the array.
    unsafe { _mm512_loadu_si512(index.as_ptr().cast()) }
}
