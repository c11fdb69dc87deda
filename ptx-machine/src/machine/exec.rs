//! What each operation does to a warp's registers; memory and warp operations have files of their own.

use super::block::{Block, Flow};
use super::warp::Warp;
use crate::ir::{Code, Compare, Condition, Fence, Logic, Op, Pred, Reg, Row, Space, LANES};
use crate::memory::address::{window, CONST, LOCAL, PARAM, SHARED};
use crate::memory::clocks::bits;
use crate::memory::Refusal;

fn compared(
    code: &Code,
    warp: &Warp,
    lanes: u32,
    result: u32,
    with: &Option<(Logic, Condition)>,
) -> Result<u32, Refusal> {
    match with {
        None => Ok(result),
        Some((logic, c)) => Ok(logic.apply(result, warp.condition(code, *c, lanes)?)),
    }
}

fn set_both(
    code: &Code,
    warp: &mut Warp,
    lanes: u32,
    yes: u32,
    (d, not_d): (Option<Pred>, Option<Pred>),
    with: &Option<(Logic, Condition)>,
) -> Result<(), Refusal> {
    let a = compared(code, warp, lanes, yes, with)?;
    let b = compared(code, warp, lanes, !yes, with)?;
    if let Some(d) = d {
        warp.set_pred(d, lanes, a);
    }
    if let Some(d) = not_d {
        warp.set_pred(d, lanes, b);
    }
    Ok(())
}

fn halves(code: &Code, warp: &Warp, lanes: u32, f: Compare, a: Reg, b: Reg) -> Result<[u32; 2], Refusal> {
    let (a, b) = (warp.row(code, a, lanes)?, warp.row(code, b, lanes)?);
    let high = |x: &Row| -> Row { std::array::from_fn(|i| x[i] >> 16) };
    Ok([f(a, b), f(&high(a), &high(b))])
}

fn start_of(space: Space) -> u64 {
    match space {
        Space::Shared => SHARED,
        Space::Local => LOCAL,
        Space::Param => PARAM,
        Space::Const => CONST,
        Space::Global | Space::Generic => 0,
    }
}

