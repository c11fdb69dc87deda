//! Opcodes: each with its modifiers and operands to one [`Op`]. A modifier that nobody takes, and an
//! operand too many, are errors: what is not understood is never passed over.

use super::body::Body;
use super::lexer::Cursor;
use super::units::units;
use super::ParseError;
use crate::ir::{
    Barrier, Condition, Fence, Logic, Op, Preset, Reduction, Shuffle, Space, Type, Update, Vote,
};
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

type Found = Result<Option<Op>, ParseError>;

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
        "isspacep" => {
            let Some(space) = space(m) else { return Ok(None) };
            let d = body.pred(c)?;
            c.expect(",")?;
            Ok(Some(Op::IsSpace { d, a: body.source(c)?, space }))
        }
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
fn operands<'a, const N: usize>(
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
    let Some(ty) = m.take_type() else { return Ok(None) };
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

/// A state space among the modifiers.
fn space(m: &mut Modifiers) -> Option<Space> {
    m.take_by(|w| {
        Some(match w {
            "global" => Space::Global,
            "shared" | "shared::cta" => Space::Shared,
            "local" => Space::Local,
            "const" => Space::Const,
            "param" | "param::entry" => Space::Param,
            _ => return None,
        })
    })
}

fn address_conversion<'a>(body: &mut Body<'a>, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let to = m.take("to");
    let Some(space) = space(m) else { return Ok(None) };
    m.take_type();
    let (d, [a]) = operands(body, c)?;
    Ok(Some(match to {
        true => Op::FromGeneric { d, a, space },
        false => Op::ToGeneric { d, a, space },
    }))
}

/// Takes hints that change no value; whether the access is one that may meet others.
fn ordering(m: &mut Modifiers) -> bool {
    let strong = m.take_any(&["volatile", "relaxed", "acquire", "release", "acq_rel"]).is_some();
    let _ = m.take("weak");
    let _ = m.take_any(&["cta", "cluster", "gpu", "sys"]);
    let _ = m.take_any(&["ca", "cg", "cs", "lu", "cv", "wb", "wt"]);
    for hint in [
        "nc",
        "L1::evict_last",
        "L1::evict_first",
        "L1::no_allocate",
        "L1::evict_normal",
        "L1::evict_unchanged",
    ] {
        let _ = m.take(hint);
    }
    let _ = m.take_any(&["L2::64B", "L2::128B", "L2::256B"]);
    strong
}

fn memory<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let space = space(m).unwrap_or(Space::Generic);
    let count = match m.take_any(&["v2", "v4", "v8"]) {
        None => 1,
        Some("v2") => 2,
        Some("v4") => 4,
        Some(_) => 8,
    };
    let strong = ordering(m);
    let Some(ty) = m.take_type().filter(|t| (1..=8).contains(&t.bytes())) else { return Ok(None) };
    if ty.bytes() * count > 16 {
        return Err(c.error(format!("a vector of {count} values of {} bytes", ty.bytes())));
    }
    body.accesses(space, ty.bytes() * count);
    let check = |n: usize, c: &Cursor| match n == count {
        true => Ok(()),
        false => Err(c.error(format!("{n} registers for {count} values"))),
    };
    if base == "st" {
        let to = body.address(space, c)?;
        c.expect(",")?;
        let s = body.sources(c)?;
        check(s.len(), c)?;
        return Ok(Some(Op::Store { ty, s, to, strong }));
    }
    let d = body.destinations(c)?;
    check(d.len(), c)?;
    c.expect(",")?;
    let from = body.address(space, c)?;
    Ok(Some(Op::Load { ty, d, from, strong }))
}

fn update(word: &str) -> Option<Update> {
    Some(match word {
        "add" => Update::Add,
        "min" => Update::Min,
        "max" => Update::Max,
        "and" => Update::And,
        "or" => Update::Or,
        "xor" => Update::Xor,
        "exch" => Update::Exch,
        "cas" => Update::Cas,
        "inc" => Update::Inc,
        "dec" => Update::Dec,
        _ => return None,
    })
}

fn atomic<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let space = space(m).unwrap_or(Space::Generic);
    let _ = ordering(m);
    let _ = m.take("noftz");
    let Some(update) = m.take_by(update) else { return Ok(None) };
    let Some(ty) = m.take_type().filter(|t| (2..=8).contains(&t.bytes())) else { return Ok(None) };
    let float = matches!(ty, Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2 | Type::F32 | Type::F64);
    if float && !matches!(update, Update::Add | Update::Exch) {
        return Ok(None);
    }
    body.accesses(space, ty.bytes());
    body.meets |= space != Space::Shared;
    let d = match base {
        "atom" => {
            let d = body.maybe_destination(c)?;
            c.expect(",")?;
            d
        }
        _ => None,
    };
    let at = body.address(space, c)?;
    c.expect(",")?;
    let b = body.source(c)?;
    let c2 = match update {
        Update::Cas => {
            c.expect(",")?;
            body.source(c)?
        }
        _ => b,
    };
    Ok(Some(Op::Atomic { update, ty, d, at, b, c: c2 }))
}

