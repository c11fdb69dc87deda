//! Block barriers: who has arrived, who waits, what they hand to each other.

use std::rc::Rc;

use super::block::{ranges, Block, Flow};
use super::warp::State;
use crate::ir::{Barrier, Reduction, Reg};
use crate::memory::clocks::Knowledge;
use crate::memory::Refusal;

#[derive(Default)]
struct Waiting {
    /// Threads expected, where the instruction says so.
    expected: Option<u32>,
    arrived: u32,
    /// Lanes that wait, by warp.
    lanes: Vec<(usize, u32)>,
    /// Threads for which the condition of a `bar.red` holds.
    holds: u32,
    results: Vec<(usize, u32, Reduction)>,
    known: Knowledge,
}

/// The sixteen barriers of a block.
#[derive(Default)]
pub struct Barriers {
    slots: [Waiting; 16],
}

impl Barriers {
    /// Counts of the barriers at which somebody waits, for a report.
    pub fn describe(&self) -> String {
        let open = self.slots.iter().enumerate().filter(|(_, b)| b.arrived > 0);
        open.map(|(id, b)| match b.expected {
            Some(n) => format!("; barrier {id} has {} of {n} threads", b.arrived),
            None => format!("; barrier {id} has {} threads", b.arrived),
        })
        .collect()
    }
}

impl Block<'_> {
    /// `bar` and `barrier`: the lanes arrive, and wait unless they only arrive.
    pub fn barrier(
        &mut self,
        w: usize,
        lanes: u32,
        kind: Barrier,
        id: Reg,
        count: Option<Reg>,
        aligned: bool,
    ) -> Result<Flow, Refusal> {
        let code = self.code;
        let warp = &self.warps[w];
        if aligned && lanes != warp.live {
            return Ok(Flow::Converge);
        }
        let first = lanes.trailing_zeros() as usize;
        let ids = warp.row(code, id, lanes)?;
        let id = ids[first];
        if id > 15 {
            return Err(format!("barrier {id} does not exist: 0 to 15").into());
        }
        let threads = self.launch.block.iter().product::<u32>();
        let expected = match count {
            None => None,
            Some(reg) => {
                let n = warp.row(code, reg, lanes)?[first] as u32;
                if n == 0 || !n.is_multiple_of(32) || n > threads.next_multiple_of(32) {
                    return Err(format!("a barrier for {n} threads in a block of {threads}").into());
                }
                Some(n)
            }
        };
        let holds = match kind {
            Barrier::Red(_, c) => warp.condition(code, c, lanes)?.count_ones(),
            _ => 0,
        };
        let slot = &mut self.barriers.slots[id as usize];
        if slot.arrived > 0 && slot.expected != expected {
            return Err(format!("barrier {id} is used with different numbers of threads").into());
        }
        if slot.lanes.iter().any(|(other, l)| *other == w && l & lanes != 0) {
            return Err(format!("lanes {} arrive twice at barrier {id}", ranges(lanes)).into());
        }
        slot.expected = expected;
        slot.arrived += lanes.count_ones();
        slot.holds += holds;
        self.clocks.release(w, lanes, &mut slot.known);
        if slot.expected.is_some_and(|n| slot.arrived > n) {
            return Err(format!(
                "{} threads arrive at barrier {id}, which expects {:?}",
                slot.arrived, slot.expected
            )
            .into());
        }
        match kind {
            Barrier::Arrive => {
                self.effects += 1;
                self.release_barriers();
                return Ok(Flow::Next);
            }
            Barrier::Sync => {}
            Barrier::Red(result, _) => slot.results.push((w, lanes, result)),
        }
        slot.lanes.push((w, lanes));
        Ok(Flow::Barrier(id as u8))
    }

    /// Lets go whoever waits at a barrier that is complete.
    pub fn release_barriers(&mut self) {
        let live: u32 = self.warps.iter().map(|w| w.live.count_ones()).sum();
        for id in 0..16 {
            let slot = &self.barriers.slots[id];
            if slot.arrived == 0 || slot.arrived < slot.expected.unwrap_or(live) {
                continue;
            }
            let done = std::mem::take(&mut self.barriers.slots[id]);
            let known = Rc::new(done.known);
            let mut waited = 0;
            for (w, lanes) in &done.lanes {
                self.clocks.replace(*w, *lanes, &known);
                waited += lanes.count_ones();
                for g in &mut self.warps[*w].groups {
                    if g.state == State::Barrier(id as u8) && g.lanes & lanes != 0 {
                        g.state = State::Ready;
                    }
                }
            }
            if waited == live {
                self.clocks.met();
            }
            for (w, lanes, result) in done.results {
                let warp = &mut self.warps[w];
                match result {
                    Reduction::Popc(d) => warp.set(d, lanes, &[done.holds as u64; 32]),
                    Reduction::And(p) => {
                        warp.set_pred(p, lanes, if done.holds == done.arrived { !0 } else { 0 })
                    }
                    Reduction::Or(p) => warp.set_pred(p, lanes, if done.holds > 0 { !0 } else { 0 }),
                }
            }
            self.effects += 1;
        }
    }
}
