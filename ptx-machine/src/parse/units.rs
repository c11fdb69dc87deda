//! Instructions of the matrix units; those of copies are read by [`super::copies`].

use super::body::Body;
use super::copies::{asynchronous, bulk, copy, mbarrier};
use super::instruction::Found;
use super::lexer::Cursor;
use super::ParseError;
use crate::ir::units::{Factor, MatrixOp, Product};
use crate::ir::{Op, Reg, Space, Type};
use crate::machine::per_register;
use crate::ops::Modifiers;

/// Reads one of these instructions; none where the opcode is another or a variant is not supported.
pub fn units<'a>(body: &mut Body<'a>, base: &str, m: &mut Modifiers, c: &mut Cursor<'a, '_>) -> Found {
    Ok(match base {
        "mma" => mma(body, m, c)?.map(matrix),
        "wgmma" => wgmma(body, m, c)?.map(matrix),
        "ldmatrix" | "stmatrix" | "movmatrix" => moved(body, base, m, c)?.map(matrix),
        "cp" if m.take("async") => match m.take("bulk") {
            true => bulk(body, m, c)?,
            false => copy(body, m, c)?.map(asynchronous),
        },
        "mbarrier" => mbarrier(body, m, c)?.map(asynchronous),
        "setmaxnreg" => {
            let known =
                m.take_any(&["inc", "dec"]).is_some() && aligned(m) && m.take_type() == Some(Type::U32);
            c.integer()?;
            known.then_some(Op::Nop)
        }
        "griddepcontrol" => m.take_any(&["wait", "launch_dependents"]).map(|_| Op::Nop),
        _ => None,
    })
}

fn matrix(op: MatrixOp) -> Op {
    Op::Matrix(Box::new(op))
}

fn aligned(m: &mut Modifiers) -> bool {
    m.take("sync") && m.take("aligned")
}

/// A shape such as `m16n8k16`.
fn shape(word: &str) -> Option<(usize, usize, usize)> {
    let (rows, rest) = word.strip_prefix('m')?.split_once('n')?;
    let (columns, sums) = rest.split_once('k')?;
    Some((rows.parse().ok()?, columns.parse().ok()?, sums.parse().ok()?))
}

/// Registers in braces, as many as belong there.
pub fn list<'a>(body: &mut Body<'a>, c: &mut Cursor<'a, '_>, count: usize) -> Result<Box<[Reg]>, ParseError> {
    let list = body.sources(c)?;
    match list.len() == count {
        true => Ok(list),
        false => Err(c.error(format!("{} registers where {count} belong", list.len()))),
    }
}

fn sums<'a>(body: &mut Body<'a>, c: &mut Cursor<'a, '_>, count: usize) -> Result<Box<[Reg]>, ParseError> {
    let list = body.destinations(c)?;
    match (list.len() == count).then(|| list.iter().copied().collect::<Option<Box<[Reg]>>>()).flatten() {
        Some(list) => Ok(list),
        None => Err(c.error(format!("{} registers where {count} belong", list.len()))),
    }
}

/// The types a product of length `k` may have, in bits of its values.
fn supported(p: &Product, bits_of_k: usize) -> bool {
    let values = |ty| per_register(ty);
    let types = matches!(
        (p.d, p.a, p.b),
        (Type::F32 | Type::F16, Type::F16, Type::F16)
            | (Type::F32, Type::Bf16, Type::Bf16)
            | (Type::F32, Type::Tf32, Type::Tf32)
            | (Type::S32, Type::S8 | Type::U8, Type::S8 | Type::U8)
    );
    types && p.k * 32 / values(p.a) == bits_of_k
}

/// Registers of 16 × 8 sums.
fn in_sums(ty: Type) -> usize {
    if ty == Type::F16 {
        2
    } else {
        4
    }
}

fn mma<'a>(
    body: &mut Body<'a>,
    m: &mut Modifiers,
    c: &mut Cursor<'a, '_>,
) -> Result<Option<MatrixOp>, ParseError> {
    if !aligned(m) {
        return Ok(None);
    }
    let by_rows = |word: &str| ["col", "row"].iter().position(|w| *w == word).map(|at| at == 1);
    let (Some((rows, n, k)), Some(true), Some(false)) =
        (m.take_by(shape), m.take_by(by_rows), m.take_by(by_rows))
    else {
        return Ok(None);
    };
    let saturate = m.take("satfinite");
    let (Some(d), Some(a), Some(b), Some(sum)) = (m.take_type(), m.take_type(), m.take_type(), m.take_type())
    else {
        return Ok(None);
    };
    let product = Product { m: rows, n, k, a, b, d, saturate };
    if d != sum || saturate && d != Type::S32 {
        return Ok(None);
    }
    let shape_of_f16 = ((rows, n, k), [d, a, b]) == ((8, 8, 4), [Type::F32, Type::F16, Type::F16]);
    let (in_d, in_a, in_b) = match (rows, n) {
        (16, 8) if supported(&product, 128) => (in_sums(d), 2, 1),
        (16, 8) if supported(&product, 256) => (in_sums(d), 4, 2),
        _ if shape_of_f16 => (8, 2, 2),
        _ => return Ok(None),
    };
    let d = sums(body, c, in_d)?;
    c.expect(",")?;
    let a = list(body, c, in_a)?;
    c.expect(",")?;
    let b = list(body, c, in_b)?;
    c.expect(",")?;
    let c = list(body, c, in_d)?;
    Ok(Some(MatrixOp::Mma { product, d, a, b, c }))
}

