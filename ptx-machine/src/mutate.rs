//! Mutation: an entry without one of its barriers, waits, fences or bounds predicates. A test that still
//! passes on such a mutant does not need what was removed, or does not notice its absence. Of a load that acquires, what
//! is left out is the wait, as if it found the largest number, or the acquiring; of a write that releases, the releasing.

use crate::entry::Entry;
use crate::ir::units::{CopyOp, MatrixOp};
use crate::ir::{Barrier, Code, Condition, Op, Reg, ALWAYS, LANES};

/// What a site is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum SiteKind {
    /// A barrier of the block or of a warp.
    Barrier,
    /// A wait for copies, products, an mbarrier or another block.
    Wait,
    /// A fence of memory, of a proxy or of the warpgroup's registers; what an access acquires or releases.
    Fence,
    /// A condition under which an access is made, a copy is cut off, or code is passed over.
    Bounds,
}

/// One place where an entry can be mutated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Number of the instruction.
    pub at: usize,
    /// What it is.
    pub kind: SiteKind,
    /// The instruction as written.
    pub text: String,
    /// `file:line` in the kernel's source.
    pub source_line: Option<String>,
}

/// What became of a mutant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What was removed.
    pub site: Site,
    /// What the test said; none for a survivor.
    pub killed_by: Option<String>,
}

/// The sites of an entry, in order.
pub fn sites(entry: &Entry) -> Vec<Site> {
    let code = entry.code();
    let all = code.insts.iter().enumerate();
    all.flat_map(|(at, inst)| {
        let source_line = inst.source.as_ref().map(|(file, line)| format!("{file}:{line}"));
        let site =
            move |kind| Site { at, kind, text: inst.text.to_string(), source_line: source_line.clone() };
        kind(code, at).into_iter().chain(meeting(&inst.op)).map(site)
    })
    .collect()
}

/// Runs the test on every mutant; it answers what is wrong, or nothing.
pub fn run(entry: &Entry, test: impl Fn(&Entry) -> Result<(), String>) -> Vec<Outcome> {
    let each = |site: Site| Outcome { killed_by: test(&entry.without(&site)).err(), site };
    sites(entry).into_iter().map(each).collect()
}

impl Entry {
    /// The entry without what stands at a site of it: barriers, waits and fences do nothing, a guarded
    /// access is always made, a guarded forward branch never, a copy is never cut off.
    pub fn without(&self, site: &Site) -> Entry {
        let mut code = self.code().clone();
        let copied = cut_by(&code, site.at);
        if let Some(inst) = code.insts.get_mut(site.at) {
            match &mut inst.op {
                Op::Branch { .. } => inst.op = Op::Nop,
                Op::Load { order, .. } | Op::Store { order, .. } | Op::Atomic { order, .. }
                    if site.kind == SiteKind::Fence =>
                {
                    (order.acquire, order.release) = (false, false);
                }
                Op::Load { d, from, .. } if site.kind == SiteKind::Wait => {
                    if let Some(d) = d.first().copied().flatten() {
                        inst.op = Op::Map1 { f: |_| [u64::from(u32::MAX); LANES], d, a: from.base };
                    }
                }
                Op::Select { b, a, .. } if copied => *b = *a,
                Op::Copies(op) => match **op {
                    CopyOp::Test { p, .. } => {
                        inst.op = Op::PredCopy { d: p, a: Condition { pred: ALWAYS, negate: false } };
                    }
                    _ if site.kind == SiteKind::Bounds => inst.guard = None,
                    _ => inst.op = Op::Nop,
                },
                _ if site.kind == SiteKind::Bounds => inst.guard = None,
                _ => inst.op = Op::Nop,
            }
        }
        Entry::new(code)
    }
}

/// What an access does for other blocks.
fn meeting(op: &Op) -> Vec<SiteKind> {
    match op {
        Op::Load { order, .. } if order.acquire => vec![SiteKind::Wait, SiteKind::Fence],
        Op::Store { order, .. } | Op::Atomic { order, .. } if order.acquire || order.release => {
            vec![SiteKind::Fence]
        }
        _ => Vec::new(),
    }
}

fn kind(code: &Code, at: usize) -> Option<SiteKind> {
    let inst = &code.insts[at];
    Some(match &inst.op {
        Op::Barrier { kind: Barrier::Sync | Barrier::Arrive, .. } | Op::WarpSync { .. } => SiteKind::Barrier,
        Op::Fence(_) => SiteKind::Fence,
        Op::Matrix(op) => match **op {
            MatrixOp::WgmmaFence => SiteKind::Fence,
            MatrixOp::WgmmaWait { .. } => SiteKind::Wait,
            _ => return None,
        },
        Op::Copies(op) => match &**op {
            CopyOp::Wait { .. } | CopyOp::WaitAll | CopyOp::BulkWait { .. } | CopyOp::Test { .. } => {
                SiteKind::Wait
            }
            CopyOp::Copy { .. } | CopyOp::BulkLoad { .. } | CopyOp::TensorLoad { .. }
                if inst.guard.is_some() =>
            {
                SiteKind::Bounds
            }
            _ => return None,
        },
        Op::Load { .. } | Op::Store { .. } | Op::Atomic { .. } if inst.guard.is_some() => SiteKind::Bounds,
        Op::Branch { target } if inst.guard.is_some() && *target as usize > at => {
            let passed = &code.insts[at + 1..*target as usize];
            passed.iter().any(|i| touches_memory(&i.op)).then_some(SiteKind::Bounds)?
        }
        Op::Select { .. } if cut_by(code, at) => SiteKind::Bounds,
        _ => return None,
    })
}

fn touches_memory(op: &Op) -> bool {
    matches!(op, Op::Load { .. } | Op::Store { .. } | Op::Atomic { .. } | Op::Copies(_))
}

/// Whether an instruction selects the number of bytes that a copy reads.
fn cut_by(code: &Code, at: usize) -> bool {
    let Some(Op::Select { d, .. }) = code.insts.get(at).map(|i| &i.op) else { return false };
    let sized = |size: &Reg| size == d;
    code.insts.iter().any(|i| match &i.op {
        Op::Copies(op) => matches!(&**op, CopyOp::Copy { size: Some(size), .. } if sized(size)),
        _ => false,
    })
}
