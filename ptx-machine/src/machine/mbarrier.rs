//! mbarriers: phases that complete when all arrivals and all announced bytes are there. The bytes of a
//! phase's copies arrive with its completion, and are ordered for those who then wait for it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::block::{Block, Flow};
use crate::ir::units::{CopyOp, Phase};
use crate::ir::LANES;
use crate::memory::clocks::{bits, Knowledge, Stamp};
use crate::memory::shared::Access;
use crate::memory::Refusal;

struct Mbarrier {
    count: u32,
    pending: u32,
    /// Bytes announced less bytes copied in this phase.
    bytes: i64,
    phase: u64,
    agent: u32,
    made: Stamp,
    /// Whether a fence makes its initialisation visible to the copy unit.
    fenced: bool,
    copies: Vec<(usize, Vec<u8>, u32)>,
    known: Knowledge,
    done: Rc<Knowledge>,
}

/// The mbarriers of a block, by their offset in shared memory.
#[derive(Default)]
pub struct Mbarriers {
    at: BTreeMap<usize, Mbarrier>,
}

impl Mbarriers {
    /// Those whose phase has begun and is not complete, for a report.
    pub fn describe(&self) -> String {
        let open = self.at.iter().filter(|(_, m)| m.pending < m.count || m.bytes != 0);
        open.map(|(at, m)| {
            format!(
                "; the mbarrier at {at} misses {} of {} arrivals and {} bytes in phase {}",
                m.pending, m.count, m.bytes, m.phase
            )
        })
        .collect()
    }

    /// A fence by lanes of a warp covers the mbarriers that they initialised.
    pub fn fence(&mut self, w: usize, lanes: u32) {
        for m in self.at.values_mut() {
            let who = m.made.who as usize;
            m.fenced |= who / LANES == w && lanes >> (who % LANES) & 1 == 1;
        }
    }
}

