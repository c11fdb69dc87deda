//! Four lanes in plain loops, for the compiler to vectorise as it can.

use super::{Factors, Lanes};
use crate::cpu::scales::Scales;
use crate::kernel::levels::byte;
use crate::kernel::precision::Precision;

/// Four lanes.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    const N: usize = 4;
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self([v; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's promise.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.each(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.each(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + term.0[i]))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    unsafe fn exp2_whole(self) -> Self {
        Self(self.0.map(|v| f32::from_bits(((v as i32 + 127) as u32) << 23)))
    }
    #[inline(always)]
    unsafe fn if_below(self, bound: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] < bound.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        self.0.into_iter().fold(self.0[0], |a, b| if b > a { b } else { a })
    }
}

/// Four words of four bytes each, x unsigned and weights signed: what faster forms must equal.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct PortableBytes([[u8; 4]; 4]);

impl Factors for PortableBytes {
    type Sums = Portable;
    const PRECISION: Precision = Precision::Int8;
    #[inline(always)]
    unsafe fn word(at: *const f32) -> Self {
        // SAFETY: the trait's promise; bytes have any value.
        Self([unsafe { at.cast::<[u8; 4]>().read() }; 4])
    }
    #[inline(always)]
    unsafe fn words(at: *const f32) -> Self {
        // SAFETY: as above.
        Self(unsafe { at.cast::<[[u8; 4]; 4]>().read() })
    }
    #[inline(always)]
    unsafe fn join(numbers: [Portable; 4], levels: [[f32; 2]; 4]) -> Self {
        let of = |lane: usize, k: usize| byte(numbers[k].0[lane], levels[k][0], levels[k][1]);
        Self(std::array::from_fn(|lane| std::array::from_fn(|k| of(lane, k))))
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { to.cast::<[[u8; 4]; 4]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn round(from: *const f32, to: *mut f32, n: usize, scales: &Scales) {
        for i in 0..n.div_ceil(4) {
            let word: [u8; 4] = std::array::from_fn(|k| match 4 * i + k {
                // SAFETY: the trait's promise, for as many channels of scales.
                at if at < n => byte(unsafe { *from.add(at) }, scales.inverse[at], scales.zero[at]),
                _ => 0,
            });
            // SAFETY: as above.
            unsafe { to.add(i).cast::<[u8; 4]>().write(word) };
        }
    }
    #[inline(always)]
    unsafe fn add_products(self, weights: Self, sums: Portable) -> Portable {
        let product = |(x, w): (&u8, &u8)| i32::from(*x) * i32::from(w.cast_signed());
        Portable(std::array::from_fn(|lane| {
            let products: i32 = self.0[lane].iter().zip(&weights.0[lane]).map(product).sum();
            f32::from_bits(sums.0[lane].to_bits().wrapping_add(products.cast_unsigned()))
        }))
    }
}
