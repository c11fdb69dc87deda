//! Launches of pooling.

use super::launch::{rows_and_columns, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

const NAME: &str = "pool_fwd_f32__windows";

pub(super) const WINDOWS: Entry = Entry::always("pool_fwd", NAME, launch);

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Pool(p) = kernel else { return Err(mismatch(kernel)) };
    let rows = u64::from(p.batch) * u64::from(p.channels) * u64::from(p.h_out);
    let (grid, block) = rows_and_columns(rows, p.w_out.into());
    Ok(vec![Launch::new(NAME, grid, block, o, p)?])
}
