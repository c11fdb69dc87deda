//! Convolutions that follow each other in one launch: what every block's wait is for, and that no bit changes.

use std::mem::offset_of;
use std::sync::Arc;

use swath::cuda::chain::Link;
use swath::cuda::{Cuda, Precision};
use swath::engine::proof::{cases, Case};
use swath::graph::{Builder, Mode, Var};
use swath::ops::Conv2d;
use swath::plan::{compile, Device};

use crate::machine::{Launched, Machine, OnMachine};

/// Entries of chains.
pub const CHAINS: &str = "conv_chain";

/// Networks whose convolutions follow each other.
pub fn all() -> Vec<Case> {
    let known = ["dense block", "growth by 16"];
    let mut all: Vec<_> = cases().unwrap().into_iter().filter(|case| known.contains(&&*case.name)).collect();
    all.extend([blocks_of_channels(), residual_blocks()]);
    all
}

/// Without a bias.
fn conv<'b>(b: &'b Builder, x: Var<'b>, name: &str, c_out: usize) -> Var<'b> {
    x.conv2d(b.scope(name).param("weight", &[c_out, x.dim(1), 3, 3]), None, Conv2d::same(3))
}

fn case(name: &str, build: impl for<'b> FnOnce(&'b Builder) -> Var<'b>) -> Case {
    let b = Builder::new(Mode::Infer);
    let y = build(&b);
    b.output("y", y);
    Case::new(name, b.finish().unwrap()).unwrap()
}

/// Two images, blocks of 64 and several of 32 channels, several stages of either.
fn blocks_of_channels() -> Case {
    case("blocks of channels", |b| {
        let x = conv(b, b.input("x", &[2, 3, 33, 16]), "first", 32);
        let wide = conv(b, x, "wide", 48).leaky_relu(0.2);
        let narrow = conv(b, x.concat(&[wide], 1), "narrow", 80);
        conv(b, x.concat(&[wide, narrow], 1), "last", 9)
    })
}

/// Results go to and fro between places.
fn residual_blocks() -> Case {
    case("residual blocks", |b| {
        let mut x = conv(b, b.input("x", &[1, 3, 64, 16]), "first", 16);
        for k in ["1", "2"] {
            let inner = conv(b, x, &format!("{k}.1"), 16).relu();
            x = conv(b, inner, &format!("{k}.2"), 16).add(x).relu();
        }
        x
    })
}

/// What a case gives, as bits, and what was launched for it, on a device as `change` makes it.
pub fn run(
    case: &Case,
    capability: u32,
    precision: Precision,
    change: fn(Cuda) -> Cuda,
) -> (Vec<u32>, Vec<Launched>) {
    run_on(&Machine::new(capability), case, precision, change)
}

fn run_on(
    machine: &Arc<Machine>,
    case: &Case,
    precision: Precision,
    change: fn(Cuda) -> Cuda,
) -> (Vec<u32>, Vec<Launched>) {
    let cuda = change(Cuda::on(Arc::new(OnMachine(machine.clone()))).with_precision(precision));
    let plan = Arc::new(compile(&case.graph, cuda.kernels()).unwrap());
    let mut session = cuda.load(plan, &case.weights).unwrap();
    machine.launched();
    case.inputs.iter().enumerate().for_each(|(k, x)| session.fill(k, x));
    session.run().unwrap();
    session.wait().unwrap();
    (session.numbers(0).iter().map(|v| v.to_bits()).collect(), machine.launched())
}

#[test]
fn no_bit_changes() {
    for case in all() {
        for precision in [Precision::Bf16, Precision::F16] {
            let name = format!("{} in {precision}", case.name);
            let (single, launches) = run(&case, 80, precision, |cuda| cuda);
            for schedule in 0..2 {
                let machine = Machine::on_schedule(80, schedule);
                let (chained, fewer) = run_on(&machine, &case, precision, Cuda::chained);
                assert!(single == chained, "{name} on {schedule}");
                let chains = |of: &[Launched]| of.iter().filter(|l| l.entry.starts_with(CHAINS)).count();
                assert_eq!([chains(&launches), chains(&fewer)], [0, 1], "{name}");
                assert!(fewer.len() < launches.len(), "{name}");
            }
        }
    }
}

/// The fourth convolution waits by the counters of the first, where the third counts as well.
#[test]
fn a_wait_for_another_convolution_is_found() {
    let case = all().into_iter().find(|case| case.name == "dense block").unwrap();
    let (_, launched) = run(&case, 80, Precision::Bf16, Cuda::chained);
    let chain = launched.iter().find(|l| l.entry.starts_with(CHAINS)).unwrap();
    let counter = chain.operands().prepared + (2 * size_of::<Link>() + offset_of!(Link, counter)) as u64;
    chain.repeated_after(counter, |same| same).unwrap();
    let found = chain.repeated_after(counter, |_| 0).unwrap_err();
    assert!(found.contains("block"), "{found}");
}
