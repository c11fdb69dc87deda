//! A launch: checks what the driver would refuse, runs the blocks, adds up what they did. Blocks that may meet in
//! global memory run a few instructions at a time, so many of them at once, by a schedule that a number chooses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

use super::block::Block;
use super::fault::{indices, Fault};
use crate::memory::global::Memory;
use crate::memory::races::{Races, MOST_BLOCKS};
use crate::Entry;

/// Most shared memory a block may have (227 KiB, the most of any supported device).
const MOST_SHARED: usize = 227 << 10;

/// Most instructions of a block, as a power of two, before others that are resident go on.
const TURN: u64 = 9;

/// Instructions of each resident block in which none does anything that others may wait for, after which they are held
/// to wait for what nobody will do.
const QUIET: u64 = 1 << 16;

/// How an entry is launched.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads along x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: usize,
    /// Warp instructions a block may take before it is held to be stuck.
    pub budget: u64,
    /// Blocks that run at once where blocks may meet; one at a time below two.
    pub resident: u32,
    /// Which of many orders their instructions are executed in.
    pub schedule: u64,
}

impl Default for Launch {
    fn default() -> Launch {
        Launch { grid: [1; 3], block: [32, 1, 1], shared_bytes: 0, budget: 1 << 24, resident: 1, schedule: 0 }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How often each instruction of the entry was executed, by warps with at least one lane.
    pub executed: Vec<u64>,
    /// The same by opcode.
    pub opcodes: BTreeMap<String, u64>,
    /// The first line of each instruction that no warp executed, as written.
    pub unexecuted: Vec<String>,
}

impl Report {
    fn new(entry: &Entry, executed: Vec<u64>) -> Report {
        let mut report = Report { executed, ..Report::default() };
        let insts = entry.code().insts.iter();
        for (inst, n) in insts.zip(&report.executed) {
            let word = inst.text.split_whitespace().find(|w| !w.starts_with('@')).unwrap_or("");
            *report.opcodes.entry(word.trim_end_matches(';').into()).or_default() += n;
            if *n == 0 {
                report.unexecuted.push(inst.text.to_string());
            }
        }
        report
    }

    /// Executed warp instructions.
    pub fn total(&self) -> u64 {
        self.executed.iter().sum()
    }

    /// Adds another run of the same entry.
    pub fn add(&mut self, other: &Report) {
        let old = std::mem::take(&mut self.executed);
        self.executed = match old.is_empty() {
            true => other.executed.clone(),
            false => old.iter().zip(&other.executed).map(|(a, b)| a + b).collect(),
        };
        for (op, n) in &other.opcodes {
            *self.opcodes.entry(op.clone()).or_default() += n;
        }
        match old.is_empty() {
            true => self.unexecuted = other.unexecuted.clone(),
            false => self.unexecuted.retain(|text| other.unexecuted.contains(text)),
        }
    }
}

/// Says where each block stands when none of them does anything any more.
fn deadlock(resident: &[Block]) -> Box<Fault> {
    let one = |block: &Block| block.stuck(Some(&format!("block {:?} waits", block.at)));
    let what: Vec<_> = resident.iter().map(|block| one(block).what).collect();
    Box::new(Fault { what: format!("deadlock: {}", what.join("; ")), ..*one(&resident[0]) })
}

impl Launch {
    /// Runs an entry over the grid. `params` are the bytes of its parameters, laid out as declared.
    ///
    /// # Errors
    /// What the driver would refuse to launch, and the first fault: of the block with the lowest index where blocks do
    /// not meet.
    pub fn run(&self, entry: &Entry, memory: &mut Memory, params: &[u8]) -> Result<Report, Box<Fault>> {
        let code = entry.code();
        self.check(entry, params).map_err(|what| {
            Box::new(Fault {
                entry: code.name.clone(),
                block: [0; 3],
                thread: None,
                instruction: None,
                source_line: None,
                what,
            })
        })?;
        let memory = &*memory;
        let races = Races::new(memory.sizes(), code.grain.global, code.meets);
        let blocks: u64 = self.grid.iter().map(|n| *n as u64).product();
        let failed = AtomicU64::new(u64::MAX);
        let new = |index| Block::new(code, self, memory, &races, params, index, indices(index, self.grid));
        let run = |index: u64| -> Option<Result<Vec<u64>, Box<Fault>>> {
            if failed.load(Relaxed) < index {
                return None;
            }
            let result = new(index).run();
            if result.is_err() {
                failed.fetch_min(index, Relaxed);
            }
            Some(result)
        };
        let add = |a: Vec<u64>, b: Vec<u64>| match a.is_empty() {
            true => b,
            false => a.iter().zip(&b).map(|(a, b)| a + b).collect(),
        };
        let merge = |a: Result<Vec<u64>, Box<Fault>>, b: Result<Vec<u64>, Box<Fault>>| Ok(add(a?, b?));
        let executed = match code.meets {
            true => self.in_turns((0..blocks).map(new), add),
            false => (0..blocks).into_par_iter().filter_map(run).reduce(|| Ok(Vec::new()), merge),
        }?;
        Ok(Report::new(entry, executed))
    }

