//! Kernels of the transformer backbones at the sizes of Swin v2 B on 512×512 pixels, in GFLOP/s and as a
//! share of the machine's peak in their precision; norms in GB/s. Interleaved as in `conv`: medians over rounds.
//! `SWATH_ISA` picks the instruction set, `SWATH_BENCH_THREADS` the threads (default 1).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peak;

use std::sync::Arc;
use std::time::Instant;

use peak::{median, peak};
use swath::cpu::isa::Isa;
use swath::cpu::Cpu;
use swath::graph::{Builder, Mode, Var};
use swath::kernel::levels::Levels;
use swath::kernel::precision::Precision;
use swath::ops::WindowAttention;
use swath::passes::optimise;
use swath::plan::{compile, Device, Session};
use swath::tensor::MemoryStore;

const ROUNDS: usize = 15;

/// One kernel as a network of its own.
struct Case {
    name: String,
    session: Box<dyn Session>,
    precision: Precision,
    gflop: f64,
    gbyte: f64,
}

impl Case {
    fn new(
        name: String,
        dims: &[usize],
        (threads, precision): (usize, Precision),
        build: impl for<'b> Fn(&'b Builder, Var<'b>) -> Var<'b>,
    ) -> Self {
        let b = Builder::new(Mode::Infer);
        b.output("y", build(&b, b.input("x", dims)));
        let mut graph = b.finish().unwrap();
        optimise(&mut graph).unwrap();
        let levels = |k: usize| Arc::new(Levels::of_ranges(&vec![[-0.5, 0.5]; k], 1.0).unwrap());
        let products = graph.params().filter(|(_, value)| value.spec.shape.len() == 2);
        let calibration =
            products.map(|(name, value)| (name.to_string(), levels(value.spec.shape[1]))).collect();
        graph.calibration = calibration;
        let mut store = MemoryStore::new();
        for (name, value) in graph.params() {
            let data = (0..value.spec.shape.numel()).map(|i| (i % 17) as f32 / 170.0 - 0.05).collect();
            store.insert(name, &value.spec.shape, data).unwrap();
        }
        let cost = graph.cost();
        let cpu = Cpu::new(threads).unwrap().with_precision(precision);
        let mut session = cpu.load(compile(&graph, cpu.kernels()).unwrap().into(), &store).unwrap();
        session.input(0).iter_mut().enumerate().for_each(|(i, x)| *x = (i % 23) as f32 / 23.0 - 0.5);
        Self { name, session, precision, gflop: cost.flops as f64 * 1e-9, gbyte: cost.bytes as f64 * 1e-9 }
    }

    /// Seconds of one run, measured over about ten milliseconds.
    fn seconds(&mut self) -> f64 {
        let start = Instant::now();
        self.session.run().unwrap();
        let repeats = (0.01 / start.elapsed().as_secs_f64()).ceil().min(1000.0);
        let start = Instant::now();
        (0..repeats as usize).for_each(|_| self.session.run().unwrap());
        start.elapsed().as_secs_f64() / repeats
    }
}

fn linear(m: usize, k: usize, n: usize, gelu: bool, how: (usize, Precision)) -> Case {
    let name = format!("linear {m}x{k}x{n}{} {}", if gelu { " gelu" } else { "" }, how.1);
    Case::new(name, &[m, k], how, |b, x| {
        let y = x.linear(b.param("w", &[n, k]), Some(b.param("b", &[n])));
        if gelu {
            y.gelu()
        } else {
            y
        }
    })
}

fn attention(side: usize, heads: usize, window: usize, shift: usize, cosine: bool, threads: usize) -> Case {
    let c = 32 * heads;
    let kind = if cosine { "cosine" } else { "dot" };
    let name = format!("attention {kind} {side}x{side} heads {heads} window {window} shift {shift}");
    Case::new(name, &[1, side, side, 3 * c], (threads, Precision::F32), |b, x| {
        let bias = b.param("bias", &[heads, (2 * window - 1) * (2 * window - 1)]);
        let scale = cosine.then(|| b.param("scale", &[heads]));
        x.window_attention(
            WindowAttention { heads, window, shift, cosine },
            b.param("pad", &[3 * c]),
            bias,
            scale,
        )
    })
}

fn norm(rows: usize, n: usize, threads: usize) -> Case {
    Case::new(format!("layer norm {rows}x{n}"), &[rows, n], (threads, Precision::F32), |b, x| {
        x.layer_norm(b.param("w", &[n]), b.param("b", &[n]), 1e-5)
    })
}

fn main() {
    let threads = std::env::var("SWATH_BENCH_THREADS").map_or(1, |v| v.parse().unwrap());
    let isa = Isa::current().unwrap();
    let mut cases = Vec::new();
    for precision in Precision::ALL.into_iter().filter(|p| isa.multiplies(*p)) {
        for (m, k, n, gelu) in [
            (16384, 128, 384, false),
            (16384, 128, 512, true),
            (16384, 512, 128, false),
            (1024, 512, 1536, false),
            (1024, 512, 2048, true),
            (1024, 2048, 512, false),
            (256, 1024, 4096, true),
        ] {
            cases.push(linear(m, k, n, gelu, (threads, precision)));
        }
    }
    cases.extend([
        attention(128, 4, 8, 4, true, threads),
        attention(32, 16, 8, 0, true, threads),
        attention(32, 16, 8, 4, true, threads),
        attention(128, 4, 7, 3, false, threads),
        norm(16384, 128, threads),
        norm(1024, 512, threads),
    ]);
    let mut seconds = vec![Vec::new(); cases.len()];
    let mut shares = seconds.clone();
    for _ in 0..ROUNDS {
        for (i, case) in cases.iter_mut().enumerate() {
            let limit = peak(case.precision) * threads as f64;
            let taken = case.seconds();
            seconds[i].push(taken);
            shares[i].push(case.gflop / taken / limit);
        }
    }
    println!(
        "{:<52}{:>10}{:>10}{:>10}{:>10}  {threads} thread(s)",
        "kernel", "us", "GFLOP/s", "of peak", "GB/s"
    );
    for ((case, seconds), shares) in cases.iter().zip(seconds).zip(shares) {
        let (taken, share) = (median(seconds), 100.0 * median(shares));
        let (rate, bytes) = (case.gflop / taken, case.gbyte / taken);
        println!("{:<52}{:>10.0}{rate:>10.1}{share:>9.1}%{bytes:>10.1}", case.name, taken * 1e6);
    }
}
