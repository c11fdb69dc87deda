//! The state of one warp: rows of registers with a mark per lane of whether it was written, and the
//! groups of lanes that stand at the same instruction.

use super::copies::{Bulk, Copies};
use super::wgmma::Unfinished;
use crate::ir::{Code, Condition, Pred, Preset, Reg, Row, ALWAYS, LANES, NEVER};
use crate::memory::clocks::bits;
use crate::memory::local::Local;
use crate::memory::Refusal;

/// Whether a group of lanes can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It can.
    Ready,
    /// It waits for something that others must do first.
    Spinning,
    /// It waits for other lanes of its warp to come to the same instruction.
    Converging,
    /// It waits at a block barrier.
    Barrier(u8),
}

/// Lanes that stand at the same instruction.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Number of the instruction.
    pub pc: u32,
    /// The lanes.
    pub lanes: u32,
    /// Whether they can go on.
    pub state: State,
}

/// One warp.
pub struct Warp {
    regs: Vec<Row>,
    init: Vec<u32>,
    preds: Vec<u32>,
    pred_init: Vec<u32>,
    /// Lanes that have not exited.
    pub live: u32,
    /// Where the live lanes are.
    pub groups: Vec<Group>,
    /// Stack frames.
    pub local: Local,
    /// Copies by `cp.async` that are not waited for.
    pub copies: Copies,
    /// Bulk copies out of shared memory that are not waited for.
    pub bulk: Bulk,
    /// Products of the warpgroup that are not waited for.
    pub wgmma: Unfinished,
    /// Rows written since the last `wgmma.fence`, where the entry has one.
    touched: Vec<bool>,
}

impl Warp {
    /// A warp of `lanes` at the first instruction; `preset` gives the rows that never change.
    pub fn new(code: &Code, lanes: u32, preset: impl Fn(Preset) -> Row) -> Warp {
        let poison = [0xdead_beef_dead_beef; LANES];
        let regs = code.rows.iter().map(|r| r.preset.map_or(poison, &preset)).collect();
        let init = code.rows.iter().map(|r| if r.preset.is_some() { u32::MAX } else { 0 }).collect();
        let mut preds = vec![0; code.preds];
        let mut pred_init = vec![0; code.preds];
        preds[ALWAYS as usize] = u32::MAX;
        pred_init[NEVER as usize] = u32::MAX;
        pred_init[ALWAYS as usize] = u32::MAX;
        let groups = vec![Group { pc: 0, lanes, state: State::Ready }];
        Warp {
            regs,
            init,
            preds,
            pred_init,
            live: lanes,
            groups,
            local: Local::new(code.local_bytes),
            copies: Copies::default(),
            bulk: Bulk::default(),
            wgmma: Unfinished::default(),
            touched: vec![false; if code.warpgroups { code.rows.len() } else { 0 }],
        }
    }

    /// A register that the lanes have written.
    #[inline]
    pub fn row(&self, code: &Code, reg: Reg, lanes: u32) -> Result<&Row, Refusal> {
        match lanes & !self.init[reg as usize] {
            0 => Ok(&self.regs[reg as usize]),
            _ if self.wgmma.holds(reg) => {
                let name = &code.rows[reg as usize].name;
                Err(format!("touches {name}, which holds sums of a wgmma that was not waited for").into())
            }
            missing => Err(unwritten(&code.rows[reg as usize].name, missing)),
        }
    }

    /// One lane of a register.
    #[inline]
    pub fn value(&self, code: &Code, reg: Reg, lane: usize) -> Result<u64, Refusal> {
        Ok(self.row(code, reg, 1 << lane)?[lane])
    }

    /// Writes a register in the lanes.
    #[inline]
    pub fn set(&mut self, reg: Reg, lanes: u32, row: &Row) {
        let to = &mut self.regs[reg as usize];
        match lanes {
            u32::MAX => *to = *row,
            _ => bits(lanes).for_each(|i| to[i] = row[i]),
        }
        self.init[reg as usize] |= lanes;
        if let Some(touched) = self.touched.get_mut(reg as usize) {
            *touched = true;
        }
    }

