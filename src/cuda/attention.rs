//! Launches of window attention.

use super::launch::{Launch, Operands, WARP};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::attention::{WindowAttentionParams, MAX_LOGIT_SCALE};
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

const NAME: &str = "window_attention_fwd_f32__warps";

/// Bytes of shared memory every GPU grants a block without being asked.
const SHARED: usize = 48 << 10;

/// Most warps of a block.
const MAX_WARPS: usize = 8;

pub(super) const WARPS: Entry =
    Entry { packed, prepare: factors, ..Entry::always("window_attention_fwd", NAME, launch) };

/// On matrix units: most elements of a head, of which so many are read at once, and the bytes of those.
const MAX_DIM: u32 = 32;
const VECTOR: u32 = 4;
const VECTOR_BYTES: u64 = 16;
/// Bytes of shared memory for a token, beside those for keys and values.
const PLACE: usize = 24;
const KEYS_AND_VALUES: usize = 12 << 10;
/// Threads of a block.
const THREADS: u32 = 128;

macro_rules! keys {
    ($name:ident, $entry:literal, $set:ident) => {
        pub(super) const $name: Entry = Entry {
            choose: Impl { contract: "window_attention_fwd", entry: $entry, rank: 10, fits },
            set: Set::$set,
            launch: |k, o| launch_keys(k, o, $entry),
            ..WARPS
        };
    };
}

keys!(BF16, "window_attention_fwd_bf16f32__keys_64_sm80", Sm80);
keys!(F16, "window_attention_fwd_f16f32__keys_64_sm80", Sm80);
keys!(SM75, "window_attention_fwd_f16f32__keys_64_sm75", Sm75);

fn fits(kernel: &Kernel) -> bool {
    let Kernel::WindowAttention(p) = kernel else { return false };
    let room = SHARED - KEYS_AND_VALUES;
    p.head_dim <= MAX_DIM && p.head_dim.is_multiple_of(VECTOR) && p.tokens() <= room / PLACE
}

fn launch_keys(kernel: &Kernel, o: &Operands, entry: &'static str) -> Result<Vec<Launch>> {
    let Kernel::WindowAttention(p) = kernel else { return Err(mismatch(kernel)) };
    if let Some(at) = [o.x[0], o.x[1], o.y].iter().find(|at| !at.is_multiple_of(VECTOR_BYTES)) {
        let what = format!("window attention: an operand begins at {at:#x}, no multiple of {VECTOR_BYTES}");
        return Err(Error::device(what));
    }
    let launch = Launch::new(entry, grid(p), [THREADS, 1, 1], o, p)?;
    Ok(vec![Launch { shared: (p.tokens() * PLACE) as u32, ..launch }])
}

fn grid(p: &WindowAttentionParams) -> [u64; 3] {
    let [rows, columns] = p.windows();
    [(rows * columns) as u64, p.heads.into(), p.batch.into()]
}

fn packed(kernel: &Kernel) -> Option<Packed> {
    let Kernel::WindowAttention(p) = kernel else { return None };
    (p.cosine == 1).then_some(Packed { operand: 3, len: p.heads as usize, variant: 0 })
}

/// What each head's products of queries and keys are multiplied by; `scale` is the operand of cosine
/// attention.
fn factors(kernel: &Kernel, scale: &[f32]) -> Result<Vec<u8>> {
    let Kernel::WindowAttention(p) = kernel else { return Err(mismatch(kernel)) };
    let plain = vec![f64::from(p.head_dim).sqrt().recip() as f32; p.heads as usize];
    let cosine = || scale.iter().map(|&s| f64::from(s).min(MAX_LOGIT_SCALE).exp() as f32).collect();
    let factors: Vec<f32> = if p.cosine == 1 { cosine() } else { plain };
    Ok(bytemuck::cast_slice(&factors).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::WindowAttention(p) = kernel else { return Err(mismatch(kernel)) };
    let logits = p.tokens() * std::mem::size_of::<f32>();
    let warps = MAX_WARPS.min(SHARED / logits.max(1));
    if warps == 0 {
        let most = (SHARED / std::mem::size_of::<f32>()).isqrt();
        let what = format!("window attention: a window of {}, at most {most} here", p.window);
        return Err(Error::unsupported(what));
    }
    let launch = Launch::new(NAME, grid(p), [warps as u32 * WARP, 1, 1], o, p)?;
    Ok(vec![Launch { shared: (warps * logits) as u32, ..launch }])
}
