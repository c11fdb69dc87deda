//! Every entry against the reference in the PTX machine, and what of it was executed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use ptx_machine::Report;
use swath::cuda::{entries, Cuda, Precision};
use swath::engine::proof::{cases, run, Case};
use swath::graph::Graph;

use crate::cases::CASES;
use crate::compare::{graph, optimised};
use crate::machine::{Launched, Machine, OnMachine, ENTRIES};
use crate::{chains, golden, maps};

/// Cost of an entry's launches beyond which they are only repeated for what they alone execute.
const MOST_COST: u64 = 1_000_000;

/// What all cases have shown.
#[derive(Default)]
pub struct Proof {
    /// Cases whose results differ from the reference's.
    failures: Vec<String>,
    /// Implementations that plans have chosen.
    chosen: BTreeSet<&'static str>,
    /// What of each entry was executed.
    reports: BTreeMap<&'static str, Report>,
    /// Launches of each entry to repeat, the shortest first.
    pub launched: BTreeMap<&'static str, Vec<Launched>>,
}

/// All cases, run once for all tests.
pub static PROOF: LazyLock<Proof> = LazyLock::new(|| {
    let mut proof = Proof::default();
    let (goldens, sizes) = (golden::load(), cases().unwrap());
    // Where bytes are asked for, kernels round to bf16.
    for precision in Precision::ALL.into_iter().filter(|p| *p != Precision::Int8) {
        // The newest sets, then those below them where there is a choice.
        let capabilities: &[u32] = match precision {
            Precision::F32 => &[90],
            Precision::F16 => &[90, 80, 75, 72],
            _ => &[90, 80],
        };
        for capability in capabilities {
            for case in CASES {
                let golden = &goldens[case.name];
                let plain = graph(case, golden);
                for graph in [optimised(&plain), plain] {
                    proof.add(&with_operands(case.name, golden, graph), *capability, precision);
                }
            }
            sizes.iter().for_each(|case| proof.add(case, *capability, precision));
        }
        // A convolution on its own reads x as it is stored, but in full.
        for case in sizes.iter().filter(|case| case.name.starts_with("units")) {
            let machine = Machine::new(80);
            let cuda = Cuda::on(Arc::new(OnMachine(machine.clone()))).with_precision(precision).in_full();
            proof.note(agrees(&cuda, case, precision), machine.launched());
        }
    }
    // Others are launched for these as well, which have cases of their own.
    let in_chain = |l: &Launched| l.entry.starts_with(chains::CHAINS);
    for (case, precision) in
        chains::all().iter().flat_map(|case| [(case, Precision::Bf16), (case, Precision::F16)])
    {
        let machine = Machine::new(80);
        let cuda = Cuda::on(Arc::new(OnMachine(machine.clone()))).with_precision(precision).chained();
        let outcome = agrees(&cuda, case, precision);
        proof.note(outcome, machine.launched().into_iter().filter(in_chain).collect());
    }
    for map in maps::all() {
        let machine = Machine::new(90);
        proof.note(maps::agree(&machine, &map), machine.launched());
    }
    proof.launched.values_mut().for_each(few);
    proof
});

/// Orders launches by what they cost and drops long ones that execute nothing new.
fn few(launched: &mut Vec<Launched>) {
    launched.sort_by_key(Launched::cost);
    let (mut cost, mut executed) = (0, Vec::new());
    launched.retain(|l| {
        executed.resize(l.report.executed.len(), false);
        let mut new = false;
        for (seen, n) in executed.iter_mut().zip(&l.report.executed) {
            new |= *n > 0 && !*seen;
            *seen |= *n > 0;
        }
        cost += l.cost();
        new || cost < MOST_COST
    });
}

impl Proof {
    /// Runs a case on a machine of that capability.
    fn add(&mut self, case: &Case, capability: u32, precision: Precision) {
        let machine = Machine::new(capability);
        self.note(agree(&machine, case, precision), machine.launched());
    }

    /// Notes which entries a case has chosen, or how it failed, and what was launched.
    fn note(&mut self, outcome: Result<BTreeSet<&'static str>, String>, launched: Vec<Launched>) {
        match outcome {
            Ok(entries) => self.chosen.extend(entries),
            Err(failure) => self.failures.push(failure),
        }
        for launched in launched {
            self.reports.entry(launched.entry).or_default().add(&launched.report);
            self.launched.entry(launched.entry).or_default().push(launched);
        }
    }
}

/// Compares one case on a machine with the reference; the implementations its plan has chosen, or how it failed.
pub fn agree(
    machine: &Arc<Machine>,
    case: &Case,
    precision: Precision,
) -> Result<BTreeSet<&'static str>, String> {
    agrees(&Cuda::on(Arc::new(OnMachine(machine.clone()))).with_precision(precision), case, precision)
}

/// The same for a device.
fn agrees(cuda: &Cuda, case: &Case, precision: Precision) -> Result<BTreeSet<&'static str>, String> {
    match run(cuda, precision, case, "").map_err(|e| e.to_string())? {
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
    let failures = &PROOF.failures;
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
    let missing: Vec<_> = entries().filter(|e| !PROOF.chosen.contains(e)).collect();
    assert!(missing.is_empty(), "implementations no case has chosen: {missing:?}");
}

/// Prints how much of each entry was executed, and the lines of which something was not; every entry must have
/// been launched.
#[test]
fn every_entry_is_launched() {
    for (name, entry) in &*ENTRIES {
        let Some(report) = PROOF.reports.get(name) else { panic!("{name} was never launched") };
        let mut idle: BTreeMap<String, usize> = BTreeMap::new();
        for (line, _) in entry.lines().zip(&report.executed).filter(|(_, n)| **n == 0) {
            *idle.entry(line).or_default() += 1;
        }
        let (all, total) = (report.executed.len(), report.total());
        println!(
            "{name}: {} of {all} instructions executed, {total} times",
            all - idle.values().sum::<usize>()
        );
        idle.iter().for_each(|(line, n)| println!("    never executed at {line}: {n}"));
    }
}

/// A dense block's convolutions read each other's results: what one has laid out is not laid out again.
#[test]
fn channels_are_laid_out_once() {
    let block = cases().unwrap().into_iter().find(|case| case.name == "dense block").unwrap();
    // Of the first layer's input, which the other set reads as it is stored, and of its result; the growth is laid out
    // by the convolutions it comes from.
    for (capability, form, laid_out) in [(90, "wgmma", 16 + 32), (80, "laid", 32)] {
        let machine = Machine::new(capability);
        agree(&machine, &block, Precision::Bf16).unwrap();
        let launched = machine.launched();
        let octets =
            launched.iter().filter(|l| l.entry.contains("units")).map(|l| l.how.grid[2]).sum::<u32>();
        assert_eq!(octets, laid_out / 8, "{capability}");
        // And is stored by none of them, since nobody else reads it.
        let unstored = launched.iter().filter(|l| l.entry.contains(form) && l.operands().y == 0).count();
        assert_eq!(unstored, 4, "{capability}");
    }
}
