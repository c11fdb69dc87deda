//! Which steps read what others store in the arena, by addresses.

use std::ops::Range;

use super::conv_units::{arguments, lays_out, multiplies};
use super::launch::{Launch, BYTES_OF_ELEMENT};
use super::{matmul, matmul_warpgroup};
use crate::kernel::Kernel;
use crate::plan::{Region, Slot, Step};
use crate::util::ranges::{meet, without};
use crate::Result;

/// Addresses of bytes, some of each image.
pub(super) type Parts = Vec<Range<u64>>;

/// What the steps of a plan read and write.
pub(super) struct Stored(Vec<Touched>);

struct Touched {
    /// Of each operand.
    reads: Vec<Parts>,
    /// What is surely written.
    writes: Parts,
    /// All that may be written.
    to: Range<u64>,
}

impl Stored {
    /// What steps with these launches touch; `address` says where operands lie.
    ///
    /// # Errors
    /// `Device` when a launch holds other arguments.
    pub fn new(steps: &[Step], launches: &[Vec<Launch>], address: impl Fn(Slot) -> u64) -> Result<Self> {
        let mut all = Vec::with_capacity(steps.len());
        for (step, launches) in steps.iter().zip(launches) {
            let operands = 0..step.operands.len();
            let reads = operands.map(|k| reads(step, launches, k, &address)).collect::<Result<_>>()?;
            let to = bytes(address(step.y), step.kernel.y_span());
            all.push(Touched { reads, writes: writes(step, &address), to });
        }
        Ok(Self(all))
    }

    /// The steps, and which of their operands, that read what a step stores before it is surely overwritten.
    pub fn readers(&self, at: usize) -> Vec<(usize, usize)> {
        let mut stored = self.0[at].writes.clone();
        let mut readers = Vec::new();
        for (step, touched) in self.0.iter().enumerate().skip(at + 1) {
            if stored.is_empty() {
                break;
            }
            let is_read = |parts: &Parts| parts.iter().any(|read| stored.iter().any(|part| meet(part, read)));
            let read = touched.reads.iter().enumerate().filter(|(_, parts)| is_read(parts));
            readers.extend(read.map(|(operand, _)| (step, operand)));
            stored = touched.writes.iter().fold(stored, without);
        }
        readers
    }

    /// Whether no step between a step and a reader may write where the first stores its result.
    pub fn stands(&self, at: usize, reader: usize) -> bool {
        self.0[at + 1..reader].iter().all(|between| !meet(&between.to, &self.0[at].to))
    }
}

/// What a step reads of what steps store.
fn reads(step: &Step, launches: &[Launch], operand: usize, address: impl Fn(Slot) -> u64) -> Result<Parts> {
    let slot = step.operands[operand];
    if slot.region != Region::Arena {
        return Ok(Parts::new());
    }
    let (from, all) = (address(slot), step.kernel.x_span(operand));
    let Kernel::Conv2d(p) = &step.kernel else {
        let stored = operand > 0 || reads_x(step, launches);
        return Ok(if stored { images(from, 1, 0, all) } else { Parts::new() });
    };
    // The last operands are the residuals.
    let residual = (operand + p.epilogue.residuals as usize).checked_sub(step.operands.len());
    if let Some(stride) = residual.and_then(|r| p.r_batch_stride.get(r)) {
        return Ok(images(from, p.batch, *stride, p.c_out as usize * p.y_plane()));
    }
    if operand > 0 {
        return Ok(images(from, 1, 0, all));
    }
    let read = read_of_x(launches, (from, p.c_in))?;
    Ok(read.map_or(Parts::new(), |(from, channels)| {
        images(from, p.batch, p.x_batch_stride, channels as usize * p.x_plane())
    }))
}

/// Whether a step that is no convolution reads its first operand where it was stored, not where it was laid out.
fn reads_x(step: &Step, launches: &[Launch]) -> bool {
    match step.choice.entry {
        entry if matmul_warpgroup::multiplies(entry) => launches.len() > 1,
        entry if matmul::reading_laid(entry).is_some() => launches.iter().any(|l| l.entry == entry),
        _ => true,
    }
}

/// Where a convolution begins to read x where it was stored, and how many channels; all of them unless it reads the
/// layout.
fn read_of_x(launches: &[Launch], all: (u64, u32)) -> Result<Option<(u64, u32)>> {
    match launches.iter().find(|launch| lays_out(launch.entry)) {
        Some(launch) => arguments(launch).map(|(o, p)| Some((o.x[0], p.c_in))),
        None => Ok(Some(all).filter(|_| !launches.iter().any(|launch| multiplies(launch.entry)))),
    }
}

/// What a step surely writes.
fn writes(step: &Step, address: impl Fn(Slot) -> u64) -> Parts {
    if step.y.region != Region::Arena {
        return Parts::new();
    }
    let to = address(step.y);
    let part = |r: &Range<usize>| bytes(to + r.start as u64 * BYTES_OF_ELEMENT, r.len());
    step.kernel.y_written().iter().map(part).collect()
}

/// `len` elements of each image.
pub(super) fn images(start: u64, batch: u32, stride: u64, len: usize) -> Parts {
    (0..batch).map(|image| bytes(start + u64::from(image) * stride * BYTES_OF_ELEMENT, len)).collect()
}

/// Where elements lie that begin at an address.
pub(super) fn bytes(start: u64, elements: usize) -> Range<u64> {
    start..start + elements as u64 * BYTES_OF_ELEMENT
}
