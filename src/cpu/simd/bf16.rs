//! Pairs of bf16 in AVX-512: sixteen sums of two products an instruction.

use std::arch::x86_64::*;

use super::{Avx512, Factors};
use crate::cpu::scales::Scales;
use crate::kernel::precision::Precision;

/// Sixteen words of two bf16 each.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Bf16Pairs(__m512bh);

impl Factors for Bf16Pairs {
    type Sums = Avx512;
    const PRECISION: Precision = Precision::Bf16;
    #[inline(always)]
    unsafe fn word(at: *const f32) -> Self {
        // SAFETY: the trait's promise; both vectors are 512 bits of any value.
        unsafe { Self(std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(*at.cast()))) }
    }
    #[inline(always)]
    unsafe fn words(at: *const f32) -> Self {
        // SAFETY: the trait's promise; both vectors are 512 bits of any value.
        unsafe { Self(std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.cast()))) }
    }
    #[inline(always)]
    unsafe fn join([first, second, ..]: [Avx512; 4], _: [[f32; 2]; 4]) -> Self {
        // SAFETY: the trait's promise; vectors of 512 bits of any value.
        unsafe {
            let apart = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second.0, first.0));
            let order: [i16; 32] = std::array::from_fn(|i| (i / 2 + i % 2 * 16) as i16);
            let joined = _mm512_permutexvar_epi16(_mm512_loadu_si512(order.as_ptr().cast()), apart);
            Self(std::mem::transmute::<__m512i, __m512bh>(joined))
        }
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the trait's promise; both vectors are 512 bits of any value.
        unsafe { _mm512_storeu_si512(to.cast(), std::mem::transmute::<__m512bh, __m512i>(self.0)) }
    }
    #[inline(always)]
    unsafe fn round(from: *const f32, to: *mut f32, n: usize, _: &Scales) {
        let whole = n - n % 32;
        // SAFETY: the trait's promise; masked lanes are not touched.
        unsafe {
            for i in (0..whole).step_by(32) {
                let low = _mm512_loadu_ps(from.add(i));
                let high = _mm512_loadu_ps(from.add(i + 16));
                let pairs = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_si512(to.add(i / 2).cast(), pairs);
            }
            let rest = n - whole;
            if rest > 0 {
                let lanes = (1u64 << rest) - 1;
                let low = _mm512_maskz_loadu_ps(lanes as u16, from.wrapping_add(whole));
                let high = _mm512_maskz_loadu_ps((lanes >> 16) as u16, from.wrapping_add(whole + 16));
                let pairs = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                let words = (1u32 << rest.div_ceil(2)) - 1;
                _mm512_mask_storeu_epi32(to.add(whole / 2).cast(), words as u16, pairs);
            }
        }
    }
    #[inline(always)]
    unsafe fn add_products(self, weights: Self, sums: Avx512) -> Avx512 {
        // SAFETY: the trait's promise.
        unsafe { Avx512(_mm512_dpbf16_ps(sums.0, self.0, weights.0)) }
    }
}
