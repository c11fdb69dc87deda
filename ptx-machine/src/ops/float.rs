//! f32 and f64 arithmetic. Approximate instructions (`ex2.approx`, `rsqrt.approx`, …) are computed
//! exactly here: kernels need a tolerance for them. NaN results are the canonical NaN.

use super::rounding::{to_f32, two_sum, Rounding};
use super::{lanes, Modifiers};
use crate::ir::{Row1, Row2, Row3, Type};
use Type::*;

/// Bits of the NaN that f32 instructions produce.
pub const NAN: u32 = 0x7fff_ffff;

/// A row's value as f32.
#[inline(always)]
pub fn f(x: u64) -> f32 {
    f32::from_bits(x as u32)
}

/// An f32 as a row's value.
#[inline(always)]
pub fn r(x: f32) -> u64 {
    (if x.is_nan() { NAN } else { x.to_bits() }) as u64
}

#[inline(always)]
fn d(x: u64) -> f64 {
    f64::from_bits(x)
}

#[inline(always)]
fn rd(x: f64) -> u64 {
    x.to_bits()
}

/// Flushes subnormals to a zero of their sign.
#[inline(always)]
pub fn flush(x: f32) -> f32 {
    if x.is_subnormal() {
        0.0f32.copysign(x)
    } else {
        x
    }
}

/// Clamps to [0, 1]; NaN becomes zero.
#[inline(always)]
pub fn saturate(x: f32) -> f32 {
    if x > 0.0 {
        x.min(1.0)
    } else {
        0.0
    }
}

/// A function of f32 in its four forms: plain, `.sat`, `.ftz`, `.ftz.sat`.
macro_rules! single {
    ($m:ident, |$($a:ident),+| $e:expr) => {
        match ($m.take("ftz"), $m.take("sat")) {
            (false, false) => lanes!(|$($a),+| { $(let $a = f($a);)+ r($e) }),
            (false, true) => lanes!(|$($a),+| { $(let $a = f($a);)+ r(saturate($e)) }),
            (true, false) => lanes!(|$($a),+| { $(let $a = flush(f($a));)+ r(flush($e)) }),
            (true, true) => lanes!(|$($a),+| { $(let $a = flush(f($a));)+ r(saturate(flush($e))) }),
        }
    };
}

/// A function of f32 whose exact result is `value + error`, in the mode the modifiers name.
macro_rules! rounded {
    ($m:ident, |$($a:ident),+| $near:expr, $exact:expr) => {
        match $m.take_by(Rounding::parse).unwrap_or(Rounding::Nearest) {
            Rounding::Nearest => single!($m, |$($a),+| $near),
            Rounding::Zero => single!($m, |$($a),+| { $(let $a = $a as f64;)+ let (v, e) = $exact; to_f32(v, e, Rounding::Zero) }),
            Rounding::Down => single!($m, |$($a),+| { $(let $a = $a as f64;)+ let (v, e) = $exact; to_f32(v, e, Rounding::Down) }),
            Rounding::Up => single!($m, |$($a),+| { $(let $a = $a as f64;)+ let (v, e) = $exact; to_f32(v, e, Rounding::Up) }),
        }
    };
}

/// A quotient and the sign of what it lost.
fn quotient(a: f64, b: f64) -> (f64, f64) {
    let q = a / b;
    let rest = (-q).mul_add(b, a);
    (q, if b < 0.0 { -rest } else { rest })
}

/// `min` and `max`: a NaN yields to a number, −0 is below +0.
fn lesser(a: f32, b: f32) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ if a == b => {
            if a.is_sign_negative() {
                a
            } else {
                b
            }
        }
        _ => {
            if a < b {
                a
            } else {
                b
            }
        }
    }
}

fn greater(a: f32, b: f32) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ if a == b => {
            if a.is_sign_negative() {
                b
            } else {
                a
            }
        }
        _ => {
            if a > b {
                a
            } else {
                b
            }
        }
    }
}

fn or_nan(a: f32, b: f32, x: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::NAN
    } else {
        x
    }
}

