//! Comparisons of `setp` and `set`: one bit per lane. Ordered float comparisons are false with a NaN,
//! those ending in `u` are true.

use half::{bf16, f16};

use super::float::{f, flush};
use super::Modifiers;
use crate::ir::{Compare, Type};
use Type::*;

/// A mask from a test of two lanes.
macro_rules! mask {
    (|$a:ident, $b:ident| $e:expr) => {
        (|a: &$crate::ir::Row, b: &$crate::ir::Row| {
            let mut out = 0;
            for i in 0..$crate::ir::LANES {
                let ($a, $b) = (a[i], b[i]);
                out |= ($e as u32) << i;
            }
            out
        }) as Compare
    };
}

/// An integer comparison at one type.
macro_rules! integers {
    ($t:ty, $word:expr) => {
        match $word {
            "eq" => mask!(|a, b| a as $t == b as $t),
            "ne" => mask!(|a, b| a as $t != b as $t),
            "lt" | "lo" => mask!(|a, b| (a as $t) < b as $t),
            "le" | "ls" => mask!(|a, b| a as $t <= b as $t),
            "gt" | "hi" => mask!(|a, b| a as $t > b as $t),
            "ge" | "hs" => mask!(|a, b| a as $t >= b as $t),
            _ => return None,
        }
    };
}

/// A float comparison through a reading of the bits; NaN makes every comparison but `ne` false.
macro_rules! floats {
    ($read:expr, $word:expr) => {
        match $word {
            "eq" => mask!(|a, b| $read(a) == $read(b)),
            "ne" => mask!(|a, b| $read(a) != $read(b) && !$read(a).is_nan() && !$read(b).is_nan()),
            "lt" => mask!(|a, b| $read(a) < $read(b)),
            "le" => mask!(|a, b| $read(a) <= $read(b)),
            "gt" => mask!(|a, b| $read(a) > $read(b)),
            "ge" => mask!(|a, b| $read(a) >= $read(b)),
            "equ" => mask!(|a, b| $read(a) == $read(b) || $read(a).is_nan() || $read(b).is_nan()),
            "neu" => mask!(|a, b| $read(a) != $read(b)),
            "ltu" => mask!(|a, b| $read(a) < $read(b) || $read(a).is_nan() || $read(b).is_nan()),
            "leu" => mask!(|a, b| $read(a) <= $read(b) || $read(a).is_nan() || $read(b).is_nan()),
            "gtu" => mask!(|a, b| $read(a) > $read(b) || $read(a).is_nan() || $read(b).is_nan()),
            "geu" => mask!(|a, b| $read(a) >= $read(b) || $read(a).is_nan() || $read(b).is_nan()),
            "num" => mask!(|a, b| !$read(a).is_nan() && !$read(b).is_nan()),
            "nan" => mask!(|a, b| $read(a).is_nan() || $read(b).is_nan()),
            _ => return None,
        }
    };
}

const WORDS: &[&str] = &[
    "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu",
    "num", "nan",
];

fn half_of(x: u64) -> f32 {
    f16::from_bits(x as u16).to_f32()
}

fn brain_of(x: u64) -> f32 {
    bf16::from_bits(x as u16).to_f32()
}

/// The comparison that the modifiers name, for scalars of `ty` or for one half of a packed type.
pub fn compare(ty: Type, m: &mut Modifiers) -> Option<Compare> {
    let word = m.take_any(WORDS)?;
    Some(match ty {
        B16 | U16 => integers!(u16, word),
        B32 | U32 => integers!(u32, word),
        B64 | U64 => integers!(u64, word),
        S16 => integers!(i16, word),
        S32 => integers!(i32, word),
        S64 => integers!(i64, word),
        F16 | F16x2 => floats!(half_of, word),
        Bf16 | Bf16x2 => floats!(brain_of, word),
        F32 if m.take("ftz") => floats!((|x| flush(f(x))), word),
        F32 => floats!(f, word),
        F64 => floats!(f64::from_bits, word),
        _ => return None,
    })
}
