//! The handle to a parsed kernel.

use std::sync::Arc;

use crate::ir::{Code, Inst};

/// A kernel, ready to be launched; clones share its code.
#[derive(Clone, Debug)]
pub struct Entry {
    code: Arc<Code>,
}

impl Entry {
    pub(crate) fn new(code: Code) -> Entry {
        Entry { code: Arc::new(code) }
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// Name of the entry.
    pub fn name(&self) -> &str {
        &self.code.name
    }

    /// Bytes of parameters that a launch must pass.
    pub fn param_bytes(&self) -> usize {
        self.code.param_bytes
    }

    /// Bytes of static shared memory.
    pub fn shared_bytes(&self) -> usize {
        self.code.shared_bytes
    }

    /// Bytes of local memory per thread.
    pub fn local_bytes(&self) -> usize {
        self.code.local_bytes
    }

    /// Where the kernel's source has each instruction, as `file:line`; empty where the PTX does not say.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let line = |i: &Inst| i.source.as_ref().map(|(file, line)| format!("{file}:{line}"));
        self.code.insts.iter().map(move |i| line(i).unwrap_or_default())
    }

    /// The instructions as written.
    pub fn instructions(&self) -> impl Iterator<Item = &str> {
        self.code.insts.iter().map(|i| &*i.text)
    }
}