    /// Writes one lane of a register.
    #[inline]
    pub fn set_lane(&mut self, reg: Reg, lane: usize, value: u64) {
        self.regs[reg as usize][lane] = value;
        self.init[reg as usize] |= 1 << lane;
        if let Some(touched) = self.touched.get_mut(reg as usize) {
            *touched = true;
        }
    }

    /// Sums that a `wgmma` adds to: written, or held by one before it.
    pub fn sum_row(&self, code: &Code, reg: Reg) -> Result<&Row, Refusal> {
        match self.wgmma.holds(reg) {
            true => Ok(&self.regs[reg as usize]),
            false => self.row(code, reg, u32::MAX),
        }
    }

    /// Leaves sums that may not be read before [`Warp::finish_sum`].
    pub fn set_sum(&mut self, reg: Reg, row: &Row) {
        self.regs[reg as usize] = *row;
        self.init[reg as usize] = 0;
    }

    /// Sums may be read.
    pub fn finish_sum(&mut self, reg: Reg) {
        self.init[reg as usize] = u32::MAX;
    }

    /// `wgmma.fence`.
    pub fn wgmma_fence(&mut self) {
        self.touched.fill(false);
    }

    /// Whether a register was written since the last `wgmma.fence`.
    pub fn touched_since_fence(&self, reg: Reg) -> bool {
        self.touched.get(reg as usize).copied().unwrap_or(false)
    }

    /// Copies a register, with its marks.
    pub fn copy(&mut self, d: Reg, a: Reg, lanes: u32) {
        let row = self.regs[a as usize];
        let written = self.init[a as usize];
        self.set(d, lanes, &row);
        self.init[d as usize] &= !lanes | written;
    }

    /// A condition in the lanes; the bits of others are zero.
    #[inline]
    pub fn condition(&self, code: &Code, c: Condition, lanes: u32) -> Result<u32, Refusal> {
        let p = c.pred as usize;
        match lanes & !self.pred_init[p] {
            0 => Ok((if c.negate { !self.preds[p] } else { self.preds[p] }) & lanes),
            missing => Err(unwritten(&code.pred_names[p], missing)),
        }
    }

    /// Writes a predicate in the lanes.
    #[inline]
    pub fn set_pred(&mut self, p: Pred, lanes: u32, value: u32) {
        let p = p as usize;
        self.preds[p] = (self.preds[p] & !lanes) | (value & lanes);
        self.pred_init[p] |= lanes;
    }

    /// The group that goes on next: the one furthest behind. Groups at the same instruction become one.
    pub fn next(&mut self) -> Option<usize> {
        let pc = self.groups.iter().filter(|g| g.state == State::Ready).map(|g| g.pc).min()?;
        let mut first = None;
        let mut i = 0;
        while i < self.groups.len() {
            let g = self.groups[i];
            let joins = g.pc == pc && matches!(g.state, State::Ready | State::Converging);
            match (joins, first) {
                (true, None) => first = Some(i),
                (true, Some(f)) => {
                    let into: &mut Group = &mut self.groups[f];
                    into.lanes |= g.lanes;
                    self.groups.swap_remove(i);
                    continue;
                }
                _ => {}
            }
            i += 1;
        }
        if let Some(f) = first {
            self.groups[f].state = State::Ready;
        }
        first
    }

    /// The instruction up to which a group may run on alone.
    pub fn meeting(&self, group: usize) -> u32 {
        let others = || self.groups.iter().enumerate().filter(|(i, _)| *i != group).map(|(_, g)| g);
        if others().any(|g| g.state == State::Converging) {
            return 0;
        }
        others().filter(|g| g.state == State::Ready).map(|g| g.pc).min().unwrap_or(u32::MAX)
    }
}

fn unwritten(name: &str, lanes: u32) -> Refusal {
    Refusal::from(format!("reads {name}, which was never written")).of(lanes.trailing_zeros() as usize)
}
