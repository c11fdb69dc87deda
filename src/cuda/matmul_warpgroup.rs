//! Launches of the matrix product by warpgroups: tokens laid out in units in the workspace, then the products; and
//! its weights as the copies bring them.

use super::launch::{Launch, Operands};
use super::matmul::{by_role, check_x, MAX_SIDE, VECTOR};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::matmul::MatmulParams;
use crate::kernel::precision::Precision;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Tokens of a unit, and channels of a block: 64 for each of two warpgroups.
pub(super) const TOKENS: usize = 256;
const LEFT: usize = 64;
const CHANNELS: usize = 2 * LEFT;
/// Least columns of y that are worth laying x out.
const MIN_COLUMNS: u64 = 256;
/// Terms that one product sums over, in octets.
pub(super) const TERMS: usize = 16;
/// Most terms: each octet of them has a row of blocks that lay it out.
const MAX_TERMS: u64 = 1 << 18;
/// Threads of a block, two warpgroups that multiply and a warp that copies, and of one that lays out x.
const THREADS: u32 = 2 * 128 + 32;
const LAYING: u32 = 128;
/// Shared memory of the ring of copies: slots of 16 terms of a unit and of the block's weights.
const RING: usize = 12 * (TOKENS + CHANNELS) * TERMS * 2;

macro_rules! wgmma {
    ($name:ident, $entry:literal, $units:literal, $precision:ident) => {
        pub(super) const $name: Entry = Entry {
            choose: Impl { contract: "matmul_fwd", entry: $entry, rank: 20, fits },
            set: Set::Sm90a,
            blocks,
            workspace,
            packed,
            prepare: |k, w| pack(k, w, Precision::$precision),
            launch: |k, o| launch(k, o, [$units, $entry]),
        };
    };
}

wgmma!(BF16, "matmul_fwd_bf16f32__wgmma_128x256_sm90a", "matmul_fwd_bf16f32__units_sm90a", Bf16);
wgmma!(F16, "matmul_fwd_f16f32__wgmma_128x256_sm90a", "matmul_fwd_f16f32__units_sm90a", F16);

/// Whether it is one of these implementations.
pub(super) fn multiplies(entry: &str) -> bool {
    [&BF16, &F16].iter().any(|known| known.choose.entry == entry)
}

fn units(p: &MatmulParams) -> usize {
    (p.m as usize).div_ceil(TOKENS)
}

fn stages(p: &MatmulParams) -> usize {
    (p.k as usize).div_ceil(TERMS)
}

fn channel_blocks(p: &MatmulParams) -> usize {
    (p.n as usize).div_ceil(CHANNELS)
}

/// Whether products take the call, and at least half of what they compute is of y.
fn fits(kernel: &Kernel) -> bool {
    let Kernel::Matmul(p) = kernel else { return false };
    let sized = (MIN_COLUMNS..MAX_SIDE).contains(&p.n) && p.k <= MAX_TERMS && p.k.is_multiple_of(VECTOR);
    let whole = |extent: u64, of: usize| extent.next_multiple_of(of as u64) <= extent.saturating_mul(2);
    sized && whole(p.m, TOKENS) && whole(p.n, CHANNELS)
}

fn blocks(kernel: &Kernel) -> u64 {
    let Kernel::Matmul(p) = kernel else { return 0 };
    units(p) as u64 * channel_blocks(p) as u64
}

fn workspace(kernel: &Kernel) -> usize {
    let Kernel::Matmul(p) = kernel else { return 0 };
    units(p).saturating_mul(stages(p)).saturating_mul(TOKENS * TERMS / 2)
}

fn packed(kernel: &Kernel) -> Option<Packed> {
    let Kernel::Matmul(p) = kernel else { return None };
    let len = channel_blocks(p) * stages(p) * CHANNELS * TERMS / 2;
    Some(Packed { operand: 1, len, variant: 0 })
}

/// Weights as (blocks, stages, warpgroups, two octets of terms, 64 channels, octet), zero beyond the last.
fn pack(kernel: &Kernel, weights: &[f32], precision: Precision) -> Result<Vec<u8>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    let (n, k) = (p.n as usize, p.k as usize);
    if Some(weights.len()) != n.checked_mul(k) {
        return Err(Error::shape(format!("matmul: {} weights, {n} x {k} wanted", weights.len())));
    }
    let weight =
        |channel: usize, term: usize| if channel < n && term < k { weights[channel * k + term] } else { 0.0 };
    let mut words: Vec<u32> = Vec::with_capacity(packed(kernel).map_or(0, |packed| packed.len));
    for (block, stage) in (0..channel_blocks(p)).flat_map(|b| (0..stages(p)).map(move |s| (b, s))) {
        for (group, octet) in (0..2).flat_map(|g| (0..2).map(move |o| (g, o))) {
            for left in 0..LEFT {
                let channel = block * CHANNELS + group * LEFT + left;
                let first = stage * TERMS + octet * 8;
                let word = |w: usize| {
                    precision.word([weight(channel, first + 2 * w), weight(channel, first + 2 * w + 1)])
                };
                words.extend((0..4).map(word));
            }
        }
    }
    Ok(bytemuck::cast_slice(&words).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands, entries: [&'static str; 2]) -> Result<Vec<Launch>> {
    let Kernel::Matmul(p) = kernel else { return Err(mismatch(kernel)) };
    check_x(o)?;
    p.activation()?;
    let o = by_role(p, o);
    let tokens = units(p) * TOKENS / LAYING as usize;
    let lay_out = Launch::new(entries[0], [tokens as u64, 2 * stages(p) as u64, 1], [LAYING, 1, 1], &o, p)?;
    let multiply = Launch::new(entries[1], [blocks(kernel), 1, 1], [THREADS, 1, 1], &o, p)?;
    Ok(vec![lay_out, Launch { shared: RING as u32, ..multiply }])
}
