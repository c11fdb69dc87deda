//! Launches of window attention.

use super::launch::{Launch, Operands, WARP};
use super::table::{mismatch, Entry};
use crate::kernel::attention::MAX_LOGIT_SCALE;
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
    let [rows, columns] = p.windows();
    let grid = [(rows * columns) as u64, p.heads.into(), p.batch.into()];
    let launch = Launch::new(NAME, grid, [warps as u32 * WARP, 1, 1], o, p)?;
    Ok(vec![Launch { shared: (warps * logits) as u32, ..launch }])
}
