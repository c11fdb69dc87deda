//! Results in the layouts that products read, made by whoever computes them: what launches then need not do.

use super::conv_laid::reading_stored;
use super::laid::Laid;
use super::launch::Launch;
use super::stored::Stored;
use super::{handed_on, unread};
use crate::plan::{Slot, Step};
use crate::Result;

/// Shortens the launches of a plan's steps, whose operands lie at addresses and whose workspace begins at another and
/// has so many elements. Results stay the same, bit for bit.
///
/// # Errors
/// As launching what is left.
pub(super) fn shorten(
    steps: &[Step],
    launches: &mut [Vec<Launch>],
    address: impl Fn(Slot) -> u64,
    (workspace, room): (u64, usize),
) -> Result<()> {
    let stored = Stored::new(steps, launches, &address)?;
    handed_on::hand_on(steps, launches, &stored, &address, workspace);
    let mut laid = Laid::new(room);
    for (at, (step, launches)) in steps.iter().zip(&mut *launches).enumerate() {
        laid.shorten(at, step, launches, &address)?;
    }
    for at in laid.alone() {
        if let Some(alone) = launches[at].last().map(reading_stored).transpose()?.flatten() {
            launches[at] = vec![alone];
        }
    }
    let stored = Stored::new(steps, launches, &address)?;
    unread::leave_out(steps, launches, &stored);
    Ok(())
}
