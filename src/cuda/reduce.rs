//! Launches of reductions over one axis.

use super::launch::{line, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "reduce_fwd_f32__lines";

pub(super) const LINES: Entry = Entry::always("reduce_fwd", NAME, launch);

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Reduce(p) = kernel else { return Err(mismatch(kernel)) };
    p.reduce_mode()?;
    let (grid, block) = line(p.outer * p.inner);
    Ok(vec![Launch::new(NAME, grid, block, o, p)?])
}
