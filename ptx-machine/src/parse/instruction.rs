//! Opcodes: each with its modifiers and operands to one [`Op`]. A modifier that nobody takes, and an
//! operand too many, are errors: what is not understood is never passed over.

use super::body::Body;
use super::lexer::Cursor;
use super::memory::{address_conversion, atomic, memory, space_test};
use super::units::units;
use super::warp::{barrier, fence, warp};
use super::ParseError;
use crate::ir::{Condition, Fence, Logic, Op, Preset, Type};
use crate::ops::{bits, compare, convert, float, half_float, int, Modifiers};

/// Reads one instruction.
pub fn read<'a>(
    body: &mut Body<'a>,
    opcode: &'a str,
    c: &mut Cursor<'a, '_>,
    line: u32,
) -> Result<Op, ParseError> {
    let (base, mut m) = Modifiers::split(opcode);
    let op = operation(body, base, &mut m, c, line)?;
    let op = op.ok_or_else(|| c.error(format!("instruction '{opcode}' is not supported")))?;
    if !m.rest().is_empty() {
        return Err(c.error(format!("modifier '.{}' of '{opcode}' is not supported", m.rest().join("."))));
    }
    match c.rest().is_empty() {
        true => Ok(op),
        false => Err(c.error(format!("'{}' behind the operands of '{opcode}'", c.peek()))),
    }
}

/// An operation, or none where the opcode or a variant of it is not supported.
pub type Found = Result<Option<Op>, ParseError>;

fn operation<'a>(
    body: &mut Body<'a>,
    base: &str,
    m: &mut Modifiers,
    c: &mut Cursor<'a, '_>,
    line: u32,
) -> Found {
    match base {
        "ret" | "exit" => {
            let _ = m.take("uni");
            Ok(Some(Op::Exit))
        }
        "trap" => Ok(Some(Op::Trap)),
        "bra" => {
            let _ = m.take("uni");
            let label = c.word("a label")?;
            body.branch(label, line);
            Ok(Some(Op::Branch { target: 0 }))
        }
        "mov" => movement(body, m, c),
        "setp" | "set" => comparison(body, base, m, c),
        "selp" => {
            let Some(_) = m.take_type() else { return Ok(None) };
            let d = body.destination(c)?;
            c.expect(",")?;
            let a = body.source(c)?;
            c.expect(",")?;
            let b = body.source(c)?;
            c.expect(",")?;
            let p = body.condition(c)?;
            let (a, b) = if p.negate { (b, a) } else { (a, b) };
            Ok(Some(Op::Select { d, a, b, p: p.pred }))
        }
        "cvt" => conversion(body, m, c),
        "cvta" => address_conversion(body, m, c),
        "isspacep" => space_test(body, m, c),
        "ld" | "ldu" | "st" => memory(body, base, m, c),
        "atom" | "red" => atomic(body, base, m, c),
        "bar" | "barrier" => barrier(body, base, m, c),
        "shfl" | "vote" | "match" | "redux" | "elect" | "activemask" => warp(body, base, m, c),
        "membar" => Ok(m
            .take_any(&["cta", "gl", "sys"])
            .map(|w| Op::Fence(if w == "cta" { Fence::Block } else { Fence::Device }))),
        "fence" => fence(m),
        "nanosleep" => {
            m.take_type();
            body.source(c)?;
            Ok(Some(Op::Nop))
        }
        "prefetch" | "prefetchu" | "discard" | "applypriority" => {
            while m.take_by(|_| Some(())).is_some() {}
            while c.next().is_some() {}
            Ok(Some(Op::Nop))
        }
        "mma" | "wgmma" | "ldmatrix" | "stmatrix" | "movmatrix" | "cp" | "mbarrier" | "setmaxnreg"
        | "griddepcontrol" => units(body, base, m, c),
        _ => arithmetic(body, base, m, c),
    }
}

