//! Where a network's time goes on a device: runs as a whole, and its kernels by implementation.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::session::Session;
use crate::error::Result;
use crate::plan::Memory;

/// What a network takes on a device.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    /// Seconds of each run, copies in and out included.
    pub runs: Vec<f64>,
    /// Bytes it holds: parameters, intermediates, scratch, inputs and outputs.
    pub bytes: [usize; 4],
    /// Its kernels, the dearest first; empty where the device does not time them.
    pub kernels: Vec<KernelTime>,
}

/// All calls of one implementation in one run.
#[derive(Debug, Clone, Serialize)]
pub struct KernelTime {
    /// The implementation.
    pub entry: &'static str,
    /// Calls.
    pub calls: usize,
    /// Seconds of all calls.
    pub seconds: f64,
    /// Operations that the products take when every one is computed: two a product.
    pub flops: f64,
    /// Bytes of operands and results, each counted once a call.
    pub bytes: f64,
}

/// Times `runs` runs, after one that is not counted, and then the kernels one by one.
///
/// # Errors
/// What the device says.
pub fn profile(session: &mut Session, runs: usize) -> Result<Profile> {
    session.compute()?;
    let mut seconds = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        session.compute()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let steps = session.time_steps()?;
    let mut kernels: BTreeMap<&'static str, KernelTime> = BTreeMap::new();
    for (step, seconds) in session.plan().steps.iter().zip(steps) {
        let entry = step.choice.entry;
        let none = KernelTime { entry, calls: 0, seconds: 0.0, flops: 0.0, bytes: 0.0 };
        let sum = kernels.entry(entry).or_insert(none);
        let elements: usize = (0..step.kernel.operands()).map(|k| step.kernel.x_span(k)).sum();
        sum.calls += 1;
        sum.seconds += seconds;
        sum.flops += 2.0 * step.kernel.products();
        sum.bytes += ((elements + step.kernel.y_span()) * std::mem::size_of::<f32>()) as f64;
    }
    let mut kernels: Vec<KernelTime> = kernels.into_values().collect();
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let Memory { params, arena, workspace, io } = session.memory();
    Ok(Profile { runs: seconds, bytes: [params, arena, workspace, io], kernels })
}
