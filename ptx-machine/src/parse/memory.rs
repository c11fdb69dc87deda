//! Instructions that access memory: `ld`, `st`, `atom`, `red`, and conversions of addresses.

use super::body::Body;
use super::instruction::{operands, Found};
use super::lexer::Cursor;
use crate::ir::{Op, Order, Space, Type, Update};
use crate::ops::Modifiers;

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

/// `cvta`.
pub fn address_conversion<'a>(body: &mut Body<'a>, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let to = m.take("to");
    let Some(space) = space(m) else { return Ok(None) };
    m.take_type();
    let (d, [a]) = operands(body, c)?;
    Ok(Some(match to {
        true => Op::FromGeneric { d, a, space },
        false => Op::ToGeneric { d, a, space },
    }))
}

/// `isspacep`.
pub fn space_test<'a>(body: &mut Body<'a>, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let Some(space) = space(m) else { return Ok(None) };
    let d = body.pred(c)?;
    c.expect(",")?;
    Ok(Some(Op::IsSpace { d, a: body.source(c)?, space }))
}

/// Takes hints that change no value, and how the access meets others.
fn ordering(m: &mut Modifiers) -> Order {
    let word = m.take_any(&["volatile", "relaxed", "acquire", "release", "acq_rel"]);
    let _ = m.take("weak");
    let scope = m.take_any(&["cta", "cluster", "gpu", "sys"]);
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
    Order {
        strong: word.is_some(),
        wide: !matches!(scope, Some("cta" | "cluster")),
        acquire: matches!(word, Some("acquire" | "acq_rel")),
        release: matches!(word, Some("release" | "acq_rel")),
    }
}

/// `ld` and `st`.
pub fn memory<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let space = space(m).unwrap_or(Space::Generic);
    let count = match m.take_any(&["v2", "v4", "v8"]) {
        None => 1,
        Some("v2") => 2,
        Some("v4") => 4,
        Some(_) => 8,
    };
    let order = ordering(m);
    let Some(ty) = m.take_type().filter(|t| (1..=8).contains(&t.bytes())) else { return Ok(None) };
    if ty.bytes() * count > 16 {
        return Err(c.error(format!("a vector of {count} values of {} bytes", ty.bytes())));
    }
    body.accesses(space, ty.bytes() * count);
    body.meets |= order.strong && matches!(space, Space::Global | Space::Generic);
    let check = |n: usize, c: &Cursor| match n == count {
        true => Ok(()),
        false => Err(c.error(format!("{n} registers for {count} values"))),
    };
    if base == "st" {
        let to = body.address(space, c)?;
        c.expect(",")?;
        let s = body.sources(c)?;
        check(s.len(), c)?;
        return Ok(Some(Op::Store { ty, s, to, order }));
    }
    let d = body.destinations(c)?;
    check(d.len(), c)?;
    c.expect(",")?;
    let from = body.address(space, c)?;
    Ok(Some(Op::Load { ty, d, from, order }))
}

/// What an atomic or a reduction does.
pub fn update(word: &str) -> Option<Update> {
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

/// `atom` and `red`.
pub fn atomic<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    let space = space(m).unwrap_or(Space::Generic);
    // Atomics that do not say so are relaxed.
    let order = Order { strong: true, ..ordering(m) };
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
    Ok(Some(Op::Atomic { update, ty, d, at, b, c: c2, order }))
}
