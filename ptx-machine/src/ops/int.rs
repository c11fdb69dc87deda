//! Integer arithmetic: wrapping, as PTX has it; a division by zero gives all ones.

use super::{lanes, Modifiers};
use crate::ir::{Row1, Row2, Row3, Type};
use Type::*;

/// One expression for the four widths an integer instruction may have, `T` signed or unsigned.
macro_rules! by_type {
    ($ty:expr, $m:ident) => {
        Some(match $ty {
            S16 => $m!(i16, u16),
            S32 => $m!(i32, u32),
            S64 => $m!(i64, u64),
            U16 | B16 => $m!(u16, u16),
            U32 | B32 => $m!(u32, u32),
            U64 | B64 => $m!(u64, u64),
            _ => return None,
        })
    };
}

/// `neg`, `abs`.
pub fn unary(base: &str, ty: Type, _: &mut Modifiers) -> Option<Row1> {
    macro_rules! neg {
        ($t:ty, $u:ty) => {
            lanes!(|a| (a as $t).wrapping_neg() as $u as u64)
        };
    }
    Some(match (base, ty) {
        ("neg", S16 | S32 | S64) => return by_type!(ty, neg),
        ("abs", S16) => lanes!(|a| (a as i16).wrapping_abs() as u16 as u64),
        ("abs", S32) => lanes!(|a| (a as i32).wrapping_abs() as u32 as u64),
        ("abs", S64) => lanes!(|a| (a as i64).wrapping_abs() as u64),
        _ => return None,
    })
}

/// `add`, `sub`, `mul`, `div`, `rem`, `min`, `max`, `mul24`.
pub fn binary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row2> {
    macro_rules! add {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| (a as $t).wrapping_add(b as $t) as $u as u64)
        };
    }
    macro_rules! sub {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| (a as $t).wrapping_sub(b as $t) as $u as u64)
        };
    }
    macro_rules! mul {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| (a as $t).wrapping_mul(b as $t) as $u as u64)
        };
    }
    macro_rules! min {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| (a as $t).min(b as $t) as $u as u64)
        };
    }
    macro_rules! max {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| (a as $t).max(b as $t) as $u as u64)
        };
    }
    macro_rules! hi {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| ((a as $t as i128 * b as $t as i128) >> <$t>::BITS) as $u as u64)
        };
    }
    macro_rules! div {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| match b as $t {
                0 => <$u>::MAX as u64,
                d => (a as $t).wrapping_div(d) as $u as u64,
            })
        };
    }
    macro_rules! rem {
        ($t:ty, $u:ty) => {
            lanes!(|a, b| match b as $t {
                0 => a as $u as u64,
                d => (a as $t).wrapping_rem(d) as $u as u64,
            })
        };
    }
    match base {
        "add" | "sub" if ty == S32 && m.take("sat") => Some(match base {
            "add" => lanes!(|a, b| (a as i32).saturating_add(b as i32) as u32 as u64),
            _ => lanes!(|a, b| (a as i32).saturating_sub(b as i32) as u32 as u64),
        }),
        "min" | "max" if m.take("relu") => Some(match (base, ty) {
            ("min", S32) => lanes!(|a, b| (a as i32).min(b as i32).max(0) as u32 as u64),
            ("max", S32) => lanes!(|a, b| (a as i32).max(b as i32).max(0) as u32 as u64),
            _ => return None,
        }),
        "add" => by_type!(ty, add),
        "sub" => by_type!(ty, sub),
        "div" => by_type!(ty, div),
        "rem" => by_type!(ty, rem),
        "min" => by_type!(ty, min),
        "max" => by_type!(ty, max),
        "mul" if m.take("hi") => match ty {
            U64 => Some(lanes!(|a, b| ((a as u128 * b as u128) >> 64) as u64)),
            _ => by_type!(ty, hi),
        },
        "mul" if m.take("wide") => Some(match ty {
            S16 => lanes!(|a, b| (a as i16 as i32 * b as i16 as i32) as u32 as u64),
            U16 => lanes!(|a, b| (a as u16 as u32 * b as u16 as u32) as u64),
            S32 => lanes!(|a, b| (a as i32 as i64 * b as i32 as i64) as u64),
            U32 => lanes!(|a, b| a as u32 as u64 * b as u32 as u64),
            _ => return None,
        }),
        "mul" if m.take("lo") => by_type!(ty, mul),
        "mul24" if m.take("lo") => Some(match ty {
            S32 => lanes!(|a, b| (((a as i32) << 8 >> 8).wrapping_mul((b as i32) << 8 >> 8)) as u32 as u64),
            U32 => lanes!(|a, b| (a as u32 & 0xff_ffff).wrapping_mul(b as u32 & 0xff_ffff) as u64),
            _ => return None,
        }),
        _ => None,
    }
}

