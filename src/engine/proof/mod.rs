//! A device's kernels on small cases, against the reference in double precision.

mod case;
mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use case::Case;
pub use cases::cases;

use super::tolerance::{difference, rounding_steps, rounds, tolerance};
use crate::error::{Error, Result};
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::{compile, Device, Plan, Region, Step};
use crate::reference::Reference;

/// How one implementation did in the cases that chose it.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The implementation.
    pub entry: &'static str,
    /// Cases that chose it.
    pub cases: usize,
    /// The case that came nearest to what is allowed, or furthest beyond.
    pub worst: Worst,
}

/// One case's result: differences are of the result's range.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// The case.
    pub case: String,
    /// How far it was from the reference.
    pub difference: f32,
    /// How far it may be.
    pub allowed: f32,
}

impl Worst {
    /// Whether it is near enough.
    pub fn agrees(&self) -> bool {
        self.difference <= self.allowed
    }

    /// Whether it is worse than another.
    fn is_worse(&self, other: &Self) -> bool {
        let share = |w: &Self| if w.difference == 0.0 { 0.0 } else { w.difference / w.allowed };
        share(self) > share(other)
    }
}

/// What a case gave on a device.
pub struct Ran {
    /// The result against the reference's.
    pub worst: Worst,
    /// Implementations that computed it.
    pub entries: BTreeSet<&'static str>,
}

/// Runs all cases that choose an implementation whose name holds `pattern`.
///
/// # Errors
/// What the device says, with the case's name; `Usage` when there are no such cases. A result that is wrong is
/// no error.
pub fn prove(device: &dyn Device, precision: Precision, pattern: &str) -> Result<Vec<Proof>> {
    let mut proofs: BTreeMap<&'static str, Proof> = BTreeMap::new();
    for case in cases()? {
        let Some(ran) = run(device, precision, &case, pattern)? else { continue };
        // What does not round is proven at f32, where less is allowed.
        let counts = |e: &&str| e.contains(pattern) && (precision == Precision::F32 || rounds(e));
        for entry in ran.entries.into_iter().filter(counts) {
            let first = || Proof { entry, cases: 0, worst: ran.worst.clone() };
            let proof = proofs.entry(entry).or_insert_with(first);
            proof.cases += 1;
            if ran.worst.is_worse(&proof.worst) {
                proof.worst = ran.worst.clone();
            }
        }
    }
    Ok(proofs.into_values().collect())
}

/// Runs a case on a device and on the reference. Nothing where its plan has no implementation whose name holds
/// `pattern`, or none that rounds where that was asked for.
///
/// # Errors
/// What the device says, with the case's name.
pub fn run(device: &dyn Device, precision: Precision, case: &Case, pattern: &str) -> Result<Option<Ran>> {
    let named = |e: Error| e.while_doing(format!("{} in {precision}", case.name));
    let plan = Arc::new(compile(&case.graph, device.kernels()).map_err(named)?);
    let steps = plan.steps.iter().chain(&plan.load_steps);
    let entries: BTreeSet<_> = steps.map(|s| s.choice.entry).collect();
    let rounds = precision == Precision::F32 || rounding_steps(&plan.steps) > 0;
    if !rounds || !entries.iter().any(|e| e.contains(pattern)) {
        return Ok(None);
    }
    let ours = compute(device, plan.clone(), case).map_err(named)?;
    let reference = Reference::<f64>::new();
    let exact = Arc::new(compile(&case.graph, reference.kernels()).map_err(named)?);
    let exact = compute(&reference, exact, case).map_err(named)?;
    let (difference, allowed) = (difference(&ours, &exact), allowed(&plan, precision));
    Ok(Some(Ran { worst: Worst { case: case.name.clone(), difference, allowed }, entries }))
}

fn compute(device: &dyn Device, plan: Arc<Plan>, case: &Case) -> Result<Vec<f32>> {
    let mut session = device.load(plan, &case.weights)?;
    for (k, x) in case.inputs.iter().enumerate() {
        session.fill(k, x);
    }
    session.run()?;
    session.wait()?;
    Ok(session.numbers(0))
}

/// How far a plan's result may be from the exact one. One call that rounds nothing but a case's inputs and weights,
/// which can be rounded without loss, must be as good as in f32; attention multiplies shares, too.
fn allowed(plan: &Plan, precision: Precision) -> f32 {
    let rounding: Vec<&Step> = plan.steps.iter().filter(|s| rounds(s.choice.entry)).collect();
    let of_an_input = |s: &Step| {
        let of_operands = !matches!(s.kernel, Kernel::WindowAttention(_));
        of_operands && s.operands.first().is_some_and(|x| matches!(x.region, Region::Input(_)))
    };
    match rounding[..] {
        [only] if of_an_input(only) && plan.load_steps.is_empty() => tolerance(&plan.steps, Precision::F32),
        _ => tolerance(&plan.steps, precision),
    }
}