fn barrier<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    if m.take("warp") {
        m.take("sync");
        return Ok(Some(Op::WarpSync { mask: body.source(c)? }));
    }
    let _ = m.take("cta");
    let aligned = m.take("aligned") || base == "bar";
    let reduction = m.take("red");
    if reduction {
        let Some(kind) = m.take_any(&["popc", "and", "or"]) else { return Ok(None) };
        m.take_type();
        let result = match kind {
            "popc" => Reduction::Popc(body.destination(c)?),
            "and" => Reduction::And(body.pred(c)?),
            _ => Reduction::Or(body.pred(c)?),
        };
        c.expect(",")?;
        let id = body.source(c)?;
        c.expect(",")?;
        let count = match body.is_pred(c) || c.peek() == "!" {
            true => None,
            false => {
                let n = body.source(c)?;
                c.expect(",")?;
                Some(n)
            }
        };
        let kind = Barrier::Red(result, body.condition(c)?);
        return Ok(Some(Op::Barrier { kind, id, count, aligned }));
    }
    let kind = match m.take_any(&["sync", "arrive"]) {
        Some("sync") => Barrier::Sync,
        Some(_) => Barrier::Arrive,
        None => return Ok(None),
    };
    let id = body.source(c)?;
    let count = match c.take(",") {
        true => Some(body.source(c)?),
        false => None,
    };
    Ok(Some(Op::Barrier { kind, id, count, aligned }))
}

fn warp<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    if base != "activemask" && !m.take("sync") {
        return Err(c.error(format!("'{base}' without '.sync' is no longer in PTX")));
    }
    match base {
        "activemask" => {
            m.take_type();
            Ok(Some(Op::ActiveMask { d: body.destination(c)? }))
        }
        "shfl" => {
            let mode = match m.take_any(&["up", "down", "bfly", "idx"]) {
                Some("up") => Shuffle::Up,
                Some("down") => Shuffle::Down,
                Some("bfly") => Shuffle::Bfly,
                Some(_) => Shuffle::Idx,
                None => return Ok(None),
            };
            m.take_type();
            let d = body.destination(c)?;
            let p = match c.take("|") {
                true => body.maybe_pred(c)?,
                false => None,
            };
            let mut s = [0; 4];
            for s in &mut s {
                c.expect(",")?;
                *s = body.source(c)?;
            }
            let [a, b, clamp, mask] = s;
            Ok(Some(Op::Shuffle { mode, d, p, a, b, c: clamp, mask }))
        }
        "vote" => {
            let mode = match m.take_any(&["all", "any", "uni", "ballot"]) {
                Some("all") => Vote::All,
                Some("any") => Vote::Any,
                Some("uni") => Vote::Uni,
                Some(_) => Vote::Ballot,
                None => return Ok(None),
            };
            m.take_type();
            let (d, p) = match mode {
                Vote::Ballot => (body.destination(c)?, 0),
                _ => (0, body.pred(c)?),
            };
            c.expect(",")?;
            let a = body.condition(c)?;
            c.expect(",")?;
            Ok(Some(Op::Vote { mode, d, p, a, mask: body.source(c)? }))
        }
        "match" => {
            let all = match m.take_any(&["all", "any"]) {
                Some(word) => word == "all",
                None => return Ok(None),
            };
            m.take_type();
            let d = body.destination(c)?;
            let p = match c.take("|") {
                true => Some(body.pred(c)?),
                false => None,
            };
            c.expect(",")?;
            let a = body.source(c)?;
            c.expect(",")?;
            Ok(Some(Op::Match { all, d, p, a, mask: body.source(c)? }))
        }
        "redux" => {
            let Some(update) = m.take_by(update) else { return Ok(None) };
            let signed = m.take_type() == Some(Type::S32);
            let (d, [a, mask]) = operands(body, c)?;
            Ok(Some(Op::Redux { update, signed, d, a, mask }))
        }
        _ => {
            let d = body.maybe_destination(c)?;
            c.expect("|")?;
            let p = body.pred(c)?;
            c.expect(",")?;
            Ok(Some(Op::Elect { d, p, mask: body.source(c)? }))
        }
    }
}

fn fence(m: &mut Modifiers) -> Found {
    if m.take("proxy") {
        let kind = m.take_any(&["async", "alias", "async.global", "async.shared::cta"]);
        let _ = m.take_any(&["global", "shared::cta", "shared::cluster"]);
        return Ok(kind.map(|_| Op::Fence(Fence::ProxyAsync)));
    }
    if m.take("mbarrier_init") {
        let _ = m.take("release");
        let _ = m.take("cluster");
        return Ok(Some(Op::Fence(Fence::MbarrierInit)));
    }
    let _ = m.take_any(&["sc", "acq_rel", "acquire", "release"]);
    Ok(m.take_any(&["cta", "cluster", "gpu", "sys"])
        .map(|w| Op::Fence(if w == "cta" { Fence::Block } else { Fence::Device })))
}