impl Block<'_> {
    fn mbarrier(&mut self, w: usize, lane: usize, at: u64) -> Result<(usize, &mut Mbarrier), Refusal> {
        let offset = self.shared.locate(at, 8, 8)?;
        let thread = self.thread(w, lane);
        let Some(m) = self.mbarriers.at.get_mut(&offset) else {
            return Err(format!("there is no mbarrier at shared address {offset}").into());
        };
        if !self.clocks.ordered(thread, m.made) {
            return Err(Refusal {
                text: format!("uses the mbarrier at {offset}, whose initialisation nothing orders before"),
                lane: Some(lane),
                other: None,
            });
        }
        Ok((offset, m))
    }

    /// One operation on mbarriers.
    pub fn mbarrier_operation(
        &mut self,
        w: usize,
        pc: u32,
        lanes: u32,
        op: &CopyOp,
    ) -> Result<Flow, Refusal> {
        let code = self.code;
        let address = match op {
            CopyOp::Init { at, .. }
            | CopyOp::Inval { at }
            | CopyOp::Arrive { at, .. }
            | CopyOp::Expect { at, .. }
            | CopyOp::Test { at, .. }
            | CopyOp::ArriveAfterCopies { at, .. } => self.base(w, *at, lanes)?,
            _ => return Ok(Flow::Next),
        };
        let row = |reg: Option<u32>| reg.map(|r| self.warps[w].row(code, r, lanes).copied()).transpose();
        match op {
            CopyOp::Init { count, .. } => {
                let count = *self.warps[w].row(code, *count, lanes)?;
                for lane in bits(lanes) {
                    let n = count[lane] as u32;
                    if n == 0 || n >= 1 << 20 {
                        return Err(Refusal::from(format!("an mbarrier for {n} arrivals")).of(lane));
                    }
                    let at = self.shared.locate(address[lane], 8, 8).map_err(|e| e.of(lane))?;
                    let thread = self.thread(w, lane);
                    let by = Access { thread, pc, strong: false };
                    self.shared.begin_mbarrier(&self.clocks, by, at).map_err(|e| e.of(lane))?;
                    let new = Mbarrier {
                        count: n,
                        pending: n,
                        bytes: 0,
                        phase: 0,
                        agent: self.clocks.agent(),
                        made: self.clocks.stamp(thread),
                        fenced: false,
                        copies: Vec::new(),
                        known: Knowledge::default(),
                        done: Rc::new(Knowledge::default()),
                    };
                    self.mbarriers.at.insert(at, new);
                }
                self.effects += 1;
            }
            CopyOp::Inval { .. } => {
                for lane in bits(lanes) {
                    let (at, _) = self.mbarrier(w, lane, address[lane])?;
                    self.mbarriers.at.remove(&at);
                    self.shared.end_mbarrier(at);
                }
            }
            CopyOp::Arrive { state, count, expect, drop, .. } => {
                let (count, expect) = (row(*count)?, row(*expect)?);
                for lane in bits(lanes) {
                    let n = count.map_or(1, |c| c[lane] as u32);
                    let bytes = expect.map_or(0, |e| e[lane] as u32 as i64);
                    let phase = self.arrive(w, lane, address[lane], n, bytes, *drop)?;
                    if let Some(state) = state {
                        self.warps[w].set_lane(*state, lane, phase);
                    }
                }
            }
            CopyOp::ArriveAfterCopies { noinc, .. } => {
                self.arrive_copies(w, lanes);
                for lane in bits(lanes) {
                    let (_, m) = self.mbarrier(w, lane, address[lane])?;
                    m.pending += !*noinc as u32;
                    self.arrive(w, lane, address[lane], 1, 0, false)?;
                }
            }
            CopyOp::Expect { bytes, .. } => {
                let bytes = *self.warps[w].row(code, *bytes, lanes)?;
                for lane in bits(lanes) {
                    self.mbarrier(w, lane, address[lane])?.1.bytes += bytes[lane] as u32 as i64;
                }
                self.effects += 1;
            }
            CopyOp::Test { p, phase, .. } => {
                let (reg, by_parity) = match phase {
                    Phase::Parity(reg) => (*reg, true),
                    Phase::State(reg) => (*reg, false),
                };
                let asked = *self.warps[w].row(code, reg, lanes)?;
                let (mut over, mut left) = (0, lanes);
                while left != 0 {
                    let lane = left.trailing_zeros() as usize;
                    let same =
                        bits(left).filter(|i| address[*i] == address[lane] && asked[*i] == asked[lane]);
                    let same = same.fold(0u32, |m, i| m | 1 << i);
                    left &= !same;
                    for lane in bits(same) {
                        self.mbarrier(w, lane, address[lane])?;
                    }
                    let (_, m) = self.mbarrier(w, lane, address[lane])?;
                    let complete = match by_parity {
                        true => m.phase & 1 != asked[lane] & 1,
                        false => m.phase != asked[lane],
                    };
                    if complete {
                        over |= same;
                        let done = m.done.clone();
                        self.clocks.acquire(w, same, &done);
                    }
                }
                self.warps[w].set_pred(*p, lanes, over);
                if over != lanes {
                    return Ok(Flow::Yield);
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    /// One lane arrives `n` times and announces bytes; the phase it arrives in.
    fn arrive(
        &mut self,
        w: usize,
        lane: usize,
        at: u64,
        n: u32,
        bytes: i64,
        drop: bool,
    ) -> Result<u64, Refusal> {
        let (offset, m) = self.mbarrier(w, lane, at)?;
        if n == 0 || n > m.pending {
            let text = format!("{n} arrivals at the mbarrier at {offset}, which awaits {} more", m.pending);
            return Err(Refusal::from(text).of(lane));
        }
        m.pending -= n;
        m.bytes += bytes;
        if drop {
            m.count -= n;
        }
        let phase = m.phase;
        let mut known = std::mem::take(&mut m.known);
        self.clocks.release(w, 1 << lane, &mut known);
        if let Some(m) = self.mbarriers.at.get_mut(&offset) {
            m.known = known;
        }
        self.effects += 1;
        self.complete(offset).map_err(|e| e.of(lane))?;
        Ok(phase)
    }

    /// A copy into shared memory is issued: its bytes arrive when the mbarrier's phase completes.
    pub fn transfer(
        &mut self,
        w: usize,
        pc: u32,
        lane: usize,
        mbarrier: u64,
        parts: Vec<(usize, Vec<u8>)>,
    ) -> Result<(), Refusal> {
        let (offset, m) = self.mbarrier(w, lane, mbarrier)?;
        if !m.fenced {
            return Err(
                "uses an mbarrier whose initialisation no fence makes visible to the copy unit".into()
            );
        }
        for (at, data) in parts {
            m.bytes -= data.len() as i64;
            m.copies.push((at, data, pc));
        }
        self.effects += 1;
        self.complete(offset)
    }

    /// Completes the phase if nothing is missing.
    fn complete(&mut self, offset: usize) -> Result<(), Refusal> {
        let Some(m) = self.mbarriers.at.get_mut(&offset) else { return Ok(()) };
        if m.pending > 0 || m.bytes > 0 {
            return Ok(());
        }
        if m.bytes < 0 {
            return Err(
                format!("{} bytes more than announced arrive at the mbarrier at {offset}", -m.bytes).into()
            );
        }
        let stamp = self.clocks.agent_stamp(m.agent);
        for (at, data, pc) in m.copies.drain(..) {
            self.shared.end_copy(at, &data, stamp, pc, true);
        }
        let mut known = std::mem::take(&mut m.known);
        known.join(&m.done);
        self.clocks.agent_release(m.agent, &mut known);
        m.done = Rc::new(known);
        m.phase += 1;
        m.pending = m.count;
        Ok(())
    }
}
