//! Launches of anchors, decoding and suppression.

use super::launch::{line, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

/// Threads of a block that works on one row or item together.
pub(super) const TOGETHER: u32 = 256;

pub(super) const ANCHORS: Entry = Entry::always("anchors_fwd", "anchors_fwd_f32__threads", |kernel, o| {
    let Kernel::Anchors(p) = kernel else { return Err(mismatch(kernel)) };
    let (grid, block) = line(p.len() as u64);
    Ok(vec![Launch::new("anchors_fwd_f32__threads", grid, block, o, p)?])
});

pub(super) const DECODE: Entry =
    Entry::always("box_decode_fwd", "box_decode_fwd_f32__threads", |kernel, o| {
        let Kernel::BoxDecode(p) = kernel else { return Err(mismatch(kernel)) };
        let classes = u64::from(p.classes.saturating_sub(p.first));
        let (grid, block) = line(u64::from(p.batch) * u64::from(p.k) * classes);
        Ok(vec![Launch::new("box_decode_fwd_f32__threads", grid, block, o, p)?])
    });

pub(super) const NMS: Entry = Entry {
    workspace: |kernel| match kernel {
        Kernel::Nms(p) => p.batch as usize * p.rows as usize,
        _ => 0,
    },
    ..Entry::always("nms_fwd", "nms_fwd_f32__rounds", suppress)
};

fn suppress(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Nms(p) = kernel else { return Err(mismatch(kernel)) };
    Ok(vec![Launch::new("nms_fwd_f32__rounds", [p.batch.into(), 1, 1], [TOGETHER, 1, 1], o, p)?])
}
