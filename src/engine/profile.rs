//! Where a network's time goes on a device: runs as a whole, and its steps one by one.

use std::collections::HashMap;
use std::time::Instant;

use serde::Serialize;

use super::session::Session;
use crate::error::Result;
use crate::plan::{Memory, Step};

/// What a network takes on a device.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    /// Seconds of each run, copies in and out included.
    pub runs: Vec<f64>,
    /// Seconds of the run whose steps were timed.
    pub timed: f64,
    /// Bytes it holds: parameters, intermediates, scratch, inputs and outputs.
    pub bytes: [usize; 4],
    /// Calls of that run, by what [`profile`] was asked for; empty where the device does not time steps.
    pub kernels: Vec<Calls>,
}

/// Calls of kernels that are counted as one.
#[derive(Debug, Clone, Serialize)]
pub struct Calls {
    /// The implementation.
    pub entry: &'static str,
    /// What is computed: the kernel with its extents, the layer before it where each is apart; nothing where all calls
    /// of an implementation are counted as one.
    pub what: String,
    /// How many they are.
    pub calls: usize,
    /// Seconds of all.
    pub seconds: f64,
    /// Operations that the products take when every one is computed: two a product.
    pub flops: f64,
    /// Bytes of operands and results, each counted once a call.
    pub bytes: f64,
}

/// Which calls are counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// All of one implementation, the dearest first.
    Entry,
    /// All that do the same by the same implementation, the dearest first.
    Kernel,
    /// Each alone, in running order.
    Layer,
}

impl Grouping {
    fn what(self, step: &Step) -> String {
        match self {
            Self::Entry => String::new(),
            Self::Kernel => step.kernel.to_string(),
            Self::Layer => format!("{} {}", step.label, step.kernel),
        }
    }
}

impl Calls {
    /// No call yet.
    pub fn none(entry: &'static str, what: String) -> Self {
        Self { entry, what, calls: 0, seconds: 0.0, flops: 0.0, bytes: 0.0 }
    }

    fn add(&mut self, step: &Step, seconds: f64) {
        let elements: usize = (0..step.kernel.operands()).map(|k| step.kernel.x_span(k)).sum();
        self.calls += 1;
        self.seconds += seconds;
        self.flops += 2.0 * step.kernel.products();
        self.bytes += ((elements + step.kernel.y_span()) * size_of::<f32>()) as f64;
    }
}

/// Times `runs` runs, after one that is not counted, and as many step by step, of which the fastest is told apart.
///
/// # Errors
/// What the device says.
pub fn profile(session: &mut Session, runs: usize, grouping: Grouping) -> Result<Profile> {
    session.compute()?;
    let mut seconds = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        session.compute()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let (mut timed, mut steps) = (f64::INFINITY, Vec::new());
    for _ in 0..runs {
        let started = Instant::now();
        let taken = session.time_steps()?;
        let whole = started.elapsed().as_secs_f64();
        if whole < timed {
            (timed, steps) = (whole, taken);
        }
    }
    let Memory { params, arena, workspace, io } = session.memory();
    let kernels = grouped(&session.plan().steps, &steps, grouping);
    Ok(Profile { runs: seconds, timed, bytes: [params, arena, workspace, io], kernels })
}

fn grouped(steps: &[Step], seconds: &[f64], grouping: Grouping) -> Vec<Calls> {
    let mut calls: Vec<Calls> = Vec::new();
    let mut places: HashMap<(&str, String), usize> = HashMap::new();
    for (step, seconds) in steps.iter().zip(seconds) {
        let (entry, what) = (step.choice.entry, grouping.what(step));
        let alone = calls.len();
        let place = match grouping {
            Grouping::Layer => alone,
            _ => *places.entry((entry, what.clone())).or_insert(alone),
        };
        if place == alone {
            calls.push(Calls::none(entry, what));
        }
        calls[place].add(step, *seconds);
    }
    if grouping != Grouping::Layer {
        calls.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    }
    calls
}
