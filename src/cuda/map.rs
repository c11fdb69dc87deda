//! Launches of element-wise maps.

use super::launch::{rows_and_columns, Launch, Operands};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;
use crate::Result;

pub(super) const STRIDED: Entry = Entry::always("map_fwd", "map_fwd_f32__strided", launch);

fn launch(kernel: &Kernel, o: &Operands) -> Result<Vec<Launch>> {
    let Kernel::Map(p) = kernel else { return Err(mismatch(kernel)) };
    p.map_op()?;
    let inner = p.dims[(p.rank as usize).saturating_sub(1)].max(1);
    let (grid, block) = rows_and_columns(p.numel() as u64 / inner, inner);
    Ok(vec![Launch::new("map_fwd_f32__strided", grid, block, o, p)?])
}
