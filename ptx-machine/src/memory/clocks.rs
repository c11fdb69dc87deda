//! Happens-before. Every warp counts its releases; every thread knows, for each other thread of its block, up to which
//! count that one's accesses are ordered before its own, and the same of blocks that handed it what they know. Copies
//! that run by themselves (completed through an mbarrier) are agents with a count of their own.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::ir::LANES;

/// When and by whom a location was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// Thread of the block, or an agent beyond the threads.
    pub who: u32,
    /// Its warp's count (or the agent's) at that moment; zero: never.
    pub time: u32,
}

/// What a synchronising object hands from those who release to those who acquire.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Counts of the block's threads, and of its agents.
    own: Vec<u32>,
    others: Published,
}

/// What blocks hand to each other: counts of the threads of each block.
pub type Published = BTreeMap<u64, Arc<Vec<u32>>>;

impl Knowledge {
    /// Up to which count the accesses of a thread of the block, or of an agent, are known.
    pub fn of(&self, who: usize) -> u32 {
        self.own.get(who).copied().unwrap_or(0)
    }

    /// Adds what others know.
    pub fn join(&mut self, other: &Knowledge) {
        join(&mut self.own, &other.own);
        join_published(&mut self.others, &other.others);
    }
}

/// Adds what some blocks know to what others do.
pub fn join_published(into: &mut Published, other: &Published) {
    for (block, counts) in other {
        match into.get_mut(block) {
            None => {
                into.insert(*block, counts.clone());
            }
            Some(known) if Arc::ptr_eq(known, counts) => {}
            Some(known) => join(Arc::make_mut(known), counts),
        }
    }
}

/// The clocks of one block.
pub struct Clocks {
    /// Count of each warp, then of each agent.
    now: Vec<u32>,
    /// Counts of the warps that every thread knows of, from the last barrier of the whole block.
    base: Vec<u32>,
    seen: Vec<Rc<Knowledge>>,
    threads: usize,
}

fn join(into: &mut Vec<u32>, other: &[u32]) {
    if into.len() < other.len() {
        into.resize(other.len(), 0);
    }
    for (a, b) in into.iter_mut().zip(other) {
        *a = (*a).max(*b);
    }
}

impl Clocks {
    /// Clocks of a block of `threads`.
    pub fn new(threads: usize) -> Clocks {
        let warps = threads.div_ceil(LANES);
        let nothing = Rc::new(Knowledge { own: vec![0; threads], others: Published::new() });
        Clocks { now: vec![1; warps], base: vec![0; warps], seen: vec![nothing; threads], threads }
    }

    /// The stamp of an access made now.
    pub fn stamp(&self, thread: usize) -> Stamp {
        Stamp { who: thread as u32, time: self.now[thread / LANES] }
    }

    /// The count of a warp.
    pub fn now(&self, warp: usize) -> u32 {
        self.now[warp]
    }

    /// A new agent.
    pub fn agent(&mut self) -> u32 {
        self.now.push(1);
        (self.threads + self.now.len() - 1 - self.base.len()) as u32
    }

    fn agent_slot(&self, agent: u32) -> usize {
        agent as usize - self.threads + self.base.len()
    }

    /// The stamp of what an agent does now.
    pub fn agent_stamp(&self, agent: u32) -> Stamp {
        Stamp { who: agent, time: self.now[self.agent_slot(agent)] }
    }

    /// Puts what an agent did into `into` and moves its count on.
    pub fn agent_release(&mut self, agent: u32, into: &mut Knowledge) {
        let slot = self.agent_slot(agent);
        let at = agent as usize;
        if into.own.len() <= at {
            into.own.resize(at + 1, 0);
        }
        into.own[at] = into.own[at].max(self.now[slot]);
        self.now[slot] += 1;
    }

    /// Whether what `stamp` marks is ordered before what `thread` does now.
    #[inline]
    pub fn ordered(&self, thread: usize, stamp: Stamp) -> bool {
        let who = stamp.who as usize;
        if stamp.time == 0 || who == thread {
            return true;
        }
        if who < self.threads && stamp.time <= self.base[who / LANES] {
            return true;
        }
        self.seen[thread].of(who) >= stamp.time
    }

