//! Instructions by which threads meet: barriers, fences and what the lanes of a warp do together.

use super::body::Body;
use super::instruction::{operands, Found};
use super::lexer::Cursor;
use super::memory::update;
use crate::ir::{Barrier, Fence, Op, Reduction, Shuffle, Type, Vote};
use crate::ops::Modifiers;

/// `bar` and `barrier`.
pub fn barrier<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
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

/// `shfl`, `vote`, `match`, `redux`, `elect`, `activemask`.
pub fn warp<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
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

/// `fence`.
pub fn fence(m: &mut Modifiers) -> Found {
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
