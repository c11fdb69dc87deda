//! What the lanes of a warp do together: `shfl`, `vote`, `match`, `redux`, `elect`, `bar.warp.sync`.
//! All lanes that the mask names must come to the instruction.

use std::rc::Rc;

use super::block::{ranges, Block, Flow};
use crate::ir::{Op, Reg, Shuffle, Update, Vote, LANES};
use crate::memory::clocks::{bits, Knowledge};
use crate::memory::Refusal;

impl Block<'_> {
    /// The lanes a mask names, or none where some of them have not come yet.
    fn members(&self, w: usize, lanes: u32, mask: Reg) -> Result<Option<u32>, Refusal> {
        let warp = &self.warps[w];
        let row = warp.row(self.code, mask, lanes)?;
        let mut all = 0;
        for lane in bits(lanes) {
            let members = row[lane] as u32;
            if members >> lane & 1 == 0 {
                return Err(
                    Refusal::from(format!("the mask {members:#010x} leaves out its own lane")).of(lane)
                );
            }
            let gone = members & !warp.live;
            if gone != 0 {
                return Err(Refusal::from(format!(
                    "the mask names lanes {}, which have exited",
                    ranges(gone)
                ))
                .of(lane));
            }
            all |= members;
        }
        Ok((all & !lanes == 0).then_some(all))
    }

    /// One of the operations of this file.
    pub fn warp_operation(&mut self, w: usize, lanes: u32, op: &Op) -> Result<Flow, Refusal> {
        let mask = match op {
            Op::WarpSync { mask }
            | Op::Shuffle { mask, .. }
            | Op::Vote { mask, .. }
            | Op::Match { mask, .. }
            | Op::Redux { mask, .. }
            | Op::Elect { mask, .. } => *mask,
            _ => return Ok(Flow::Next),
        };
        if self.members(w, lanes, mask)?.is_none() {
            return Ok(Flow::Converge);
        }
        let code = self.code;
        let masks = *self.warps[w].row(code, mask, lanes)?;
        let warp = &mut self.warps[w];
        match op {
            Op::WarpSync { .. } => {
                let mut left = lanes;
                while left != 0 {
                    let group = masks[left.trailing_zeros() as usize] as u32;
                    let mut known = Knowledge::default();
                    self.clocks.release(w, group, &mut known);
                    self.clocks.acquire(w, group, &Rc::new(known));
                    left &= !group;
                }
                self.effects += 1;
            }
            Op::Shuffle { mode, d, p, a, b, c, .. } => {
                let a = *warp.row(code, *a, lanes)?;
                let (b, c) = (*warp.row(code, *b, lanes)?, *warp.row(code, *c, lanes)?);
                let (mut out, mut inside) = ([0; LANES], 0u32);
                for lane in bits(lanes) {
                    let (from, ok) = source(*mode, lane as u32, b[lane] as u32, c[lane] as u32);
                    if lanes >> from & 1 == 0 {
                        let text = format!("reads lane {from}, which does not execute the shuffle");
                        return Err(Refusal::from(text).of(lane));
                    }
                    out[lane] = a[from as usize];
                    inside |= (ok as u32) << lane;
                }
                warp.set(*d, lanes, &out);
                if let Some(p) = p {
                    warp.set_pred(*p, lanes, inside);
                }
            }
            Op::Vote { mode, d, p, a, .. } => {
                let yes = warp.condition(code, *a, lanes)?;
                let (mut all, mut out) = (0, [0; LANES]);
                for lane in bits(lanes) {
                    let members = masks[lane] as u32;
                    let yes = yes & members;
                    out[lane] = yes as u64;
                    let holds = match mode {
                        Vote::All => yes == members,
                        Vote::Any => yes != 0,
                        Vote::Uni => yes == members || yes == 0,
                        Vote::Ballot => false,
                    };
                    all |= (holds as u32) << lane;
                }
                match mode {
                    Vote::Ballot => warp.set(*d, lanes, &out),
                    _ => warp.set_pred(*p, lanes, all),
                }
            }
            Op::Match { all, d, p, a, .. } => {
                let row = *warp.row(code, *a, lanes)?;
                let (mut out, mut same) = ([0; LANES], 0u32);
                for lane in bits(lanes) {
                    let members = masks[lane] as u32;
                    let equal = bits(members).filter(|i| row[*i] == row[lane]).fold(0u32, |m, i| m | 1 << i);
                    let whole = equal == members;
                    out[lane] = if *all && !whole { 0 } else { equal as u64 };
                    same |= (whole as u32) << lane;
                }
                warp.set(*d, lanes, &out);
                if let Some(p) = p {
                    warp.set_pred(*p, lanes, same);
                }
            }
            Op::Redux { update, signed, d, a, .. } => {
                let row = *warp.row(code, *a, lanes)?;
                let fold = |x: u32, y: u32| match update {
                    Update::Add => x.wrapping_add(y),
                    Update::Min if *signed => (x as i32).min(y as i32) as u32,
                    Update::Max if *signed => (x as i32).max(y as i32) as u32,
                    Update::Min => x.min(y),
                    Update::Max => x.max(y),
                    Update::And => x & y,
                    Update::Or => x | y,
                    _ => x ^ y,
                };
                let mut out = [0; LANES];
                for lane in bits(lanes) {
                    let members = bits(masks[lane] as u32).map(|i| row[i] as u32);
                    out[lane] = members.reduce(fold).unwrap_or(0) as u64;
                }
                warp.set(*d, lanes, &out);
            }
            Op::Elect { d, p, .. } => {
                let (mut out, mut chosen) = ([0; LANES], 0);
                for lane in bits(lanes) {
                    out[lane] = (masks[lane] as u32).trailing_zeros() as u64;
                    chosen |= 1 << out[lane];
                }
                warp.set_pred(*p, lanes, chosen);
                if let Some(d) = d {
                    warp.set(*d, lanes, &out);
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }
}

/// The lane a shuffle reads, and whether it lies inside its segment (PTX manual, `shfl.sync`).
pub fn source(mode: Shuffle, lane: u32, b: u32, c: u32) -> (u32, bool) {
    let (b, clamp, segment) = (b & 31, c & 31, c >> 8 & 31);
    let most = (lane & segment) | (clamp & !segment);
    let least = lane & segment;
    let (from, ok) = match mode {
        Shuffle::Up => (lane.wrapping_sub(b), lane as i32 - b as i32 >= most as i32),
        Shuffle::Down => (lane + b, lane + b <= most),
        Shuffle::Bfly => (lane ^ b, lane ^ b <= most),
        Shuffle::Idx => {
            let from = least | (b & !segment);
            (from, from <= most)
        }
    };
    if ok {
        (from & 31, true)
    } else {
        (lane, false)
    }
}
