//! Instructions of the copies that run by themselves and of the mbarriers that complete them.

use super::body::Body;
use super::instruction::Found;
use super::lexer::Cursor;
use super::units::{keep, list};
use super::ParseError;
use crate::ir::units::{CopyOp, Phase};
use crate::ir::{Address, Op, Reg, Space};
use crate::ops::Modifiers;

/// An operation on copies as one of all.
pub fn asynchronous(op: CopyOp) -> Op {
    Op::Copies(Box::new(op))
}

/// `cp.async` but for its bulk forms.
pub fn copy<'a>(
    body: &mut Body<'a>,
    m: &mut Modifiers,
    c: &mut Cursor<'a, '_>,
) -> Result<Option<CopyOp>, ParseError> {
    if m.take("commit_group") {
        return Ok(Some(CopyOp::Commit));
    }
    if m.take("wait_group") {
        return Ok(Some(CopyOp::Wait { keep: keep(c)? }));
    }
    if m.take("wait_all") {
        return Ok(Some(CopyOp::WaitAll));
    }
    if m.take("mbarrier") {
        let known = m.take("arrive");
        let noinc = m.take("noinc");
        let _ = m.take_any(&["shared", "shared::cta"]);
        return Ok(match known && m.take("b64") {
            true => Some(CopyOp::ArriveAfterCopies { at: body.address(Space::Shared, c)?, noinc }),
            false => None,
        });
    }
    let Some(cache) = m.take_any(&["ca", "cg"]) else { return Ok(None) };
    let known = m.take_any(&["shared", "shared::cta"]).is_some() && m.take("global");
    let _ = m.take_any(&["L2::64B", "L2::128B", "L2::256B"]);
    if !known {
        return Ok(None);
    }
    let to = body.address(Space::Shared, c)?;
    c.expect(",")?;
    let from = body.address(Space::Global, c)?;
    c.expect(",")?;
    let bytes = c.integer()?;
    if !matches!((cache, bytes), (_, 16) | ("ca", 4 | 8)) {
        return Err(c.error(format!("cp.async.{cache} of {bytes} bytes")));
    }
    let (mut size, mut ignore) = (None, None);
    if c.take(",") {
        match body.is_pred(c) || c.peek() == "!" {
            true => ignore = Some(body.condition(c)?),
            false => size = Some(body.source(c)?),
        }
    }
    let bytes = bytes as u32;
    body.accesses(Space::Shared, bytes as usize);
    // A source size may be anything; words are fine enough, since copied data is rarely written beside.
    body.accesses(Space::Global, if size.is_some() { 4 } else { bytes as usize });
    Ok(Some(CopyOp::Copy { to, from, bytes, size, ignore }))
}

