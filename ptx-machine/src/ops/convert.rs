//! `cvt`: between integers (saturating where asked), floats (rounded, saturated, flushed) and both.
//! Floats that do not fit an integer are clamped to its range; NaN becomes zero.

use half::{bf16, f16};

use super::float::{f, flush, r, saturate};
use super::half_float::{Half, B, F};
use super::rounding::{integral, shorten, to_f32, Rounding};
use super::{lanes, Modifiers};
use crate::ir::{Row, Row1, Row2, Type};
use Type::*;

/// A lane's value read as a type, wide enough for every source.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

/// No rounding named, no clamping.
const PLAIN: How = How { rounding: None, to_integral: false, sat: false, ftz: false, relu: false };

fn read(x: u64, ty: Type) -> Number {
    match ty {
        S8 => Number::Int(x as i8 as i128),
        S16 => Number::Int(x as i16 as i128),
        S32 => Number::Int(x as i32 as i128),
        S64 => Number::Int(x as i64 as i128),
        U8 | B8 => Number::Int(x as u8 as i128),
        U16 | B16 => Number::Int(x as u16 as i128),
        U32 | B32 => Number::Int(x as u32 as i128),
        F16 => Number::Float(F::value(x as u16)),
        Bf16 => Number::Float(B::value(x as u16)),
        F32 | Tf32 => Number::Float(f(x) as f64),
        F64 => Number::Float(f64::from_bits(x)),
        _ => Number::Int(x as i128),
    }
}

/// The least and greatest value of an integer type.
fn range(ty: Type) -> (i128, i128) {
    let bits = 8 * ty.bytes() as u32;
    match ty.signed() {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    }
}

/// How a conversion ends.
#[derive(Clone, Copy, Default, Debug)]
pub struct How {
    rounding: Option<Rounding>,
    to_integral: bool,
    sat: bool,
    ftz: bool,
    relu: bool,
}

fn to_integer(number: Number, to: Type, how: How) -> u64 {
    let (low, high) = range(to);
    let width = if to.bytes() == 8 { u64::MAX } else { (1 << (8 * to.bytes())) - 1 };
    let value = match number {
        Number::Int(v) if how.sat => v.clamp(low, high),
        Number::Int(v) => v,
        Number::Float(x) if x.is_nan() => 0,
        Number::Float(x) => {
            let x = integral(x, how.rounding.unwrap_or(Rounding::Zero));
            (x as i128).clamp(low, high)
        }
    };
    value as u64 & width
}

fn to_float(number: Number, to: Type, how: How) -> u64 {
    let number = match number {
        Number::Float(x) if how.ftz && x.abs() < f32::MIN_POSITIVE as f64 => Number::Float(0f64.copysign(x)),
        n => n,
    };
    let mode = how.rounding.unwrap_or(Rounding::Nearest);
    if to == F64 {
        let x = match number {
            Number::Int(v) => v as f64,
            Number::Float(x) if how.to_integral => integral(x, mode),
            Number::Float(x) => x,
        };
        return x.to_bits();
    }
    let (value, error) = match number {
        Number::Int(v) => (v as f64, (v - (v as f64) as i128) as f64),
        Number::Float(x) if how.to_integral => (integral(x, mode), 0.0),
        Number::Float(x) => (x, 0.0),
    };
    match to {
        F32 => {
            let x = to_f32(value, error, mode);
            let x = if how.ftz { flush(x) } else { x };
            let x = if how.relu && x <= 0.0 { 0.0 } else { x };
            r(if how.sat { saturate(x) } else { x })
        }
        F16 => short::<F>(value, error, mode, how, f16_towards),
        _ => short::<B>(value, error, mode, how, bf16_towards),
    }
}

fn short<H: Half>(
    value: f64,
    error: f64,
    mode: Rounding,
    how: How,
    towards: fn(f64, Rounding) -> u16,
) -> u64 {
    let odd = super::rounding::to_odd(value, error);
    let bits = if mode == Rounding::Nearest || odd.is_nan() { H::round(odd) } else { towards(odd, mode) };
    let x = H::value(bits);
    (match () {
        _ if how.relu && x <= 0.0 => 0,
        _ if how.sat => {
            if x > 0.0 {
                H::round(x.min(1.0))
            } else {
                0
            }
        }
        _ => bits,
    }) as u64
}

/// Steps a nearest result back where it passed the exact value against the mode.
fn step_back(near: u16, value: f64, exact: f64, mode: Rounding) -> u16 {
    let wrong = match mode {
        Rounding::Zero => value.abs() > exact.abs(),
        Rounding::Down => value > exact,
        Rounding::Up => value < exact,
        Rounding::Nearest => false,
    };
    let away = wrong && value.abs() > exact.abs();
    match (wrong, away) {
        (false, _) => near,
        (true, true) => near - 1,
        (true, false) if near & 0x7fff == 0 => {
            if exact > 0.0 {
                1
            } else {
                0x8001
            }
        }
        (true, false) => near + 1,
    }
}

fn f16_towards(x: f64, mode: Rounding) -> u16 {
    let near = f16::from_f64(x);
    step_back(near.to_bits(), near.to_f64(), x, mode)
}

fn bf16_towards(x: f64, mode: Rounding) -> u16 {
    let near = bf16::from_f64(x);
    step_back(near.to_bits(), near.to_f64(), x, mode)
}

