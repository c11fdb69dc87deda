//! Bitwise instructions, shifts (amounts beyond the width give zero or the sign), fields and bytes.

use super::{lanes, Modifiers};
use crate::ir::{Row1, Row2, Row3, Row4, Type};
use Type::*;

/// Keeps the bits of a type's width.
fn mask(ty: Type) -> u64 {
    match ty.bytes() {
        8.. => u64::MAX,
        n => (1 << (8 * n)) - 1,
    }
}

/// `not`, `cnot`, `popc`, `clz`, `brev`.
pub fn unary(base: &str, ty: Type, _: &mut Modifiers) -> Option<Row1> {
    Some(match (base, ty) {
        ("not", B16) => lanes!(|a| !a & 0xffff),
        ("not", B32) => lanes!(|a| !a & 0xffff_ffff),
        ("not", B64) => lanes!(|a| !a),
        ("cnot", B16) => lanes!(|a| (a as u16 == 0) as u64),
        ("cnot", B32) => lanes!(|a| (a as u32 == 0) as u64),
        ("cnot", B64) => lanes!(|a| (a == 0) as u64),
        ("popc", B32) => lanes!(|a| (a as u32).count_ones() as u64),
        ("popc", B64) => lanes!(|a| a.count_ones() as u64),
        ("clz", B32) => lanes!(|a| (a as u32).leading_zeros() as u64),
        ("clz", B64) => lanes!(|a| a.leading_zeros() as u64),
        ("brev", B32) => lanes!(|a| (a as u32).reverse_bits() as u64),
        ("brev", B64) => lanes!(|a| a.reverse_bits()),
        _ => return None,
    })
}

/// `bfind`, `bfind.shiftamt`: the most significant bit that is not a sign.
pub fn bfind(ty: Type, m: &mut Modifiers) -> Option<Row1> {
    fn find(value: u64, width: u32, signed: bool, shift: bool) -> u64 {
        let sign = signed && value >> (width - 1) & 1 == 1;
        let value = if sign { !value } else { value };
        let value = if width == 32 { value & 0xffff_ffff } else { value };
        match (value == 0, shift) {
            (true, _) => 0xffff_ffff,
            (false, true) => (value.leading_zeros() - (64 - width)) as u64,
            (false, false) => (63 - value.leading_zeros()) as u64,
        }
    }
    Some(match (ty, m.take("shiftamt")) {
        (U32, false) => lanes!(|a| find(a, 32, false, false)),
        (U32, true) => lanes!(|a| find(a, 32, false, true)),
        (S32, false) => lanes!(|a| find(a, 32, true, false)),
        (S32, true) => lanes!(|a| find(a, 32, true, true)),
        (U64, false) => lanes!(|a| find(a, 64, false, false)),
        (U64, true) => lanes!(|a| find(a, 64, false, true)),
        (S64, false) => lanes!(|a| find(a, 64, true, false)),
        (S64, true) => lanes!(|a| find(a, 64, true, true)),
        _ => return None,
    })
}

/// `and`, `or`, `xor`, `shl`, `shr`.
pub fn binary(base: &str, ty: Type, _: &mut Modifiers) -> Option<Row2> {
    fn shift(b: u64) -> u32 {
        b as u32
    }
    Some(match (base, ty) {
        ("and", B16 | B32 | B64) => lanes!(|a, b| a & b),
        ("or", B16 | B32 | B64) => lanes!(|a, b| a | b),
        ("xor", B16 | B32 | B64) => lanes!(|a, b| a ^ b),
        ("shl", B16) => lanes!(|a, b| (a as u16).checked_shl(shift(b)).unwrap_or(0) as u64),
        ("shl", B32) => lanes!(|a, b| (a as u32).checked_shl(shift(b)).unwrap_or(0) as u64),
        ("shl", B64) => lanes!(|a, b| a.checked_shl(shift(b)).unwrap_or(0)),
        ("shr", B16 | U16) => lanes!(|a, b| (a as u16).checked_shr(shift(b)).unwrap_or(0) as u64),
        ("shr", B32 | U32) => lanes!(|a, b| (a as u32).checked_shr(shift(b)).unwrap_or(0) as u64),
        ("shr", B64 | U64) => lanes!(|a, b| a.checked_shr(shift(b)).unwrap_or(0)),
        ("shr", S16) => lanes!(|a, b| (a as i16 >> shift(b).min(15)) as u16 as u64),
        ("shr", S32) => lanes!(|a, b| (a as i32 >> shift(b).min(31)) as u32 as u64),
        ("shr", S64) => lanes!(|a, b| (a as i64 >> shift(b).min(63)) as u64),
        _ => return None,
    })
}