fn moved<'a>(
    body: &mut Body<'a>,
    base: &str,
    m: &mut Modifiers,
    c: &mut Cursor<'a, '_>,
) -> Result<Option<MatrixOp>, ParseError> {
    if !aligned(m) || !m.take("m8n8") {
        return Ok(None);
    }
    let count = match m.take_any(&["x1", "x2", "x4"]) {
        Some("x1") => 1,
        Some("x2") => 2,
        Some(_) => 4,
        None if base == "movmatrix" => 1,
        None => return Ok(None),
    };
    let transposed = m.take("trans");
    let _ = m.take_any(&["shared", "shared::cta"]);
    if !m.take("b16") {
        return Ok(None);
    }
    body.accesses(Space::Shared, 16);
    Ok(Some(match base {
        "ldmatrix" => {
            let d = body.destinations(c)?;
            if d.len() != count {
                return Err(c.error(format!("{} registers for {count} matrices", d.len())));
            }
            c.expect(",")?;
            MatrixOp::Load { d, from: body.address(Space::Shared, c)?, transposed }
        }
        "stmatrix" => {
            let to = body.address(Space::Shared, c)?;
            c.expect(",")?;
            MatrixOp::Store { s: list(body, c, count)?, to, transposed }
        }
        _ if transposed => {
            let d = body.destination(c)?;
            c.expect(",")?;
            MatrixOp::Move { d, a: body.source(c)? }
        }
        _ => return Ok(None),
    }))
}

fn wgmma<'a>(
    body: &mut Body<'a>,
    m: &mut Modifiers,
    c: &mut Cursor<'a, '_>,
) -> Result<Option<MatrixOp>, ParseError> {
    body.warpgroups = true;
    let kind = m.take_any(&["fence", "commit_group", "wait_group", "mma_async"]);
    if !aligned(m) {
        return Ok(None);
    }
    match kind {
        Some("fence") => return Ok(Some(MatrixOp::WgmmaFence)),
        Some("commit_group") => return Ok(Some(MatrixOp::WgmmaCommit)),
        Some("wait_group") => return Ok(Some(MatrixOp::WgmmaWait { keep: keep(c)? })),
        Some(_) => {}
        None => return Ok(None),
    }
    let Some((rows, n, k)) = m.take_by(shape) else { return Ok(None) };
    let (Some(d), Some(a), Some(b)) = (m.take_type(), m.take_type(), m.take_type()) else { return Ok(None) };
    let product = Product { m: rows, n, k, a, b, d, saturate: m.take("satfinite") };
    if rows != 64
        || !(8..=256).contains(&n)
        || !n.is_multiple_of(8)
        || !supported(&product, 256)
        || product.saturate
    {
        return Ok(None);
    }
    body.accesses(Space::Shared, 16);
    let d = sums(body, c, n / if d == Type::F16 { 4 } else { 2 })?;
    c.expect(",")?;
    let in_registers = c.peek() == "{";
    let left = list(body, c, if in_registers { 4 } else { 1 })?;
    c.expect(",")?;
    let right = body.source(c)?;
    c.expect(",")?;
    let accumulate = body.condition(c)?;
    let (mut signs, mut transposed) = ([1, 1], [0, 0]);
    if product.d != Type::S32 {
        for s in &mut signs {
            c.expect(",")?;
            *s = c.integer()?;
        }
    }
    if per_register(product.a) == 2 {
        for t in &mut transposed[usize::from(in_registers)..] {
            c.expect(",")?;
            *t = c.integer()?;
        }
    }
    if signs.iter().any(|s| s.abs() != 1) || transposed.iter().any(|t| !(0..2).contains(t)) {
        return Err(c.error("signs are 1 or -1, transpositions 0 or 1"));
    }
    if in_registers && signs[0] < 0 {
        return Ok(None);
    }
    let factor = |i: usize, descriptor| Factor::Shared {
        descriptor,
        transposed: transposed[i] == 1,
        negate: signs[i] < 0,
    };
    let a = if in_registers { Factor::Registers(left) } else { factor(0, left[0]) };
    Ok(Some(MatrixOp::Wgmma { product, d, a, b: factor(1, right), accumulate }))
}

/// The number of groups that may stay under way.
pub fn keep(c: &mut Cursor) -> Result<u32, ParseError> {
    u32::try_from(c.integer()?).map_err(|_| c.error("a number of groups"))
}