    /// Whether what a thread of another block did at `stamp` is ordered before what `thread` does now.
    pub fn knows(&self, thread: usize, block: u64, stamp: Stamp) -> bool {
        let known = self.seen[thread].others.get(&block);
        known.is_some_and(|counts| counts.get(stamp.who as usize).is_some_and(|time| *time >= stamp.time))
    }

    /// The lanes among `lanes` of `warp` whose accesses at `time` are not ordered before `thread`.
    #[inline]
    pub fn unordered(&self, thread: usize, warp: usize, lanes: u32, time: u32) -> u32 {
        if time <= self.base[warp] {
            return 0;
        }
        let mut left = lanes;
        let mut out = 0;
        while left != 0 {
            let lane = left.trailing_zeros() as usize;
            left &= left - 1;
            if !self.ordered(thread, Stamp { who: (warp * LANES + lane) as u32, time }) {
                out |= 1 << lane;
            }
        }
        out
    }

    /// Everything that the lanes of a warp did and know goes into `into`; their later accesses do not.
    pub fn release(&mut self, warp: usize, lanes: u32, into: &mut Knowledge) {
        let mut last: Option<&Rc<Knowledge>> = None;
        for lane in bits(lanes) {
            let seen = &self.seen[warp * LANES + lane];
            if !last.is_some_and(|l| Rc::ptr_eq(l, seen)) {
                into.join(seen);
                last = Some(seen);
            }
        }
        if into.own.len() < self.threads {
            into.own.resize(self.threads, 0);
        }
        for lane in bits(lanes) {
            let at = warp * LANES + lane;
            into.own[at] = into.own[at].max(self.now[warp]);
        }
        self.now[warp] += 1;
    }

    /// What a lane of a warp of this block hands to other blocks; its later accesses are no part of it.
    pub fn publish(&mut self, block: u64, warp: usize, lane: usize) -> Published {
        let mut known = Knowledge::default();
        self.release(warp, 1 << lane, &mut known);
        known.others.insert(block, Arc::new(known.own));
        known.others
    }

    /// A lane of a warp of this block comes to know what blocks handed on.
    pub fn learn(&mut self, block: u64, warp: usize, lane: usize, from: &Published) {
        let seen = &self.seen[warp * LANES + lane];
        let is_known = |(of, counts): (&u64, &Arc<Vec<u32>>)| match *of == block {
            true => counts.iter().enumerate().all(|(who, time)| seen.of(who) >= *time),
            false => seen.others.get(of).is_some_and(|known| Arc::ptr_eq(known, counts)),
        };
        if from.iter().all(is_known) {
            return;
        }
        let mut others = from.clone();
        let own = others.remove(&block).map_or_else(Vec::new, |counts| (*counts).clone());
        self.acquire(warp, 1 << lane, &Rc::new(Knowledge { own, others }));
    }

    /// The lanes of a warp come to know what `from` holds.
    pub fn acquire(&mut self, warp: usize, lanes: u32, from: &Rc<Knowledge>) {
        let mut made: Option<(Rc<Knowledge>, Rc<Knowledge>)> = None;
        for lane in bits(lanes) {
            let seen = &mut self.seen[warp * LANES + lane];
            match &made {
                Some((before, after)) if Rc::ptr_eq(before, seen) => *seen = after.clone(),
                _ => {
                    let mut joined = (**from).clone();
                    joined.join(seen);
                    let after = Rc::new(joined);
                    made = Some((seen.clone(), after.clone()));
                    *seen = after;
                }
            }
        }
    }

    /// The same for lanes that took part in the release that `from` was made of.
    pub fn replace(&mut self, warp: usize, lanes: u32, from: &Rc<Knowledge>) {
        for lane in bits(lanes) {
            self.seen[warp * LANES + lane] = from.clone();
        }
    }

    /// All threads of the block have met: what happened before is ordered for everyone.
    pub fn met(&mut self) {
        for (base, now) in self.base.iter_mut().zip(&self.now) {
            *base = now - 1;
        }
    }
}

/// The set bits of a mask.
pub fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(lane)
    })
}
