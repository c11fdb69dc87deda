//! One block: its warps take turns until each waits, exits or the block is stuck. It may be halted anywhere, for
//! others to go on.

use super::access::Meetings;
use super::barrier::Barriers;
use super::fault::{fault, place, source_line, Fault};
use super::launch::Launch;
use super::mbarrier::Mbarriers;
use super::warp::{Group, State, Warp};
use crate::ir::{Code, Inst, Op, Preset, Row, Special, LANES};
use crate::memory::clocks::{bits, Clocks};
use crate::memory::global::Memory;
use crate::memory::proxy::Proxies;
use crate::memory::races::Races;
use crate::memory::shared::Shared;
use crate::memory::Refusal;

/// Instructions a group may take before others get a turn.
const SLICE: u64 = 1 << 16;

/// What an instruction does to the lanes that execute it.
pub enum Flow {
    /// They go on.
    Next,
    /// They stay and take the instruction again once others of the warp have come to it.
    Converge,
    /// They go on, but others first: what they looked for is not there yet.
    Yield,
    /// They wait at a barrier and go on behind it.
    Barrier(u8),
}

/// A block while it runs.
#[allow(missing_docs)]
pub struct Block<'a> {
    pub code: &'a Code,
    pub launch: &'a Launch,
    pub memory: &'a Memory,
    pub races: &'a Races,
    pub params: &'a [u8],
    pub index: u64,
    pub at: [u32; 3],
    pub shared: Shared,
    pub clocks: Clocks,
    pub warps: Vec<Warp>,
    pub barriers: Barriers,
    pub mbarriers: Mbarriers,
    pub proxies: Proxies,
    /// What fences of each thread do, where blocks meet.
    pub meetings: Vec<Meetings>,
    /// Counts what others may be waiting for.
    pub effects: u64,
    executed: Vec<u64>,
    steps: u64,
    /// The warp whose turn it is, of a round that began with so many effects.
    turn: usize,
    before: u64,
    /// Rounds in a row in which nothing happened.
    idle: u32,
    /// Whether a warp of this round was halted.
    halted: bool,
}