    /// Runs blocks that may meet, each of which begins when there is room for it; what they executed, added up.
    fn in_turns<'a>(
        &self,
        mut blocks: impl Iterator<Item = Block<'a>>,
        add: impl Fn(Vec<u64>, Vec<u64>) -> Vec<u64>,
    ) -> Result<Vec<u64>, Box<Fault>> {
        let most = self.resident.max(1) as usize;
        let (mut resident, mut executed): (Vec<Block>, _) = (Vec::new(), Vec::new());
        let (mut random, mut quiet) = (self.schedule, 0);
        loop {
            resident.extend(blocks.by_ref().take(most - resident.len()));
            if resident.is_empty() {
                return Ok(executed);
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % resident.len();
            let turn = if most == 1 { u64::MAX } else { 1 << ((random >> 24) % (TURN + 1)) };
            let block = &mut resident[at];
            let (effects, steps) = (block.effects, block.steps());
            block.advance(turn)?;
            quiet = if block.effects == effects { quiet + block.steps() - steps } else { 0 };
            if !block.lives() {
                executed = add(executed, block.executed());
                resident.swap_remove(at);
            } else if quiet > QUIET * resident.len() as u64 {
                return Err(deadlock(&resident));
            }
        }
    }

    fn check(&self, entry: &Entry, params: &[u8]) -> Result<(), String> {
        let code = entry.code();
        let threads = self.block.iter().map(|n| *n as u64).product::<u64>();
        let blocks = self.grid.iter().try_fold(1u64, |a, n| a.checked_mul(*n as u64));
        if threads == 0 || threads > 1024 || self.block[2] > 64 {
            return Err(format!(
                "a block of {:?} threads cannot be launched: 1 to 1024, at most 64 along z",
                self.block
            ));
        }
        if !blocks.is_some_and(|n| n > 0 && n <= MOST_BLOCKS) || self.grid[1] > 65535 || self.grid[2] > 65535
        {
            return Err(format!("a grid of {:?} blocks cannot be launched", self.grid));
        }
        if params.len() != code.param_bytes {
            return Err(format!(
                "{} bytes of parameters given, the entry takes {}",
                params.len(),
                code.param_bytes
            ));
        }
        if code.block.is_some_and(|b| b != self.block) {
            return Err(format!("block {:?} differs from .reqntid {:?}", self.block, code.block));
        }
        if let Some(most) = code.max_threads.filter(|m| threads > *m as u64) {
            return Err(format!("{threads} threads are more than .maxntid {most}"));
        }
        let shared =
            code.shared_bytes.next_multiple_of(code.dynamic_align.max(1)).saturating_add(self.shared_bytes);
        if shared > MOST_SHARED {
            return Err(format!("{shared} bytes of shared memory are more than {MOST_SHARED}"));
        }
        Ok(())
    }
}
