//! Launches of the choice of the largest, and of gathering.

use super::boxes::TOGETHER;
use super::launch::{line, Launch};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;

pub(super) const TOP_K: Entry = Entry::always("top_k_fwd", "top_k_fwd_f32__rounds", |kernel, o| {
    let Kernel::TopK(p) = kernel else { return Err(mismatch(kernel)) };
    let grid = [p.rows.min(1 << 20), 1, 1];
    Ok(vec![Launch::new("top_k_fwd_f32__rounds", grid, [TOGETHER, 1, 1], o, p)?])
});

pub(super) const GATHER: Entry = Entry::always("gather_fwd", "gather_fwd_f32__threads", |kernel, o| {
    let Kernel::Gather(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = line(p.batch * p.k * p.width);
    Ok(vec![Launch::new("gather_fwd_f32__threads", grid, block, o, p)?])
});
