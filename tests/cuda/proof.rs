//! Every entry against the reference in the PTX machine, and what of it was executed.

use std::collections::BTreeSet;
use std::sync::Arc;

use swath::cuda::modules::MODULES;
use swath::cuda::{entries, Cuda, Precision};
use swath::graph::Graph;
use swath::plan::{compile, Device, Plan};
use swath::reference::Reference;
use swath::tensor::MemoryStore;

use crate::cases::CASES;
use crate::compare::{difference, graph, optimised, tolerance};
use crate::machine::{Machine, OnMachine};
use crate::{golden, sweep};

/// Entries that a graph's plan has chosen, or how a case failed.
pub type Chosen = Result<BTreeSet<&'static str>, String>;

/// The result on a device, and its plan.
fn run(
    device: &dyn Device,
    graph: &Graph,
    store: &MemoryStore,
    x: &[Vec<f32>],
) -> Result<(Vec<f32>, Arc<Plan>), String> {
    let plan = Arc::new(compile(graph, device.kernels()).map_err(|e| e.to_string())?);
    let mut session = device.load(plan.clone(), store).map_err(|e| e.to_string())?;
    for (k, x) in x.iter().enumerate() {
        session.input(k).copy_from_slice(x);
    }
    session.run().and_then(|()| session.wait()).map_err(|e| e.to_string())?;
    Ok((session.output(0).to_vec(), plan))
}

/// Steps of a plan that round their factors.
fn rounding_steps(plan: &Plan) -> usize {
    plan.steps.iter().filter(|s| !s.choice.entry.contains("_f32__")).count()
}

/// How far a plan's result may be from the exact one, of its range. One convolution of inputs and
/// weights that can be rounded without loss must be as good as in f32.
fn allowed(plan: &Plan, precision: Precision) -> f32 {
    match rounding_steps(plan) {
        0 => tolerance(plan),
        1 if plan.load_steps.is_empty() => tolerance(plan),
        n => tolerance(plan) + 4.0 * precision.rounding() * (n as f32).sqrt(),
    }
}

/// Compares one graph on both devices.
pub fn agree(
    machine: &'static Machine,
    name: &str,
    graph: &Graph,
    store: &MemoryStore,
    x: &[Vec<f32>],
    precision: Precision,
) -> Chosen {
    let failed = |e| format!("{name} in {precision}: {e}");
    let cuda = Cuda::on(Arc::new(OnMachine(machine))).with_precision(precision);
    let plan = compile(graph, cuda.kernels()).map_err(|e| failed(e.to_string()))?;
    if precision != Precision::F32 && rounding_steps(&plan) == 0 {
        return Ok(BTreeSet::new());
    }
    let (ours, plan) = run(&cuda, graph, store, x).map_err(failed)?;
    let (exact, _) = run(&Reference::<f64>::new(), graph, store, x).map_err(failed)?;
    let steps = plan.steps.iter().chain(&plan.load_steps);
    let chosen = steps.map(|s| s.choice.entry).collect();
    match (difference(&ours, &exact), allowed(&plan, precision)) {
        (d, allowed) if d <= allowed => Ok(chosen),
        (d, allowed) => Err(failed(format!("{d} of range, {allowed} allowed, by {chosen:?}"))),
    }
}

#[test]
fn every_entry_agrees_with_the_reference() {
    let mut chosen = BTreeSet::new();
    let mut failures = Vec::new();
    let mut note = |outcome: Chosen| match outcome {
        Ok(entries) => chosen.extend(entries),
        Err(failure) => failures.push(failure),
    };
    let machine = Machine::shared();
    let (goldens, sizes) = (golden::load(), sweep::cases());
    for precision in Precision::ALL {
        for case in CASES {
            let golden = &goldens[case.name];
            let x: Vec<Vec<f32>> = golden.x.iter().map(|t| t.data.clone()).collect();
            let plain = graph(case, golden);
            for graph in [optimised(&plain), plain] {
                note(agree(machine, case.name, &graph, &golden.store(), &x, precision));
            }
        }
        for case in &sizes {
            let (store, x) = (sweep::weights(&case.graph), sweep::inputs(&case.graph));
            note(agree(machine, &case.name, &optimised(&case.graph), &store, &x, precision));
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));

    let missing: Vec<_> = entries().filter(|e| !chosen.contains(e)).collect();
    assert!(missing.is_empty(), "implementations no case has chosen: {missing:?}");
    coverage();
}

/// Prints what of each entry was executed; every entry must have been launched.
fn coverage() {
    let reports = Machine::shared().reports();
    for entry in MODULES.iter().flat_map(|m| m.entries()) {
        let Some(report) = reports.get(entry) else { panic!("{entry} was never launched") };
        let done = report.executed.iter().filter(|n| **n > 0).count();
        println!(
            "{entry}: {done} of {} instructions executed, {} times",
            report.executed.len(),
            report.total()
        );
    }
}