/// Instructions that map rows to a row.
fn arithmetic<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    if base == "dp4a" {
        let (Some(a), Some(b)) = (m.take_type(), m.take_type()) else { return Ok(None) };
        let Some(f) = int::dp4a(a, b) else { return Ok(None) };
        let (d, [a, b, c]) = operands(body, c)?;
        return Ok(Some(Op::Map3 { f, d, a, b, c }));
    }
    let Some(ty) = m.take_type() else { return Ok(None) };
    if ty == Type::Pred {
        return predicates(body, base, c);
    }
    let row1 = match base {
        "bfind" => bits::bfind(ty, m),
        _ => int::unary(base, ty, m)
            .or_else(|| bits::unary(base, ty, m))
            .or_else(|| float::unary(base, ty, m))
            .or_else(|| half_float::unary(base, ty, m)),
    };
    if let Some(f) = row1 {
        let (d, [a]) = operands(body, c)?;
        return Ok(Some(Op::Map1 { f, d, a }));
    }
    let row2 = bits::binary(base, ty, m)
        .or_else(|| float::binary(base, ty, m))
        .or_else(|| half_float::binary(base, ty, m))
        .or_else(|| int::binary(base, ty, m));
    if let Some(f) = row2 {
        let (d, [a, b]) = operands(body, c)?;
        return Ok(Some(Op::Map2 { f, d, a, b }));
    }
    let row3 = match base {
        "prmt" if ty == Type::B32 => Some(bits::prmt(m)),
        _ => bits::ternary(base, ty, m)
            .or_else(|| float::ternary(base, ty, m))
            .or_else(|| half_float::ternary(base, ty, m))
            .or_else(|| int::ternary(base, ty, m)),
    };
    if let Some(f) = row3 {
        let (d, [a, b, c]) = operands(body, c)?;
        return Ok(Some(Op::Map3 { f, d, a, b, c }));
    }
    if let Some(f) = bits::quaternary(base, ty, m) {
        let (d, s) = operands(body, c)?;
        return Ok(Some(Op::Map4 { f, d, s }));
    }
    Ok(None)
}

/// A destination and `N` sources.
pub fn operands<'a, const N: usize>(
    body: &mut Body<'a>,
    c: &mut Cursor<'a, '_>,
) -> Result<(u32, [u32; N]), ParseError> {
    let d = body.destination(c)?;
    let mut out = [0; N];
    for s in &mut out {
        c.expect(",")?;
        *s = body.source(c)?;
    }
    Ok((d, out))
}

fn predicates<'a>(body: &mut Body<'a>, base: &str, c: &mut Cursor<'a, '_>) -> Found {
    let logic = match base {
        "and" => Some(Logic::And),
        "or" => Some(Logic::Or),
        "xor" => Some(Logic::Xor),
        "not" => None,
        _ => return Ok(None),
    };
    let d = body.pred(c)?;
    c.expect(",")?;
    let a = body.condition(c)?;
    let Some(f) = logic else {
        return Ok(Some(Op::PredCopy { d, a: Condition { negate: !a.negate, ..a } }));
    };
    c.expect(",")?;
    let b = body.condition(c)?;
    Ok(Some(Op::PredLogic { f, d, a, b }))
}

