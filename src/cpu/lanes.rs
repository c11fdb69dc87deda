//! One vector of f32 on each instruction set, so that a kernel is written once.
//!
//! A kernel generic over [`Lanes`] is `#[inline(always)]` down to these methods and is called from
//! one function per instruction set that carries its `target_feature`; there the methods become
//! single instructions. All of them are unsafe for one reason: the instruction set must be there.

/// A vector of f32.
pub(super) trait Lanes: Copy {
    /// Elements of the vector.
    const N: usize;

    /// All elements `value`.
    ///
    /// # Safety
    /// The instruction set is available.
    unsafe fn splat(value: f32) -> Self;

    /// The elements at `at`, which need not be aligned.
    ///
    /// # Safety
    /// The instruction set is available; `N` elements are readable.
    unsafe fn load(at: *const f32) -> Self;

    /// Writes the elements to `at`, which need not be aligned.
    ///
    /// # Safety
    /// The instruction set is available; `N` elements are writable.
    unsafe fn store(self, at: *mut f32);

    /// self + other.
    ///
    /// # Safety
    /// The instruction set is available.
    unsafe fn add(self, other: Self) -> Self;

    /// self - other.
    ///
    /// # Safety
    /// The instruction set is available.
    unsafe fn sub(self, other: Self) -> Self;

    /// factor · other + self, rounded once; on the portable set twice.
    ///
    /// # Safety
    /// The instruction set is available.
    unsafe fn fma(self, factor: Self, other: Self) -> Self;

    /// Reads 4·N elements; vector k of the result holds elements k, k + 4, k + 8, ...
    ///
    /// # Safety
    /// The instruction set is available; 4·N elements are readable.
    unsafe fn load_by_four(at: *const f32) -> [Self; 4];

    /// Writes 4·N elements, the inverse of [`Lanes::load_by_four`].
    ///
    /// # Safety
    /// The instruction set is available; 4·N elements are writable.
    unsafe fn store_by_four(vectors: [Self; 4], at: *mut f32);

    /// Asks for the cache line of `at`, which may be any address.
    fn prefetch(at: *const f32);
}

/// The vector of plain loops.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; 4]);

impl Lanes for Plain {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { at.cast::<[f32; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[f32; 4]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    unsafe fn fma(self, factor: Self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + factor.0[i] * other.0[i]))
    }

    #[inline(always)]
    unsafe fn load_by_four(at: *const f32) -> [Self; 4] {
        // SAFETY: the caller's promise.
        let rows: [[f32; 4]; 4] = unsafe { at.cast::<[[f32; 4]; 4]>().read() };
        std::array::from_fn(|k| Self(std::array::from_fn(|i| rows[i][k])))
    }

    #[inline(always)]
    unsafe fn store_by_four(vectors: [Self; 4], at: *mut f32) {
        let rows: [[f32; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|k| vectors[k].0[i]));
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[[f32; 4]; 4]>().write(rows) }
    }

    #[inline(always)]
    fn prefetch(_: *const f32) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    // SAFETY of all blocks below: the methods' own conditions.

    impl Lanes for __m512 {
        const N: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(at) }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(at, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_sub_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(factor, other, self) }
        }

        #[inline(always)]
        unsafe fn load_by_four(at: *const f32) -> [Self; 4] {
            // SAFETY: see above.
            unsafe {
                let v: [Self; 4] = std::array::from_fn(|k| _mm512_loadu_ps(at.add(16 * k)));
                let (low, high) = (by_four(0), by_four(2));
                let a = [_mm512_permutex2var_ps(v[0], low, v[1]), _mm512_permutex2var_ps(v[2], low, v[3])];
                let b = [_mm512_permutex2var_ps(v[0], high, v[1]), _mm512_permutex2var_ps(v[2], high, v[3])];
                [
                    _mm512_shuffle_f32x4::<0x44>(a[0], a[1]),
                    _mm512_shuffle_f32x4::<0xEE>(a[0], a[1]),
                    _mm512_shuffle_f32x4::<0x44>(b[0], b[1]),
                    _mm512_shuffle_f32x4::<0xEE>(b[0], b[1]),
                ]
            }
        }

        #[inline(always)]
        unsafe fn store_by_four(v: [Self; 4], at: *mut f32) {
            // SAFETY: see above.
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
        // SAFETY: the vector is as long as the array.
        unsafe { _mm512_loadu_si512(index.as_ptr().cast()) }
    }

    /// Picks elements k to k + 3 of the four halves in two vectors, four by four.
    #[inline(always)]
    unsafe fn rejoined(k: i32) -> __m512i {
        let index: [i32; 16] = std::array::from_fn(|i| i as i32 % 4 * 8 + k + i as i32 / 4);
        // SAFETY: the vector is as long as the array.
        unsafe { _mm512_loadu_si512(index.as_ptr().cast()) }
    }

    impl Lanes for __m256 {
        const N: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(at) }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(at, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_sub_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_fmadd_ps(factor, other, self) }
        }

        #[inline(always)]
        unsafe fn load_by_four(at: *const f32) -> [Self; 4] {
            // SAFETY: see above.
            unsafe {
                transposed(std::array::from_fn(|k| {
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(at.add(4 * k)));
                    _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(at.add(4 * k + 16)))
                }))
            }
        }

        #[inline(always)]
        unsafe fn store_by_four(v: [Self; 4], at: *mut f32) {
            // SAFETY: see above.
            unsafe {
                for (k, row) in transposed(v).into_iter().enumerate() {
                    _mm_storeu_ps(at.add(4 * k), _mm256_castps256_ps128(row));
                    _mm_storeu_ps(at.add(4 * k + 16), _mm256_extractf128_ps::<1>(row));
                }
            }
        }

        #[inline(always)]
        fn prefetch(at: *const f32) {
            // SAFETY: a prefetch never faults; SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    }

    /// The 4x4 blocks in the lower and in the upper halves, each transposed.
    #[inline(always)]
    unsafe fn transposed(r: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: see above.
        unsafe {
            let a = [_mm256_unpacklo_ps(r[0], r[1]), _mm256_unpackhi_ps(r[0], r[1])];
            let b = [_mm256_unpacklo_ps(r[2], r[3]), _mm256_unpackhi_ps(r[2], r[3])];
            [
                _mm256_shuffle_ps::<0x44>(a[0], b[0]),
                _mm256_shuffle_ps::<0xEE>(a[0], b[0]),
                _mm256_shuffle_ps::<0x44>(a[1], b[1]),
                _mm256_shuffle_ps::<0xEE>(a[1], b[1]),
            ]
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Lanes;
    use std::arch::aarch64::*;

    // SAFETY of all blocks below: the methods' own conditions; NEON is part of aarch64.

    impl Lanes for float32x4_t {
        const N: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: see above.
            unsafe { vdupq_n_f32(value) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { vld1q_f32(at) }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: see above.
            unsafe { vst1q_f32(at, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { vaddq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { vsubq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { vfmaq_f32(self, factor, other) }
        }

        #[inline(always)]
        unsafe fn load_by_four(at: *const f32) -> [Self; 4] {
            // SAFETY: see above.
            let v = unsafe { vld4q_f32(at) };
            [v.0, v.1, v.2, v.3]
        }

        #[inline(always)]
        unsafe fn store_by_four(v: [Self; 4], at: *mut f32) {
            // SAFETY: see above.
            unsafe { vst4q_f32(at, float32x4x4_t(v[0], v[1], v[2], v[3])) }
        }

        #[inline(always)]
        fn prefetch(_: *const f32) {}
    }
}