impl Block<'_> {
    /// Does an operation for the lanes of a warp, at least one.
    #[inline]
    pub fn execute(&mut self, w: usize, pc: u32, lanes: u32, op: &Op) -> Result<Flow, Refusal> {
        let code = self.code;
        let warp = &mut self.warps[w];
        match op {
            Op::Map1 { f, d, a } => {
                let out = f(warp.row(code, *a, lanes)?);
                warp.set(*d, lanes, &out);
            }
            Op::Map2 { f, d, a, b } => {
                let out = f(warp.row(code, *a, lanes)?, warp.row(code, *b, lanes)?);
                warp.set(*d, lanes, &out);
            }
            Op::Map3 { f, d, a, b, c } => {
                let out =
                    f(warp.row(code, *a, lanes)?, warp.row(code, *b, lanes)?, warp.row(code, *c, lanes)?);
                warp.set(*d, lanes, &out);
            }
            Op::Map4 { f, d, s } => {
                let [a, b, c, e] = s.map(|r| warp.row(code, r, lanes));
                let out = f(a?, b?, c?, e?);
                warp.set(*d, lanes, &out);
            }
            Op::Convert { f, d, a, extend } => {
                let mut out = f.apply(warp.row(code, *a, lanes)?);
                if let Some((from, to)) = extend {
                    out.iter_mut().for_each(|v| *v = sign_extend(*v, *from, *to));
                }
                warp.set(*d, lanes, &out);
            }
            Op::Copy { d, a } => warp.copy(*d, *a, lanes),
            Op::Compare { f, d, not_d, a, b, with } => {
                let yes = f(warp.row(code, *a, lanes)?, warp.row(code, *b, lanes)?);
                set_both(code, warp, lanes, yes, (*d, *not_d), with)?;
            }
            Op::CompareHalves { f, d, a, b, with } => {
                let yes = halves(code, warp, lanes, *f, *a, *b)?;
                for (d, yes) in d.iter().zip(yes) {
                    set_both(code, warp, lanes, yes, (*d, None), with)?;
                }
            }
            Op::Set { f, d, a, b, with, truth } => {
                let yes = f(warp.row(code, *a, lanes)?, warp.row(code, *b, lanes)?);
                let yes = compared(code, warp, lanes, yes, with)?;
                warp.set(*d, lanes, &std::array::from_fn(|i| if yes >> i & 1 == 1 { *truth } else { 0 }));
            }
            Op::Select { d, a, b, p } => {
                let yes = warp.condition(code, Condition { pred: *p, negate: false }, lanes)?;
                let a = *warp.row(code, *a, yes)?;
                let b = *warp.row(code, *b, lanes & !yes)?;
                warp.set(*d, lanes, &std::array::from_fn(|i| if yes >> i & 1 == 1 { a[i] } else { b[i] }));
            }
            Op::PredCopy { d, a } => {
                let value = warp.condition(code, *a, lanes)?;
                warp.set_pred(*d, lanes, value);
            }
            Op::PredLogic { f, d, a, b } => {
                let value = f.apply(warp.condition(code, *a, lanes)?, warp.condition(code, *b, lanes)?);
                warp.set_pred(*d, lanes, value);
            }
            Op::Pack { d, parts, bits } => {
                let mut out = [0; LANES];
                for (j, part) in parts.iter().enumerate() {
                    let row = warp.row(code, *part, lanes)?;
                    let keep = u64::MAX >> (64 - bits);
                    for i in 0..LANES {
                        out[i] |= (row[i] & keep) << (j as u32 * bits);
                    }
                }
                warp.set(*d, lanes, &out);
            }
            Op::Unpack { parts, a, bits } => {
                let row = *warp.row(code, *a, lanes)?;
                let keep = u64::MAX >> (64 - bits);
                for (j, part) in parts.iter().enumerate() {
                    if let Some(d) = part {
                        warp.set(*d, lanes, &row.map(|v| v >> (j as u32 * bits) & keep));
                    }
                }
            }
            Op::ToGeneric { d, a, space } => {
                let out = warp.row(code, *a, lanes)?.map(|v| v.wrapping_add(start_of(*space)));
                warp.set(*d, lanes, &out);
            }
            Op::FromGeneric { d, a, space } => {
                let row = *warp.row(code, *a, lanes)?;
                let start = start_of(*space);
                if let Some(i) = bits(lanes).find(|i| window(row[*i]) != start) {
                    let text = format!("address {:#x} is not in {space:?} memory", row[i]).to_lowercase();
                    return Err(Refusal::from(text).of(i));
                }
                warp.set(*d, lanes, &row.map(|v| v.wrapping_sub(start)));
            }
            Op::IsSpace { d, a, space } => {
                let row = warp.row(code, *a, lanes)?;
                let yes =
                    bits(lanes).filter(|i| window(row[*i]) == start_of(*space)).fold(0, |m, i| m | 1 << i);
                warp.set_pred(*d, lanes, yes);
            }
            Op::Load { ty, d, from, order } => self.load(w, pc, lanes, *ty, d, *from, *order)?,
            Op::Store { ty, s, to, order } => self.store(w, pc, lanes, *ty, s, *to, *order)?,
            Op::Atomic { update, ty, d, at, b, c, order } => {
                self.atomic(w, pc, lanes, *update, *ty, *d, *at, *b, *c, *order)?
            }
            Op::Barrier { kind, id, count, aligned } => {
                return self.barrier(w, lanes, *kind, *id, *count, *aligned);
            }
            Op::ActiveMask { d } => warp.set(*d, lanes, &[lanes as u64; LANES]),
            Op::Clock { d } => warp.set(*d, lanes, &[0; LANES]),
            Op::WarpSync { .. }
            | Op::Shuffle { .. }
            | Op::Vote { .. }
            | Op::Match { .. }
            | Op::Redux { .. }
            | Op::Elect { .. } => return self.warp_operation(w, lanes, op),
            Op::Fence(Fence::ProxyAsync) => self.proxy_fence(w, lanes),
            Op::Fence(Fence::MbarrierInit) => self.mbarriers.fence(w, lanes),
            Op::Fence(Fence::Device) => self.fence(w, lanes),
            Op::Fence(Fence::Block) | Op::Nop => {}
            Op::Matrix(op) => return self.matrix(w, pc, lanes, op),
            Op::Copies(op) => return self.copy_operation(w, pc, lanes, op),
            Op::Trap => return Err("executes a trap".into()),
            Op::Branch { .. } | Op::Exit => {}
        }
        Ok(Flow::Next)
    }
}

/// Repeats bit `from - 1` up to bit `to - 1`.
pub fn sign_extend(value: u64, from: u32, to: u32) -> u64 {
    let shift = 64 - from;
    let wide = ((value << shift) as i64 >> shift) as u64;
    wide & (u64::MAX >> (64 - to))
}
