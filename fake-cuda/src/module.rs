//! PTX as the driver takes it: assembled for a capability, entries by name, parameters one by one.

use ptx_machine::{Entry, Module};

use crate::status::{Outcome, INVALID_PTX, NOT_FOUND, NO_BINARY_FOR_GPU};

/// Most shared memory of a block that has not asked for more.
const SHARED: usize = 48 << 10;

/// A loaded module.
pub struct Loaded {
    text: String,
    module: Module,
}

/// An entry, ready to be launched.
#[derive(Clone)]
pub struct Function {
    /// The code.
    pub entry: Entry,
    /// Where each parameter begins and how long it is.
    pub params: Vec<(usize, usize)>,
    /// Most bytes of shared memory that a launch may add to the entry's own.
    pub dynamic: usize,
}

impl Loaded {
    /// Assembles PTX.
    pub fn assemble(text: &str, capability: u32) -> Outcome<Self> {
        let digits = |s: &str| s.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
        let target = text.lines().find_map(|l| digits(l.strip_prefix(".target sm_")?.split(',').next()?));
        match target {
            None => return Err(INVALID_PTX),
            Some(target) if target > capability => return Err(NO_BINARY_FOR_GPU),
            Some(_) => {}
        }
        let module = Module::parse(text).map_err(|_| INVALID_PTX)?;
        Ok(Self { text: text.to_string(), module })
    }

    /// The entry of that name.
    pub fn function(&self, name: &str) -> Outcome<Function> {
        let entry = self.module.entry(name).map_err(|_| NOT_FOUND)?;
        let params = params(&self.text, name).ok_or(NOT_FOUND)?;
        match params.last().map_or(0, |(start, len)| start + len) == entry.param_bytes() {
            true => {
                let dynamic = SHARED.saturating_sub(entry.shared_bytes());
                Ok(Function { entry, params, dynamic })
            }
            false => Err(INVALID_PTX),
        }
    }
}

/// Places of an entry's parameters, as declared.
fn params(text: &str, name: &str) -> Option<Vec<(usize, usize)>> {
    let list = &text[text.find(&format!(".entry {name}("))?..];
    let list = &list[list.find('(')? + 1..list.find(')')?];
    let mut end: usize = 0;
    let declared = list.split(',').filter(|p| p.contains(".param"));
    let place = |declaration: &str| {
        let words: Vec<&str> = declaration.split_whitespace().collect();
        let kind = words.iter().rev().nth(1)?;
        let element: usize =
            kind.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().ok()? / 8;
        let align = words.iter().position(|w| *w == ".align").and_then(|k| words.get(k + 1)?.parse().ok());
        let count = match declaration.split_once('[') {
            Some((_, rest)) => rest.split(']').next()?.trim().parse().ok()?,
            None => 1,
        };
        let start = end.next_multiple_of(align.unwrap_or(element).max(1));
        end = start + count * element;
        Some((start, count * element))
    };
    declared.map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lie_as_declared() {
        let text = ".visible .entry e(\n\t.param .align 8 .b8 e_param_0[72],\n\t.param .u32 n,\n\t.param .u64 p\n)\n{";
        assert_eq!(params(text, "e"), Some(vec![(0, 72), (72, 4), (80, 8)]));
    }
}