impl<'a> Block<'a> {
    /// A block before its first instruction.
    pub fn new(
        code: &'a Code,
        launch: &'a Launch,
        memory: &'a Memory,
        races: &'a Races,
        params: &'a [u8],
        index: u64,
        at: [u32; 3],
    ) -> Block<'a> {
        let threads = launch.block.iter().product::<u32>() as usize;
        let shared = match launch.shared_bytes {
            0 => code.shared_bytes,
            dynamic => code.shared_bytes.next_multiple_of(code.dynamic_align) + dynamic,
        };
        let warps = (0..threads.div_ceil(LANES)).map(|w| {
            let lanes = (threads - w * LANES).min(LANES);
            Warp::new(code, u32::MAX >> (LANES - lanes), |p| preset(code, launch, p, w, at, shared))
        });
        Block {
            warps: warps.collect(),
            shared: Shared::new(shared, code.grain.shared),
            clocks: Clocks::new(threads),
            barriers: Barriers::default(),
            mbarriers: Mbarriers::default(),
            proxies: Proxies::new(threads),
            meetings: vec![Meetings::default(); if code.meets { threads } else { 0 }],
            effects: 0,
            executed: vec![0; code.insts.len()],
            steps: 0,
            turn: 0,
            before: 0,
            idle: 0,
            halted: false,
            code,
            launch,
            memory,
            races,
            params,
            index,
            at,
        }
    }

    /// Runs to the end; how often each instruction was executed.
    pub fn run(&mut self) -> Result<Vec<u64>, Box<Fault>> {
        while self.lives() {
            self.advance(u64::MAX)?;
        }
        Ok(self.executed())
    }

    /// Whether a thread has not exited.
    pub fn lives(&self) -> bool {
        self.warps.iter().any(|w| w.live != 0)
    }

    /// How often each instruction was executed.
    pub fn executed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.executed)
    }

    /// Instructions so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on for so many instructions, or to the end.
    pub fn advance(&mut self, instructions: u64) -> Result<(), Box<Fault>> {
        let end = self.steps.saturating_add(instructions);
        while self.lives() && self.steps < end {
            if self.turn == 0 {
                (self.before, self.halted) = (self.effects, false);
            }
            self.run_warp(self.turn, end)?;
            self.halted |= self.steps >= end;
            self.turn = (self.turn + 1) % self.warps.len();
            if self.turn == 0 {
                self.idle = if self.effects == self.before && !self.halted { self.idle + 1 } else { 0 };
                if self.idle > 2 {
                    return Err(self.stuck(None));
                }
            }
        }
        Ok(())
    }

    /// Runs a warp until none of its lanes can go on, or to a number of the block's instructions.
    fn run_warp(&mut self, w: usize, end: u64) -> Result<(), Box<Fault>> {
        for g in &mut self.warps[w].groups {
            if g.state == State::Spinning {
                g.state = State::Ready;
            }
        }
        while self.steps < end {
            let Some(g) = self.warps[w].next() else { break };
            let limit = self.warps[w].meeting(g);
            let mut slice = 0;
            loop {
                let Group { pc, lanes, .. } = self.warps[w].groups[g];
                self.steps += 1;
                slice += 1;
                if self.steps > self.launch.budget {
                    let what = format!(
                        "still runs after {} instructions: a loop that does not end",
                        self.launch.budget
                    );
                    return Err(self.fault(w, lanes, pc, what.into()));
                }
                match self.step(w, g, pc, lanes) {
                    Ok(true) if slice < SLICE && self.warps[w].groups[g].pc < limit && self.steps < end => {}
                    Ok(true) => {
                        if slice >= SLICE {
                            self.warps[w].groups[g].state = State::Spinning;
                            self.effects += 1;
                        }
                        break;
                    }
                    Ok(false) => break,
                    Err(refusal) => return Err(self.fault(w, lanes, pc, refusal)),
                }
            }
        }
        Ok(())
    }

    /// One instruction for one group; whether the group still is one and can go on.
    #[inline]
    fn step(&mut self, w: usize, g: usize, pc: u32, lanes: u32) -> Result<bool, Refusal> {
        let code = self.code;
        let inst: &Inst = &code.insts[pc as usize];
        let active = match inst.guard {
            None => lanes,
            Some(c) => self.warps[w].condition(code, c, lanes)?,
        };
        self.executed[pc as usize] += (active != 0 || matches!(inst.op, Op::Branch { .. })) as u64;
        match &inst.op {
            Op::Branch { target } => {
                if active == lanes {
                    self.warps[w].groups[g].pc = *target;
                    return Ok(true);
                }
                let warp = &mut self.warps[w];
                warp.groups[g] = Group { pc: pc + 1, lanes: lanes & !active, state: State::Ready };
                if active != 0 {
                    warp.groups.push(Group { pc: *target, lanes: active, state: State::Ready });
                    return Ok(false);
                }
                Ok(true)
            }
            Op::Exit => {
                if active == 0 {
                    self.warps[w].groups[g].pc = pc + 1;
                    return Ok(true);
                }
                self.exit(w, active)?;
                let warp = &mut self.warps[w];
                warp.live &= !active;
                match lanes & !active {
                    0 => {
                        warp.groups.swap_remove(g);
                    }
                    rest => warp.groups[g] = Group { pc: pc + 1, lanes: rest, state: State::Ready },
                }
                self.effects += 1;
                self.release_barriers();
                Ok(false)
            }
            op => {
                let flow = match active {
                    0 => Flow::Next,
                    _ => self.execute(w, pc, active, op)?,
                };
                let group = &mut self.warps[w].groups[g];
                match flow {
                    Flow::Next => {
                        group.pc = pc + 1;
                        Ok(true)
                    }
                    Flow::Converge => {
                        group.state = State::Converging;
                        Ok(false)
                    }
                    Flow::Yield => {
                        group.pc = pc + 1;
                        group.state = State::Spinning;
                        Ok(false)
                    }
                    Flow::Barrier(id) => {
                        *group = Group { pc: pc + 1, lanes, state: State::Barrier(id) };
                        self.effects += 1;
                        self.release_barriers();
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Thread number of a lane.
    pub fn thread(&self, warp: usize, lane: usize) -> usize {
        warp * LANES + lane
    }

    fn fault(&self, warp: usize, lanes: u32, pc: u32, refusal: Refusal) -> Box<Fault> {
        fault(self.code, self.at, self.launch.block, warp, lanes, pc, refusal)
    }

    /// Nothing can go on, for that reason if it is known: says who waits where.
    pub fn stuck(&self, why: Option<&str>) -> Box<Fault> {
        let mut waits: Vec<(u32, State, Vec<String>)> = Vec::new();
        let mut divergent = false;
        for (w, warp) in self.warps.iter().enumerate() {
            for g in &warp.groups {
                let behind = matches!(g.state, State::Barrier(_)) as u32;
                divergent |= g.state == State::Converging;
                let who = match g.lanes {
                    u32::MAX => format!("warp {w}"),
                    lanes => format!("warp {w} lanes {}", ranges(lanes)),
                };
                let pc = g.pc - behind;
                match waits.iter_mut().find(|(p, s, _)| (*p, *s) == (pc, g.state)) {
                    Some((_, _, list)) => list.push(who),
                    None => waits.push((pc, g.state, vec![who])),
                }
            }
        }
        let text: Vec<String> = waits
            .iter()
            .map(|(pc, state, who)| {
                let does = match state {
                    State::Barrier(id) => format!("wait at barrier {id}"),
                    State::Converging => "wait for other lanes of their warp".into(),
                    _ => "try again and again".into(),
                };
                format!("{} {does} at {}", who.join(", "), place(self.code, *pc))
            })
            .collect();
        let kind = why.unwrap_or(if divergent { "divergent threads cannot meet" } else { "deadlock" });
        let more = self.barriers.describe() + &self.mbarriers.describe();
        let first = waits.first().map(|w| w.0);
        Box::new(Fault {
            entry: self.code.name.clone(),
            block: self.at,
            thread: None,
            instruction: first.map(|pc| self.code.insts[pc as usize].text.to_string()),
            source_line: first.and_then(|pc| source_line(self.code, pc)),
            what: format!("{kind}: {}{more}", text.join("; ")),
        })
    }
}

/// Lanes as ranges.
pub fn ranges(lanes: u32) -> String {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for lane in bits(lanes) {
        match out.last_mut() {
            Some((_, end)) if *end + 1 == lane => *end = lane,
            _ => out.push((lane, lane)),
        }
    }
    let text = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    out.iter().map(text).collect::<Vec<_>>().join(",")
}

/// A row that never changes.
fn preset(code: &Code, launch: &Launch, preset: Preset, warp: usize, at: [u32; 3], shared: usize) -> Row {
    let special = match preset {
        Preset::Value(v) => return [v; LANES],
        Preset::Special(s) => s,
    };
    let [x, y, _] = launch.block.map(|n| n as u64);
    std::array::from_fn(|lane| {
        let thread = (warp * LANES + lane) as u64;
        match special {
            Special::Tid(0) => thread % x,
            Special::Tid(1) => thread / x % y,
            Special::Tid(_) => thread / x / y,
            Special::Ntid(i) => launch.block[i as usize % 3] as u64,
            Special::Ctaid(i) => at[i as usize % 3] as u64,
            Special::Nctaid(i) => launch.grid[i as usize % 3] as u64,
            Special::LaneId => lane as u64,
            Special::WarpId => warp as u64,
            Special::NumWarps => (launch.block.iter().product::<u32>() as usize).div_ceil(LANES) as u64,
            Special::LaneMask(order, equal) => (0..LANES)
                .filter(|i| i.cmp(&lane) == order || (equal && *i == lane))
                .fold(0, |m, i| m | 1 << i),
            Special::DynamicShared => launch.shared_bytes as u64,
            Special::TotalShared => shared as u64,
            Special::DynamicStart => code.shared_bytes.next_multiple_of(code.dynamic_align) as u64,
        }
    })
}
