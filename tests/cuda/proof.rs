//! Every entry against the reference in the PTX machine, and what of it was executed.

use std::collections::BTreeSet;
use std::sync::Arc;

use swath::cuda::modules::MODULES;
use swath::cuda::{entries, Cuda, Precision};
use swath::engine::proof::{cases, run, Case};
use swath::graph::Graph;

use crate::cases::CASES;
use crate::compare::{graph, optimised};
use crate::golden;
use crate::machine::{Machine, OnMachine};

/// Entries that a case's plan has chosen, or how it failed.
pub type Chosen = Result<BTreeSet<&'static str>, String>;

/// Compares one case on a machine with the reference.
pub fn agree(machine: &'static Machine, case: &Case, precision: Precision) -> Chosen {
    let cuda = Cuda::on(Arc::new(OnMachine(machine))).with_precision(precision);
    match run(&cuda, precision, case, "").map_err(|e| e.to_string())? {
        None => Ok(BTreeSet::new()),
        Some(ran) if ran.worst.agrees() => Ok(ran.entries),
        Some(ran) => Err(format!("{:?} in {precision} by {:?}", ran.worst, ran.entries)),
    }
}

/// A golden's graph with its operands.
fn with_operands(name: &str, golden: &golden::Golden, graph: Graph) -> Case {
    let inputs = golden.x.iter().map(|t| t.data.clone()).collect();
    Case { name: name.into(), graph, weights: golden.store(), inputs }
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
    let (goldens, sizes) = (golden::load(), cases().unwrap());
    for precision in Precision::ALL {
        for case in CASES {
            let golden = &goldens[case.name];
            let plain = graph(case, golden);
            for graph in [optimised(&plain), plain] {
                note(agree(machine, &with_operands(case.name, golden, graph), precision));
            }
        }
        for case in &sizes {
            note(agree(machine, case, precision));
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
