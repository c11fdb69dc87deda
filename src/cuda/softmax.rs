//! Launches of softmax over one axis.

use super::launch::{line, Launch, Operands, WARP};
use super::table::{mismatch, Entry};
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::Result;

pub(super) const THREADS: Entry = Entry::always("softmax_fwd", "softmax_fwd_f32__threads", |k, o| {
    launch(k, o, "softmax_fwd_f32__threads", 1)
});

pub(super) const WARPS: Entry = Entry {
    choose: Impl {
        contract: "softmax_fwd",
        entry: "softmax_fwd_f32__warps",
        rank: 1,
        fits: |k| matches!(k, Kernel::Softmax(p) if p.inner == 1 && p.n >= u64::from(WARP)),
    },
    ..Entry::always("softmax_fwd", "", |k, o| launch(k, o, "softmax_fwd_f32__warps", WARP))
};

fn launch(kernel: &Kernel, o: &Operands, entry: &'static str, threads_per_line: u32) -> Result<Vec<Launch>> {
    let Kernel::Softmax(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = line(p.outer * p.inner * u64::from(threads_per_line));
    Ok(vec![Launch::new(entry, grid, block, o, p)?])
}
