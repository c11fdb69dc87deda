//! Implementations of this device: how one is chosen, made ready and launched.

use super::launch::{Launch, Operands};
use super::{
    attention, blur, boxes, conv, conv_transpose, layer_norm, map, matmul, pool, reduce, resize, roi_align,
    select, softmax,
};
use crate::kernel::registry::{self, Impl};
use crate::kernel::Kernel;
use crate::plan::{Choice, Packed};
use crate::{Error, Result};

/// One implementation of a contract.
pub(super) struct Entry {
    /// How it is chosen.
    pub choose: Impl,
    /// Elements of scratch a call needs.
    pub workspace: fn(&Kernel) -> usize,
    /// The operand that is made ready at load and not read afterwards.
    pub packed: fn(&Kernel) -> Option<Packed>,
    /// What a call reads beside its operands: packed weights (given) or tables.
    pub prepare: fn(&Kernel, &[f32]) -> Result<Vec<u8>>,
    /// The launches of a call whose operands are in the contract's order.
    pub launch: fn(&Kernel, &Operands) -> Result<Vec<Launch>>,
}

impl Entry {
    /// The implementation of rank 0, without tables and scratch.
    pub const fn always(
        contract: &'static str,
        entry: &'static str,
        launch: fn(&Kernel, &Operands) -> Result<Vec<Launch>>,
    ) -> Self {
        let choose = Impl::always(contract, entry);
        Self { choose, workspace: |_| 0, packed: |_| None, prepare: |_, _| Ok(Vec::new()), launch }
    }
}

/// All implementations.
const ENTRIES: &[Entry] = &[
    conv::GEMM_64,
    conv::GEMM_32,
    conv::GEMM_8,
    map::STRIDED,
    resize::TAPS,
    blur::SEPARABLE,
    pool::WINDOWS,
    reduce::LINES,
    softmax::THREADS,
    softmax::WARPS,
    matmul::TILE,
    layer_norm::WARPS,
    attention::WARPS,
    conv_transpose::GEMM_32,
    boxes::ANCHORS,
    boxes::DECODE,
    boxes::NMS,
    select::TOP_K,
    select::GATHER,
    roi_align::THREADS,
];

const IMPLS: [Impl; ENTRIES.len()] = {
    let mut impls = [ENTRIES[0].choose; ENTRIES.len()];
    let mut k = 1;
    while k < impls.len() {
        impls[k] = ENTRIES[k].choose;
        k += 1;
    }
    impls
};

/// Names of all implementations, for tests that must reach each.
pub fn entries() -> impl Iterator<Item = &'static str> {
    IMPLS.iter().map(|i| i.entry)
}

/// The implementation of a kernel.
pub(super) fn choose(kernel: &Kernel) -> Result<Choice> {
    match kernel {
        Kernel::Conv2d(p) => p.check()?,
        Kernel::ConvTranspose2d(p) => p.check()?,
        _ => {}
    }
    let entry = find(registry::choose(&IMPLS, kernel)?.entry)?;
    let (workspace, packed) = ((entry.workspace)(kernel), (entry.packed)(kernel));
    Ok(Choice { entry: entry.choose.entry, workspace, packed })
}

/// The implementation of that name.
pub(super) fn find(entry: &str) -> Result<&'static Entry> {
    let found = ENTRIES.iter().find(|e| e.choose.entry == entry);
    found.ok_or_else(|| Error::device(format!("{entry} is no implementation of this device")))
}

/// The error of an implementation that is given another contract's call.
pub(super) fn mismatch(kernel: &Kernel) -> Error {
    Error::device(format!("{} given to an implementation of another contract", kernel.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_is_implemented() {
        assert_eq!(registry::faults(&IMPLS), Vec::<String>::new());
    }
}