/// `mad`, `sad`, `dp4a` (the last with a type of its own, [`dp4a`]).
pub fn ternary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row3> {
    macro_rules! lo {
        ($t:ty, $u:ty) => {
            lanes!(|a, b, c| (a as $u).wrapping_mul(b as $u).wrapping_add(c as $u) as u64)
        };
    }
    macro_rules! sad {
        ($t:ty, $u:ty) => {
            lanes!(|a, b, c| (c as $u).wrapping_add((a as $t).abs_diff(b as $t) as $u) as u64)
        };
    }
    Some(match base {
        "mad" if m.take("lo") => return by_type!(ty, lo),
        "mad" if m.take("wide") => match ty {
            S16 => lanes!(|a, b, c| (a as i16 as i32 * b as i16 as i32).wrapping_add(c as i32) as u32 as u64),
            U16 => lanes!(|a, b, c| (a as u16 as u32 * b as u16 as u32).wrapping_add(c as u32) as u64),
            S32 => lanes!(|a, b, c| (a as i32 as i64 * b as i32 as i64).wrapping_add(c as i64) as u64),
            U32 => lanes!(|a, b, c| (a as u32 as u64 * b as u32 as u64).wrapping_add(c)),
            _ => return None,
        },
        "mad" if m.take("hi") => {
            match ty {
                S32 => lanes!(|a, b, c| {
                    (((a as i32 as i64 * b as i32 as i64) >> 32) as i32).wrapping_add(c as i32) as u32 as u64
                }),
                U32 => lanes!(|a, b, c| (((a as u32 as u64 * b as u32 as u64) >> 32) as u32)
                    .wrapping_add(c as u32) as u64),
                S64 => lanes!(|a, b, c| {
                    (((a as i64 as i128 * b as i64 as i128) >> 64) as i64).wrapping_add(c as i64) as u64
                }),
                U64 => lanes!(|a, b, c| (((a as u128 * b as u128) >> 64) as u64).wrapping_add(c)),
                _ => return None,
            }
        }
        "sad" => return by_type!(ty, sad),
        _ => return None,
    })
}

/// `dp4a`: four products of bytes and a 32-bit sum.
pub fn dp4a(a_ty: Type, b_ty: Type) -> Option<Row3> {
    fn dot(a: u64, b: u64, c: u64, a_signed: bool, b_signed: bool) -> u64 {
        let byte = |x: u64, i: u32, signed: bool| match (x >> (8 * i)) as u8 {
            v if signed => v as i8 as i64,
            v => v as i64,
        };
        let sum: i64 = (0..4).map(|i| byte(a, i, a_signed) * byte(b, i, b_signed)).sum();
        (c as u32).wrapping_add(sum as u32) as u64
    }
    Some(match (a_ty, b_ty) {
        (S32, S32) => lanes!(|a, b, c| dot(a, b, c, true, true)),
        (S32, U32) => lanes!(|a, b, c| dot(a, b, c, true, false)),
        (U32, S32) => lanes!(|a, b, c| dot(a, b, c, false, true)),
        (U32, U32) => lanes!(|a, b, c| dot(a, b, c, false, false)),
        _ => return None,
    })
}