/// `cp.async.bulk`, of bytes and of tensors.
pub fn bulk<'a>(body: &mut Body<'a>, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    if m.take("commit_group") {
        return Ok(Some(asynchronous(CopyOp::BulkCommit)));
    }
    if m.take("wait_group") {
        // Without `.read` it also waits for the writes, which are made at once here.
        let _ = m.take("read");
        return Ok(Some(asynchronous(CopyOp::BulkWait { keep: keep(c)? })));
    }
    let dimensions = match m.take("tensor") {
        true => m.take_by(|w| w.strip_suffix('d')?.parse::<usize>().ok()),
        false => None,
    };
    let _ = m.take("tile");
    if m.take("prefetch") {
        while m.take_by(|_| Some(())).is_some() {}
        while c.next().is_some() {}
        return Ok(Some(Op::Nop));
    }
    body.accesses(Space::Shared, 16);
    let loads = m.take("mbarrier::complete_tx::bytes");
    body.accesses(
        Space::Global,
        match (dimensions, loads) {
            (None, _) => 16,
            (Some(_), true) => 4,
            (Some(_), false) => 1,
        },
    );
    if loads {
        let known = m.take_any(&["shared::cluster", "shared::cta"]).is_some() && m.take("global");
        if !known {
            return Ok(None);
        }
        let to = body.address(Space::Shared, c)?;
        c.expect(",")?;
        if let Some(n) = dimensions {
            let (map, at) = corner(body, c, n)?;
            c.expect(",")?;
            let mbarrier = body.address(Space::Shared, c)?;
            return Ok(Some(asynchronous(CopyOp::TensorLoad { to, map, at, mbarrier })));
        }
        let from = body.address(Space::Global, c)?;
        c.expect(",")?;
        let bytes = body.source(c)?;
        c.expect(",")?;
        let mbarrier = body.address(Space::Shared, c)?;
        return Ok(Some(asynchronous(CopyOp::BulkLoad { to, from, bytes, mbarrier })));
    }
    if !(m.take("bulk_group") && m.take("global") && m.take("shared::cta")) {
        return Ok(None);
    }
    if let Some(n) = dimensions {
        let (map, at) = corner(body, c, n)?;
        c.expect(",")?;
        let from = body.address(Space::Shared, c)?;
        return Ok(Some(asynchronous(CopyOp::TensorStore { map, at, from })));
    }
    let to = body.address(Space::Global, c)?;
    c.expect(",")?;
    let from = body.address(Space::Shared, c)?;
    c.expect(",")?;
    Ok(Some(asynchronous(CopyOp::BulkStore { to, from, bytes: body.source(c)? })))
}

/// `[map, {i, j, …}]`.
fn corner<'a>(
    body: &mut Body<'a>,
    c: &mut Cursor<'a, '_>,
    dimensions: usize,
) -> Result<(Address, Box<[Reg]>), ParseError> {
    c.expect("[")?;
    let map = body.address_inside(Space::Generic, c)?;
    c.expect(",")?;
    let at = list(body, c, dimensions)?;
    c.expect("]")?;
    Ok((map, at))
}

/// `mbarrier`.
pub fn mbarrier<'a>(
    body: &mut Body<'a>,
    m: &mut Modifiers,
    c: &mut Cursor<'a, '_>,
) -> Result<Option<CopyOp>, ParseError> {
    let words = &["init", "inval", "arrive", "arrive_drop", "expect_tx", "test_wait", "try_wait"];
    let Some(kind) = m.take_any(words) else { return Ok(None) };
    let expect = kind.starts_with("arrive") && m.take("expect_tx");
    let parity = m.take("parity");
    let _ = m.take_any(&["acquire", "release", "relaxed"]);
    let _ = m.take_any(&["cta", "cluster"]);
    let space = match m.take_any(&["shared", "shared::cta", "shared::cluster"]) {
        Some(_) => Space::Shared,
        None => Space::Generic,
    };
    if !m.take("b64") {
        return Ok(None);
    }
    body.accesses(Space::Shared, 8);
    Ok(Some(match kind {
        "init" => {
            let at = body.address(space, c)?;
            c.expect(",")?;
            CopyOp::Init { at, count: body.source(c)? }
        }
        "inval" => CopyOp::Inval { at: body.address(space, c)? },
        "expect_tx" => {
            let at = body.address(space, c)?;
            c.expect(",")?;
            CopyOp::Expect { at, bytes: body.source(c)? }
        }
        "arrive" | "arrive_drop" => {
            let state = body.maybe_destination(c)?;
            c.expect(",")?;
            let at = body.address(space, c)?;
            let more = if c.take(",") { Some(body.source(c)?) } else { None };
            let (count, expect) = if expect { (None, more) } else { (more, None) };
            CopyOp::Arrive { at, state, count, expect, drop: kind == "arrive_drop" }
        }
        _ => {
            let p = body.pred(c)?;
            c.expect(",")?;
            let at = body.address(space, c)?;
            c.expect(",")?;
            let phase = body.source(c)?;
            if c.take(",") {
                body.source(c)?;
            }
            CopyOp::Test { p, at, phase: if parity { Phase::Parity(phase) } else { Phase::State(phase) } }
        }
    }))
}