fn movement<'a>(body: &mut Body<'a>, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let Some(ty) = m.take_type().filter(|t| t.bytes() <= 8) else { return Ok(None) };
    if ty == Type::Pred {
        let d = body.pred(c)?;
        c.expect(",")?;
        let a = body.condition(c)?;
        return Ok(Some(Op::PredCopy { d, a }));
    }
    let width = 8 * ty.bytes() as u32;
    if c.peek() == "{" {
        let parts = body.destinations(c)?;
        c.expect(",")?;
        let a = body.source(c)?;
        return Ok(Some(Op::Unpack { bits: part(width, parts.len(), c)?, parts, a }));
    }
    let d = body.destination(c)?;
    c.expect(",")?;
    match c.peek() {
        "{" => {
            let parts = body.sources(c)?;
            Ok(Some(Op::Pack { d, bits: part(width, parts.len(), c)?, parts }))
        }
        "%clock" | "%clock64" | "%globaltimer" => {
            c.next();
            Ok(Some(Op::Clock { d }))
        }
        _ => {
            let a = body.source(c)?;
            // A variable plus a constant.
            if c.take("+") {
                let b = body.source(c)?;
                let f = int::binary("add", Type::U64, m);
                return Ok(f.map(|f| Op::Map2 { f, d, a, b }));
            }
            let f = bits::binary("and", Type::B64, m).filter(|_| width < 64);
            match f {
                // Constants are kept at 64 bits: a narrower register takes what fits.
                Some(f) if body.width(a) > width => {
                    let b = body.preset(Preset::Value(u64::MAX >> (64 - width)));
                    Ok(Some(Op::Map2 { f, d, a, b }))
                }
                _ => Ok(Some(Op::Copy { d, a })),
            }
        }
    }
}

/// Bits of one part of a packed value.
fn part(width: u32, parts: usize, c: &Cursor) -> Result<u32, ParseError> {
    match parts {
        2 | 4 if width / parts as u32 >= 8 => Ok(width / parts as u32),
        _ => Err(c.error(format!("{parts} parts of {width} bits"))),
    }
}

fn comparison<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let logic = m.take_by(|w| match w {
        "and" => Some(Logic::And),
        "or" => Some(Logic::Or),
        "xor" => Some(Logic::Xor),
        _ => None,
    });
    let result = match base {
        "set" => m.take_type(),
        _ => None,
    };
    let Some(ty) = m.take_type() else { return Ok(None) };
    let Some(f) = compare::compare(ty, m) else { return Ok(None) };
    if base == "set" {
        let truth = match result {
            Some(Type::U32 | Type::S32) => 0xffff_ffff,
            Some(Type::F32) => 0x3f80_0000,
            _ => return Ok(None),
        };
        let (d, [a, b]) = operands(body, c)?;
        let with = combined(body, logic, c)?;
        return Ok(Some(Op::Set { f, d, a, b, with, truth }));
    }
    let d = body.maybe_pred(c)?;
    let second = match c.take("|") {
        true => body.maybe_pred(c)?,
        false => None,
    };
    c.expect(",")?;
    let a = body.source(c)?;
    c.expect(",")?;
    let b = body.source(c)?;
    let with = combined(body, logic, c)?;
    Ok(Some(match ty {
        Type::F16x2 | Type::Bf16x2 => Op::CompareHalves { f, d: [d, second], a, b, with },
        _ => Op::Compare { f, d, not_d: second, a, b, with },
    }))
}

fn combined<'a>(
    body: &mut Body<'a>,
    logic: Option<Logic>,
    c: &mut Cursor<'a, '_>,
) -> Result<Option<(Logic, Condition)>, ParseError> {
    let Some(logic) = logic else { return Ok(None) };
    c.expect(",")?;
    Ok(Some((logic, body.condition(c)?)))
}

fn conversion<'a>(body: &mut Body<'a>, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let Some(to) = m.take_type() else { return Ok(None) };
    let Some(from) = m.take_type() else { return Ok(None) };
    if matches!(to, Type::F16x2 | Type::Bf16x2) && from == Type::F32 {
        let Some(f) = convert::convert2(to, m) else { return Ok(None) };
        let (d, [a, b]) = operands(body, c)?;
        return Ok(Some(Op::Map2 { f, d, a, b }));
    }
    let Some(f) = convert::convert1(to, from, m) else { return Ok(None) };
    let (d, [a]) = operands(body, c)?;
    let bits = 8 * to.bytes() as u32;
    let extend = (to.signed() && body.width(d) > bits).then(|| (bits, body.width(d)));
    Ok(Some(Op::Convert { f, d, a, extend }))
}
