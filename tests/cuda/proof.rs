//! Every entry against the reference in the PTX machine, and what of it was executed.

use std::collections::BTreeSet;
use std::sync::Arc;

use swath::cuda::modules::MODULES;
use swath::cuda::{entries, Cuda};
use swath::graph::Graph;
use swath::plan::{compile, Device};
use swath::reference::Reference;
use swath::tensor::MemoryStore;

use crate::cases::CASES;
use crate::compare::{difference, graph, optimised, tolerance};
use crate::machine::{Machine, OnMachine};
use crate::{golden, sweep};

/// The result on a device, and the entries its plan has chosen.
fn run(device: &dyn Device, graph: &Graph, store: &MemoryStore, x: &[Vec<f32>]) -> Result<Outcome, String> {
    let plan = Arc::new(compile(graph, device.kernels()).map_err(|e| e.to_string())?);
    let mut session = device.load(plan.clone(), store).map_err(|e| e.to_string())?;
    for (k, x) in x.iter().enumerate() {
        session.input(k).copy_from_slice(x);
    }
    session.run().and_then(|()| session.wait()).map_err(|e| e.to_string())?;
    let steps = plan.steps.iter().chain(&plan.load_steps);
    let chosen = steps.map(|s| s.choice.entry).collect();
    Ok(Outcome { y: session.output(0).to_vec(), chosen, tolerance: tolerance(&plan) })
}

struct Outcome {
    y: Vec<f32>,
    chosen: BTreeSet<&'static str>,
    tolerance: f32,
}

/// Compares one graph on both devices; gives the entries that were chosen.
fn agree(
    name: &str,
    graph: &Graph,
    store: &MemoryStore,
    x: &[Vec<f32>],
) -> Result<BTreeSet<&'static str>, String> {
    let cuda = Cuda::on(Arc::new(OnMachine(Machine::shared())));
    let ours = run(&cuda, graph, store, x).map_err(|e| format!("{name}: {e}"))?;
    let exact = run(&Reference::<f64>::new(), graph, store, x).map_err(|e| format!("{name}: {e}"))?;
    match difference(&ours.y, &exact.y) {
        d if d <= ours.tolerance => Ok(ours.chosen),
        d => Err(format!("{name}: {d} of range, {} allowed, by {:?}", ours.tolerance, ours.chosen)),
    }
}

#[test]
fn every_entry_agrees_with_the_reference() {
    let mut chosen = BTreeSet::new();
    let mut failures = Vec::new();
    let mut note = |outcome: Result<BTreeSet<&'static str>, String>| match outcome {
        Ok(entries) => chosen.extend(entries),
        Err(failure) => failures.push(failure),
    };
    let goldens = golden::load();
    for case in CASES {
        let golden = &goldens[case.name];
        let x: Vec<Vec<f32>> = golden.x.iter().map(|t| t.data.clone()).collect();
        let plain = graph(case, golden);
        for graph in [optimised(&plain), plain] {
            note(agree(case.name, &graph, &golden.store(), &x));
        }
    }
    for case in sweep::cases() {
        let (store, x) = (sweep::weights(&case.graph), sweep::inputs(&case.graph));
        note(agree(&case.name, &optimised(&case.graph), &store, &x));
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
