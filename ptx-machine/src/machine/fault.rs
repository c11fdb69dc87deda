//! What a run reports when it stops: what went wrong, in which thread, at which instruction and line.

use std::fmt;

use crate::ir::Code;
use crate::memory::Refusal;

/// One wrong access, race, stuck barrier or other violation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Fault {
    /// Name of the entry.
    pub entry: String,
    /// Index of the block.
    pub block: [u32; 3],
    /// Index of the thread in its block, where it is about one.
    pub thread: Option<[u32; 3]>,
    /// The instruction as written.
    pub instruction: Option<String>,
    /// `file:line` in the kernel's source.
    pub source_line: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.block;
        write!(f, "{}: block ({x},{y},{z})", self.entry)?;
        if let Some([x, y, z]) = self.thread {
            write!(f, " thread ({x},{y},{z})")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(text) = &self.instruction {
            write!(f, "; at `{text}`")?;
        }
        if let Some(line) = &self.source_line {
            write!(f, " ({line})")?;
        }
        Ok(())
    }
}

/// `file:line` of an instruction.
pub fn source_line(code: &Code, pc: u32) -> Option<String> {
    let (file, line) = code.insts.get(pc as usize)?.source.as_ref()?;
    Some(format!("{file}:{line}"))
}

/// An instruction as text with its source line.
pub fn place(code: &Code, pc: u32) -> String {
    let text = code.insts.get(pc as usize).map_or("?", |i| &i.text);
    match source_line(code, pc) {
        Some(line) => format!("`{text}` ({line})"),
        None => format!("`{text}`"),
    }
}

/// The three indices of a linear one.
pub fn indices(linear: u64, extents: [u32; 3]) -> [u32; 3] {
    let (x, y) = (extents[0].max(1) as u64, extents[1].max(1) as u64);
    [(linear % x) as u32, (linear / x % y) as u32, (linear / x / y) as u32]
}

/// Completes a refusal with where it happened.
pub fn fault(
    code: &Code,
    block: [u32; 3],
    extents: [u32; 3],
    warp: usize,
    lanes: u32,
    pc: u32,
    refusal: Refusal,
) -> Box<Fault> {
    let lane = refusal.lane.unwrap_or(lanes.trailing_zeros().min(31) as usize);
    let mut what = refusal.text;
    if let Some((thread, pc)) = refusal.other {
        match thread < extents.iter().product() {
            true => {
                let [x, y, z] = indices(thread as u64, extents);
                what += &format!("; the other is thread ({x},{y},{z}) at {}", place(code, pc));
            }
            false => what += &format!("; the other is the copy issued at {}", place(code, pc)),
        }
    }
    Box::new(Fault {
        entry: code.name.clone(),
        block,
        thread: Some(indices((warp * 32 + lane) as u64, extents)),
        instruction: code.insts.get(pc as usize).map(|i| i.text.to_string()),
        source_line: source_line(code, pc),
        what,
    })
}
