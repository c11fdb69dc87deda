//! Launches of normalising samples and of rounding to them.

use super::launch::{line, rows_and_columns, Launch};
use super::table::{mismatch, Entry};
use crate::kernel::Kernel;

pub(super) const NORMALISE: Entry = Entry {
    // The channels' scales.
    prepare: |kernel, _| {
        let Kernel::Normalise(p) = kernel else { return Err(mismatch(kernel)) };
        Ok(bytemuck::cast_slice(&p.scales[..p.channels as usize]).to_vec())
    },
    ..Entry::always("normalise_fwd", "normalise_fwd_f32__threads", |kernel, o| {
        let Kernel::Normalise(p) = kernel else { return Err(mismatch(kernel)) };
        p.dtype()?;
        let (grid, block) = rows_and_columns(p.planes, p.plane);
        Ok(vec![Launch::new("normalise_fwd_f32__threads", grid, block, o, p)?])
    })
};

pub(super) const TO_SAMPLES: Entry =
    Entry::always("to_samples_fwd", "to_samples_fwd_f32__threads", |kernel, o| {
        let Kernel::ToSamples(p) = kernel else { return Err(mismatch(kernel)) };
        p.dtype()?;
        let (grid, block) = line(p.n);
        Ok(vec![Launch::new("to_samples_fwd_f32__threads", grid, block, o, p)?])
    });
