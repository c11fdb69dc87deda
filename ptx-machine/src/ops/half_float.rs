//! Arithmetic on f16 and bf16, single and packed in pairs. Results are those of the exact value
//! rounded once: sums and products are formed in double with the error made odd.

use half::{bf16, f16};

use super::rounding::{to_odd, two_sum};
use super::{lanes, Modifiers};
use crate::ir::{Row1, Row2, Row3, Type};
use Type::*;

/// A 16-bit float.
pub trait Half {
    /// NaN that instructions produce.
    const NAN: u16 = 0x7fff;
    /// Value of the bits.
    fn value(bits: u16) -> f64;
    /// Rounds to nearest even.
    fn round(x: f64) -> u16;
}

/// Marker of f16.
pub struct F;
/// Marker of bf16.
pub struct B;

impl Half for F {
    fn value(bits: u16) -> f64 {
        f16::from_bits(bits).to_f64()
    }
    fn round(x: f64) -> u16 {
        if x.is_nan() {
            Self::NAN
        } else {
            f16::from_f64(x).to_bits()
        }
    }
}

impl Half for B {
    fn value(bits: u16) -> f64 {
        bf16::from_bits(bits).to_f64()
    }
    fn round(x: f64) -> u16 {
        if x.is_nan() {
            Self::NAN
        } else {
            bf16::from_f64(x).to_bits()
        }
    }
}

fn add<H: Half>(a: u16, b: u16) -> u16 {
    let (s, e) = two_sum(H::value(a), H::value(b));
    H::round(to_odd(s, e))
}

fn sub<H: Half>(a: u16, b: u16) -> u16 {
    let (s, e) = two_sum(H::value(a), -H::value(b));
    H::round(to_odd(s, e))
}

fn mul<H: Half>(a: u16, b: u16) -> u16 {
    H::round(H::value(a) * H::value(b))
}

fn fma<H: Half>(a: u16, b: u16, c: u16) -> u16 {
    let (s, e) = two_sum(H::value(a) * H::value(b), H::value(c));
    H::round(to_odd(s, e))
}

/// The lesser (or greater) number; NaN yields, or wins where `nan` asks so; −0 is below +0.
fn extreme<H: Half>(a: u16, b: u16, greater: bool, nan: bool) -> u16 {
    let (x, y) = (H::value(a), H::value(b));
    match (x.is_nan(), y.is_nan()) {
        (true, true) => H::NAN,
        (true, _) | (_, true) if nan => H::NAN,
        (true, _) => b,
        (_, true) => a,
        _ if x == y => {
            if (a >> 15 == 1) != greater {
                a
            } else {
                b
            }
        }
        _ => {
            if (x < y) != greater {
                a
            } else {
                b
            }
        }
    }
}

fn saturate<H: Half>(a: u16) -> u16 {
    let x = H::value(a);
    if x > 0.0 {
        H::round(x.min(1.0))
    } else {
        0
    }
}

fn relu<H: Half>(a: u16) -> u16 {
    let x = H::value(a);
    if x.is_nan() {
        H::NAN
    } else if x > 0.0 {
        a
    } else {
        0
    }
}

/// Applies a function to one or both halves.
macro_rules! halves {
    ($pair:expr, |$($a:ident),+| $e:expr) => {{
        if $pair {
            lanes!(|$($a),+| {
                let low = { $(let $a = $a as u16;)+ $e };
                let high = { $(let $a = ($a >> 16) as u16;)+ $e };
                (high as u64) << 16 | low as u64
            })
        } else {
            lanes!(|$($a),+| { $(let $a = $a as u16;)+ ($e) as u64 })
        }
    }};
}

/// The same for f16 and bf16.
macro_rules! either {
    ($ty:expr, |$h:ident, $($a:ident),+| $e:expr) => {
        match $ty {
            F16 | F16x2 => { type $h = F; halves!($ty == F16x2, |$($a),+| $e) }
            Bf16 | Bf16x2 => { type $h = B; halves!($ty == Bf16x2, |$($a),+| $e) }
            _ => return None,
        }
    };
}

/// `neg`, `abs`, `ex2`, `tanh`.
pub fn unary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row1> {
    Some(match base {
        "neg" => match ty {
            F16 | Bf16 => lanes!(|a| (a ^ 0x8000) & 0xffff),
            F16x2 | Bf16x2 => lanes!(|a| (a ^ 0x8000_8000) & 0xffff_ffff),
            _ => return None,
        },
        "abs" => match ty {
            F16 | Bf16 => lanes!(|a| a & 0x7fff),
            F16x2 | Bf16x2 => lanes!(|a| a & 0x7fff_7fff),
            _ => return None,
        },
        "ex2" if m.take("approx") => either!(ty, |H, a| H::round(H::value(a).exp2())),
        "tanh" if m.take("approx") => either!(ty, |H, a| H::round(H::value(a).tanh())),
        _ => return None,
    })
}

/// `add`, `sub`, `mul`, `min`, `max`.
pub fn binary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row2> {
    let half = matches!(ty, F16 | F16x2 | Bf16 | Bf16x2);
    if !half || !matches!(base, "add" | "sub" | "mul" | "min" | "max") {
        return None;
    }
    let _ = m.take("rn");
    Some(match (base, m.take("sat"), m.take("NaN")) {
        ("add", false, false) => either!(ty, |H, a, b| add::<H>(a, b)),
        ("add", true, false) => either!(ty, |H, a, b| saturate::<H>(add::<H>(a, b))),
        ("sub", false, false) => either!(ty, |H, a, b| sub::<H>(a, b)),
        ("sub", true, false) => either!(ty, |H, a, b| saturate::<H>(sub::<H>(a, b))),
        ("mul", false, false) => either!(ty, |H, a, b| mul::<H>(a, b)),
        ("mul", true, false) => either!(ty, |H, a, b| saturate::<H>(mul::<H>(a, b))),
        ("min", false, false) => either!(ty, |H, a, b| extreme::<H>(a, b, false, false)),
        ("min", false, true) => either!(ty, |H, a, b| extreme::<H>(a, b, false, true)),
        ("max", false, false) => either!(ty, |H, a, b| extreme::<H>(a, b, true, false)),
        ("max", false, true) => either!(ty, |H, a, b| extreme::<H>(a, b, true, true)),
        _ => return None,
    })
}

/// `fma`, with `.sat` or `.relu`.
pub fn ternary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row3> {
    if base != "fma" || !matches!(ty, F16 | F16x2 | Bf16 | Bf16x2) || !m.take("rn") {
        return None;
    }
    Some(match (m.take("sat"), m.take("relu")) {
        (false, false) => either!(ty, |H, a, b, c| fma::<H>(a, b, c)),
        (true, false) => either!(ty, |H, a, b, c| saturate::<H>(fma::<H>(a, b, c))),
        (false, true) => either!(ty, |H, a, b, c| relu::<H>(fma::<H>(a, b, c))),
        _ => return None,
    })
}