/// `bfe` (source, position, length), `shf` (low, high, amount), `fns` is not offered.
pub fn ternary(base: &str, ty: Type, m: &mut Modifiers) -> Option<Row3> {
    fn extract(a: u64, position: u64, length: u64, width: u32, signed: bool) -> u64 {
        let (position, length) = ((position & 0xff) as u32, (length & 0xff) as u32);
        let msb = width - 1;
        let sign = signed && length > 0 && a >> (position + length - 1).min(msb) & 1 == 1;
        let mut field = 0;
        for i in 0..width {
            let at = position + i;
            let bit = if i < length && at <= msb { a >> at & 1 } else { sign as u64 };
            field |= bit << i;
        }
        field
    }
    fn funnel(low: u64, high: u64) -> u64 {
        high << 32 | (low & 0xffff_ffff)
    }
    Some(match (base, ty) {
        ("bfe", U32) => lanes!(|a, b, c| extract(a, b, c, 32, false)),
        ("bfe", S32) => lanes!(|a, b, c| extract(a, b, c, 32, true)),
        ("bfe", U64) => lanes!(|a, b, c| extract(a, b, c, 64, false)),
        ("bfe", S64) => lanes!(|a, b, c| extract(a, b, c, 64, true)),
        ("shf", B32) => match (m.take_any(&["l", "r"])?, m.take_any(&["wrap", "clamp"])?) {
            ("l", "wrap") => lanes!(|a, b, c| funnel(a, b) << (c & 31) >> 32),
            ("l", _) => lanes!(|a, b, c| ((funnel(a, b) as u128) << (c as u32).min(32) >> 32) as u32 as u64),
            ("r", "wrap") => lanes!(|a, b, c| (funnel(a, b) >> (c & 31)) & 0xffff_ffff),
            _ => lanes!(|a, b, c| (funnel(a, b) >> (c as u32).min(32)) & 0xffff_ffff),
        },
        _ => return None,
    })
}

/// `lop3`: any function of three bits, by its truth table.
pub fn lop3(a: u64, b: u64, c: u64, table: u64) -> u64 {
    (0..8).filter(|i| table >> i & 1 == 1).fold(0u32, |out, i| {
        let pick = |x: u64, bit: u32| if i >> bit & 1 == 1 { x as u32 } else { !(x as u32) };
        out | (pick(a, 2) & pick(b, 1) & pick(c, 0))
    }) as u64
}

/// `bfi` (field, background, position, length) and `lop3` (the fourth operand is the table).
pub fn quaternary(base: &str, ty: Type, _: &mut Modifiers) -> Option<Row4> {
    fn insert(a: u64, b: u64, position: u64, length: u64, width: u32) -> u64 {
        let (position, length) = ((position & 0xff) as u32, (length & 0xff) as u32);
        let ones = 1u64.checked_shl(length).map_or(u64::MAX, |top| top.wrapping_sub(1));
        let field = ones.checked_shl(position).unwrap_or(0);
        let out = (b & !field) | (a.checked_shl(position).unwrap_or(0) & field);
        out & if width == 32 { mask(B32) } else { mask(B64) }
    }
    Some(match (base, ty) {
        ("bfi", B32) => lanes!(|a, b, c, d| insert(a, b, c, d, 32)),
        ("bfi", B64) => lanes!(|a, b, c, d| insert(a, b, c, d, 64)),
        ("lop3", B32) => lanes!(|a, b, c, d| lop3(a, b, c, d)),
        _ => return None,
    })
}

/// `prmt`: picks bytes of two words; a selector's top bit repeats the byte's sign.
pub fn prmt(m: &mut Modifiers) -> Row3 {
    fn bytes(a: u64, b: u64) -> [u8; 8] {
        ((b & 0xffff_ffff) << 32 | (a & 0xffff_ffff)).to_le_bytes()
    }
    fn gather(a: u64, b: u64, pick: [usize; 4]) -> u64 {
        let from = bytes(a, b);
        u32::from_le_bytes(pick.map(|i| from[i & 7])) as u64
    }
    match m.take_any(&["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"]) {
        None => lanes!(|a, b, c| {
            let from = bytes(a, b);
            let byte = |i: u32| match (c >> (4 * i)) & 15 {
                s if s & 8 != 0 => ((from[(s & 7) as usize] as i8) >> 7) as u8,
                s => from[s as usize],
            };
            u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]) as u64
        }),
        Some("f4e") => lanes!(|a, b, c| {
            let s = (c & 3) as usize;
            gather(a, b, [s, s + 1, s + 2, s + 3])
        }),
        Some("b4e") => lanes!(|a, b, c| {
            let s = (c & 3) as usize;
            gather(a, b, [s, s + 7, s + 6, s + 5])
        }),
        Some("rc8") => lanes!(|a, b, c| {
            let s = (c & 3) as usize;
            gather(a, b, [s; 4])
        }),
        Some("ecl") => lanes!(|a, b, c| {
            let s = (c & 3) as usize;
            gather(a, b, [s, 1.max(s), 2.max(s), 3])
        }),
        Some("ecr") => lanes!(|a, b, c| {
            let s = (c & 3) as usize;
            gather(a, b, [0, 1.min(s), 2.min(s), s])
        }),
        Some(_) => lanes!(|a, b, c| {
            let s = (c & 1) as usize * 2;
            gather(a, b, [s, s + 1, s, s + 1])
        }),
    }
}
