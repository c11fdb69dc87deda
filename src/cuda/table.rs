//! Implementations of this device: how one is chosen, made ready and launched.

use super::launch::{Launch, Operands};
use super::modules::Set;
use super::{
    attention, blur, boxes, conv, conv_laid, conv_matrix, conv_transpose, conv_warpgroup, conv_windows,
    layer_norm, map, matmul, matmul_warpgroup, pool, reduce, resize, roi_align, samples, select, softmax,
};
use crate::kernel::precision::Precision;
use crate::kernel::registry::{self, Impl};
use crate::kernel::Kernel;
use crate::plan::{Choice, Packed};
use crate::{Error, Result};

/// One implementation of a contract.
pub(super) struct Entry {
    /// How it is chosen.
    pub choose: Impl,
    /// Which GPUs it is for.
    pub set: Set,
    /// Blocks of a call, of which two thirds of the multiprocessors must get one; from there on it takes less time
    /// than the implementation below it.
    pub blocks: fn(&Kernel) -> u64,
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
        Self {
            choose,
            set: Set::Base,
            blocks: |_| u64::MAX,
            workspace: |_| 0,
            packed: |_| None,
            prepare: |_, _| Ok(Vec::new()),
            launch,
        }
    }
}

/// All implementations.
const ENTRIES: &[Entry] = &[
    conv::GEMM_64,
    conv::GEMM_32,
    conv::GEMM_8,
    conv_windows::BF16_64,
    conv_windows::BF16_128,
    conv_windows::F16_64,
    conv_windows::F16_128,
    conv_windows::TF32_64,
    conv_windows::TF32_128,
    conv_windows::SM70_64,
    conv_windows::SM70_128,
    conv_windows::SM75_64,
    conv_windows::SM75_128,
    conv_matrix::BF16_1X1_32,
    conv_matrix::BF16_1X1_64,
    conv_matrix::BF16_3X3_32,
    conv_matrix::BF16_3X3_64,
    conv_matrix::F16_1X1_32,
    conv_matrix::F16_1X1_64,
    conv_matrix::F16_3X3_32,
    conv_matrix::F16_3X3_64,
    conv_matrix::TF32_1X1_32,
    conv_matrix::TF32_1X1_64,
    conv_matrix::TF32_3X3_32,
    conv_matrix::TF32_3X3_64,
    conv_laid::BF16_1X1_32,
    conv_laid::BF16_1X1_64,
    conv_laid::BF16_3X3_32,
    conv_laid::BF16_3X3_64,
    conv_laid::F16_1X1_32,
    conv_laid::F16_1X1_64,
    conv_laid::F16_3X3_32,
    conv_laid::F16_3X3_64,
    conv_warpgroup::BF16_1X1_64,
    conv_warpgroup::BF16_3X3_64,
    conv_warpgroup::BF16_3X3_32,
    conv_warpgroup::F16_1X1_64,
    conv_warpgroup::F16_3X3_64,
    conv_warpgroup::F16_3X3_32,
    map::STRIDED,
    resize::TAPS,
    blur::SEPARABLE,
    pool::WINDOWS,
    reduce::LINES,
    softmax::THREADS,
    softmax::WARPS,
    matmul::TILE,
    matmul::BF16_64,
    matmul::BF16_128,
    matmul::F16_64,
    matmul::F16_128,
    matmul::TF32_64,
    matmul::TF32_128,
    matmul::SM70_64,
    matmul::SM70_128,
    matmul::SM75_64,
    matmul::SM75_128,
    matmul_warpgroup::BF16,
    matmul_warpgroup::F16,
    layer_norm::WARPS,
    attention::WARPS,
    attention::BF16,
    attention::F16,
    attention::SM75,
    conv_transpose::GEMM_32,
    conv_transpose::BF16,
    conv_transpose::F16,
    conv_transpose::TF32,
    conv_transpose::SM70,
    conv_transpose::SM75,
    boxes::ANCHORS,
    boxes::DECODE,
    boxes::NMS,
    select::TOP_K,
    select::GATHER,
    roi_align::THREADS,
    samples::NORMALISE,
    samples::TO_SAMPLES,
];

/// Names of all implementations, for tests that must reach each.
pub fn entries() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|e| e.choose.entry)
}

/// The implementation of a kernel on a GPU of that capability and so many multiprocessors.
pub(super) fn choose(
    kernel: &Kernel,
    capability: u32,
    multiprocessors: u32,
    precision: Precision,
) -> Result<Choice> {
    match kernel {
        Kernel::Conv2d(p) => p.check()?,
        Kernel::ConvTranspose2d(p) => p.check()?,
        _ => {}
    }
    let enough = u64::from(multiprocessors) * 2 / 3;
    let allowed = ENTRIES.iter().filter(|e| {
        e.set.runs_on(capability)
            && precision.allows(Precision::of(e.choose.entry))
            && (e.blocks)(kernel) >= enough
    });
    let entry = find(registry::choose(allowed.map(|e| &e.choose), kernel)?.entry)?;
    let (workspace, packed) = ((entry.workspace)(kernel), (entry.packed)(kernel));
    Ok(Choice { workspace, packed, ..Choice::of(entry.choose.entry) })
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
        let impls: Vec<Impl> = ENTRIES.iter().map(|e| e.choose).collect();
        assert_eq!(registry::faults(&impls), Vec::<String>::new());
    }
}