/// `neg`, `abs`, `rcp`, `sqrt`, `rsqrt`, `ex2`, `lg2`, `sin`, `cos`, `tanh`.
pub fn unary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row1> {
    if ty == F64 {
        return Some(match base {
            "neg" => lanes!(|a| a ^ 1 << 63),
            "abs" => lanes!(|a| a & !(1 << 63)),
            "rcp" if m.take("rn") => lanes!(|a| rd(1.0 / d(a))),
            "sqrt" if m.take("rn") => lanes!(|a| rd(d(a).sqrt())),
            "rsqrt" if m.take("approx") => lanes!(|a| rd(1.0 / d(a).sqrt())),
            _ => return None,
        });
    }
    if ty != F32 {
        return None;
    }
    let transcendental = matches!(base, "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh");
    let approx = transcendental && m.take("approx");
    Some(match base {
        "neg" => match m.take("ftz") {
            false => lanes!(|a| (a ^ 0x8000_0000) & 0xffff_ffff),
            true => lanes!(|a| (flush(f(a)).to_bits() ^ 0x8000_0000) as u64),
        },
        "abs" => match m.take("ftz") {
            false => lanes!(|a| a & 0x7fff_ffff),
            true => lanes!(|a| (flush(f(a)).to_bits() & 0x7fff_ffff) as u64),
        },
        "rcp" => rounded!(m, |a| 1.0 / a, quotient(1.0, a)),
        "sqrt" => rounded!(m, |a| a.sqrt(), {
            let s = a.sqrt();
            (s, (-s).mul_add(s, a))
        }),
        "rsqrt" if approx => single!(m, |a| (1.0 / (a as f64).sqrt()) as f32),
        "ex2" if approx => single!(m, |a| (a as f64).exp2() as f32),
        "lg2" if approx => single!(m, |a| (a as f64).log2() as f32),
        "sin" if approx => single!(m, |a| (a as f64).sin() as f32),
        "cos" if approx => single!(m, |a| (a as f64).cos() as f32),
        "tanh" if approx => single!(m, |a| (a as f64).tanh() as f32),
        _ => return None,
    })
}

/// `add`, `sub`, `mul`, `div`, `min`, `max`, `copysign`.
pub fn binary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row2> {
    if !matches!(base, "add" | "sub" | "mul" | "div" | "min" | "max" | "copysign") {
        return None;
    }
    if ty == F64 {
        let _ = m.take("rn");
        return Some(match base {
            "add" => lanes!(|a, b| rd(d(a) + d(b))),
            "sub" => lanes!(|a, b| rd(d(a) - d(b))),
            "mul" => lanes!(|a, b| rd(d(a) * d(b))),
            "div" => lanes!(|a, b| rd(d(a) / d(b))),
            "min" => lanes!(|a, b| rd(d(a).min(d(b)))),
            "max" => lanes!(|a, b| rd(d(a).max(d(b)))),
            "copysign" => lanes!(|a, b| rd(d(b).copysign(d(a)))),
            _ => return None,
        });
    }
    if ty != F32 {
        return None;
    }
    Some(match base {
        "add" => rounded!(m, |a, b| a + b, two_sum(a, b)),
        "sub" => rounded!(m, |a, b| a - b, two_sum(a, -b)),
        "mul" => rounded!(m, |a, b| a * b, (a * b, 0.0)),
        "div" => {
            let _ = m.take("approx") || m.take("full");
            rounded!(m, |a, b| a / b, quotient(a, b))
        }
        "min" => match (m.take("NaN"), m.take("xorsign"), m.take("abs")) {
            (false, false, false) => single!(m, |a, b| lesser(a, b)),
            (true, false, false) => single!(m, |a, b| or_nan(a, b, lesser(a, b))),
            _ => return None,
        },
        "max" => match (m.take("NaN"), m.take("xorsign"), m.take("abs")) {
            (false, false, false) => single!(m, |a, b| greater(a, b)),
            (true, false, false) => single!(m, |a, b| or_nan(a, b, greater(a, b))),
            _ => return None,
        },
        "copysign" => lanes!(|a, b| (f(b).copysign(f(a))).to_bits() as u64),
        _ => return None,
    })
}

/// `fma` and `mad` of floats.
pub fn ternary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row3> {
    if !matches!(base, "fma" | "mad") {
        return None;
    }
    match ty {
        F64 if m.take("rn") => Some(lanes!(|a, b, c| rd(d(a).mul_add(d(b), d(c))))),
        F32 => Some(rounded!(m, |a, b, c| a.mul_add(b, c), two_sum(a * b, c))),
        _ => None,
    }
}