/// f32 to tf32: ten bits of mantissa, ties away from zero (`rna`).
pub fn tf32(x: u64) -> u64 {
    let bits = x as u32;
    if !f(x).is_finite() {
        return x & 0xffff_ffff;
    }
    (bits.wrapping_add(1 << 12) & !0x1fff) as u64
}

#[inline(always)]
fn convert(x: u64, to: Type, from: Type, how: How) -> u64 {
    match to {
        F16 | Bf16 | F32 | F64 => to_float(read(x, from), to, how),
        _ => to_integer(read(x, from), to, how),
    }
}

/// A conversion, ready to be applied to a row.
#[derive(Clone, Copy, Debug)]
pub enum Conversion {
    /// One of the common pairs.
    Row(Row1),
    /// Any other, lane by lane.
    General {
        /// Result type.
        to: Type,
        /// Source type.
        from: Type,
        /// Rounding and clamping.
        how: How,
    },
}

impl Conversion {
    /// Converts all lanes.
    pub fn apply(&self, a: &Row) -> Row {
        match *self {
            Conversion::Row(f) => f(a),
            Conversion::General { to, from, how } => std::array::from_fn(|i| convert(a[i], to, from, how)),
        }
    }
}

/// `cvt` from one register to one.
pub fn convert1(to: Type, from: Type, m: &mut Modifiers) -> Option<Conversion> {
    let float = |ty| matches!(ty, F16 | Bf16 | F32 | F64);
    let int = |ty| matches!(ty, U8 | U16 | U32 | U64 | S8 | S16 | S32 | S64);
    if to == Tf32 && from == F32 && m.take("rna") {
        return Some(Conversion::Row(lanes!(|a| tf32(a))));
    }
    if !(float(to) || int(to)) || !(float(from) || int(from)) {
        return None;
    }
    let integer_word = m.take_any(&["rni", "rzi", "rmi", "rpi"]);
    let rounding = match integer_word {
        Some(word) => Rounding::parse(word),
        None => m.take_by(Rounding::parse),
    };
    let how = How {
        rounding,
        to_integral: integer_word.is_some(),
        sat: m.take("sat"),
        ftz: m.take("ftz"),
        relu: m.take("relu"),
    };
    let plain = !how.sat && !how.ftz && !how.relu;
    let nearest = plain && rounding == Some(Rounding::Nearest) && !how.to_integral;
    Some(match (to, from) {
        (F32, F16) if plain => Conversion::Row(lanes!(|a| r(f16::from_bits(a as u16).to_f32()))),
        (F32, Bf16) if plain => Conversion::Row(lanes!(|a| r(bf16::from_bits(a as u16).to_f32()))),
        (F16, F32) if nearest => Conversion::Row(lanes!(|a| narrow_f16(f(a)) as u64)),
        (Bf16, F32) if nearest => Conversion::Row(lanes!(|a| narrow_bf16(f(a)) as u64)),
        (F32, S32) if nearest => Conversion::Row(lanes!(|a| r(a as i32 as f32))),
        (F32, U32) if nearest => Conversion::Row(lanes!(|a| r(a as u32 as f32))),
        (U64 | U32, U32) | (U32 | S32, U64 | S64) if plain => Conversion::Row(lanes!(|a| a & 0xffff_ffff)),
        (S64 | U64, S32) if plain => Conversion::Row(lanes!(|a| a as i32 as i64 as u64)),
        _ => Conversion::General { to, from, how },
    })
}

/// f32 to f16, to nearest even.
#[inline]
pub fn narrow_f16(x: f32) -> u16 {
    if x.is_nan() {
        F::NAN
    } else {
        f16::from_f32(x).to_bits()
    }
}

/// f32 to bf16, to nearest even.
#[inline]
pub fn narrow_bf16(x: f32) -> u16 {
    if x.is_nan() {
        B::NAN
    } else {
        bf16::from_f32(x).to_bits()
    }
}

/// `cvt` of two f32 into a packed pair: the first operand goes to the upper half.
pub fn convert2(to: Type, m: &mut Modifiers) -> Option<Row2> {
    Some(match (to, m.take_by(Rounding::parse)?, m.take("relu")) {
        (F16x2, Rounding::Nearest, false) => {
            lanes!(|a, b| (narrow_f16(f(a)) as u64) << 16 | narrow_f16(f(b)) as u64)
        }
        (F16x2, Rounding::Nearest, true) => lanes!(|a, b| {
            let half = |x| convert(x, F16, F32, How { relu: true, ..PLAIN });
            half(a) << 16 | half(b)
        }),
        (F16x2, Rounding::Zero, false) => lanes!(|a, b| {
            let half = |x| convert(x, F16, F32, How { rounding: Some(Rounding::Zero), ..PLAIN });
            half(a) << 16 | half(b)
        }),
        (Bf16x2, Rounding::Nearest, false) => {
            lanes!(|a, b| (narrow_bf16(f(a)) as u64) << 16 | narrow_bf16(f(b)) as u64)
        }
        (Bf16x2, Rounding::Nearest, true) => lanes!(|a, b| {
            let half = |x| convert(x, Bf16, F32, How { relu: true, ..PLAIN });
            half(a) << 16 | half(b)
        }),
        (Bf16x2, Rounding::Zero, false) => lanes!(|a, b| {
            let half = |x: u64| (shorten(f(x), 7, Rounding::Zero).to_bits() >> 16) as u64;
            half(a) << 16 | half(b)
        }),
        _ => return None,
    })
}
