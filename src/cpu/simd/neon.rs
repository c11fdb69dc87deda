//! Four lanes in NEON.

use std::arch::aarch64::*;

use super::Lanes;

/// Four lanes.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Neon(float32x4_t);

impl Lanes for Neon {
    const N: usize = 4;
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vdupq_n_f32(v)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vld1q_f32(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { vst1q_f32(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vaddq_f32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vsubq_f32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vmulq_f32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vmaxq_f32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vminq_f32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vfmaq_f32(term.0, self.0, factor.0)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vrndnq_f32(self.0)) }
    }
    #[inline(always)]
    unsafe fn exp2_whole(self) -> Self {
        // SAFETY: the trait's promise.
        unsafe {
            Self(vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(
                vcvtnq_s32_f32(self.0),
                vdupq_n_s32(127),
            ))))
        }
    }
    #[inline(always)]
    unsafe fn if_below(self, bound: Self, yes: Self, no: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(vbslq_f32(vcltq_f32(self.0, bound.0), yes.0, no.0)) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the trait's promise.
        unsafe { vaddvq_f32(self.0) }
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        // SAFETY: the trait's promise.
        unsafe { vmaxvq_f32(self.0) }
    }
    #[inline(always)]
    unsafe fn load_by_four(from: *const f32) -> [Self; 4] {
        // SAFETY: the trait's promise, for 4·N elements.
        let v = unsafe { vld4q_f32(from) };
        [Self(v.0), Self(v.1), Self(v.2), Self(v.3)]
    }
    #[inline(always)]
    unsafe fn store_by_four(v: [Self; 4], to: *mut f32) {
        // SAFETY: the trait's promise, for 4·N elements.
        unsafe { vst4q_f32(to, float32x4x4_t(v[0].0, v[1].0, v[2].0, v[3].0)) }
    }
}
