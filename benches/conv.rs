//! Convolutions of the super-resolution networks, in GFLOP/s and as a share of the machine's peak in their precision.
//!
//! First an interleaved table (every round runs the peak loop and each case once; medians of the
//! ratios, so that a busy machine disturbs all alike), then criterion's statistics per case.
//! `SWATH_ISA` picks the instruction set, `SWATH_BENCH_THREADS` the threads (default 1).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peak;

use std::time::Instant;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use swath::cpu::conv::{Algorithm, Kept, Method, Operands, PackedConv};
use swath::cpu::isa::Isa;
use swath::cpu::pool::Pool;
use swath::kernel::conv::{Activation, Conv2dParams, Epilogue};
use swath::kernel::levels::Levels;
use swath::kernel::precision::Precision;

use peak::{median, peak};

const ROUNDS: usize = 15;

/// One convolution and its memory.
struct Case {
    name: String,
    params: Conv2dParams,
    precision: Precision,
    conv: PackedConv,
    kernel: &'static str,
    x: Vec<f32>,
    y: Vec<f32>,
    bias: Vec<f32>,
    scratch: Vec<f32>,
}

impl Case {
    fn new(
        algorithm: Algorithm,
        precision: Precision,
        x: [u32; 4],
        c_out: u32,
        kernel: u32,
        threads: usize,
    ) -> Self {
        let [batch, c_in, h, w] = x;
        let mut params = Conv2dParams::same(x, c_out, kernel);
        params.epilogue =
            Epilogue { has_bias: 1, act: Activation::LeakyRelu as u32, slope: 0.2, ..Epilogue::NONE };
        let method = Method { algorithm, precision, isa: Isa::current().unwrap() };
        let numbers = |n: usize| (0..n).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect::<Vec<_>>();
        let weights = numbers(params.weight_len());
        let levels = Levels::of_ranges(&vec![[-0.5, 0.5]; c_in as usize], 1.0).unwrap();
        Self {
            name: format!("{c_in}->{c_out} {kernel}x{kernel} {batch}x{h}x{w} {algorithm:?} {precision}"),
            kernel: PackedConv::form(method, &params).unwrap().0,
            conv: PackedConv::with_levels(method, &params, &weights, Some(&levels), &Pool::new(1).unwrap())
                .unwrap(),
            precision,
            x: numbers(params.x_span()),
            y: numbers(params.y_span()),
            bias: numbers(c_out as usize),
            scratch: vec![0.0; PackedConv::scratch_len(method, &params, threads).unwrap()],
            params,
        }
    }

    fn run(&mut self, pool: &Pool) {
        let (x, y) = (self.x.as_ptr(), self.y.as_mut_ptr());
        let operands = Operands { x, y, bias: &self.bias, slope: &[], residuals: [x, x], kept: Kept::NONE };
        // SAFETY: the tensors have the spans of the parameters.
        unsafe { self.conv.run(&self.params, &operands, &mut self.scratch, pool).unwrap() };
    }

    fn gflop(&self) -> f64 {
        2e-9 * self.params.macs() as f64
    }
}

/// Every algorithm in every precision of this machine.
fn methods() -> impl Iterator<Item = (Algorithm, Precision)> {
    let isa = Isa::current().unwrap();
    let precisions = Precision::ALL.into_iter().filter(move |p| isa.multiplies(*p));
    let direct = precisions.map(|p| (Algorithm::Direct, p));
    direct.chain([(Algorithm::Winograd, Precision::F32)])
}

fn cases(threads: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for image in [[1, 32, 32], [16, 32, 32], [1, 128, 128]] {
        for (c_in, c_out) in [(64, 32), (96, 32), (128, 32), (160, 32), (192, 64)] {
            for (algorithm, precision) in methods() {
                let x = [image[0], c_in, image[1], image[2]];
                cases.push(Case::new(algorithm, precision, x, c_out, 3, threads));
            }
        }
    }
    let direct = methods().filter(|(algorithm, _)| *algorithm == Algorithm::Direct);
    for (algorithm, precision) in direct {
        for (x, c_out, kernel) in [
            ([1, 64, 512, 512], 64, 3),
            ([1, 64, 512, 512], 3, 3),
            ([1, 128, 128, 128], 64, 1),
            ([1, 1024, 32, 32], 256, 1),
            ([16, 64, 16, 16], 64, 3),
        ] {
            cases.push(Case::new(algorithm, precision, x, c_out, kernel, threads));
        }
    }
    cases
}

fn table(cases: &mut [Case], pool: &Pool) {
    let mut rates = vec![Vec::new(); cases.len()];
    let mut shares = rates.clone();
    for _ in 0..ROUNDS {
        for (i, case) in cases.iter_mut().enumerate() {
            let limit = peak(case.precision) * pool.threads() as f64;
            let repeats = (2.0 / case.gflop()).ceil() as usize;
            let start = Instant::now();
            (0..repeats).for_each(|_| case.run(pool));
            let rate = repeats as f64 * case.gflop() / start.elapsed().as_secs_f64();
            rates[i].push(rate);
            shares[i].push(rate / limit);
        }
    }
    println!("{:<28}{:>10}{:>10}  kernel, {} thread(s)", "convolution", "GFLOP/s", "of peak", pool.threads());
    for ((case, rates), shares) in cases.iter().zip(rates).zip(shares) {
        let (rate, share) = (median(rates), 100.0 * median(shares));
        println!("{:<28}{rate:>10.1}{share:>9.1}%  {}", case.name, case.kernel);
    }
}

fn convolutions(criterion: &mut Criterion) {
    let threads = std::env::var("SWATH_BENCH_THREADS").map_or(1, |v| v.parse().unwrap());
    let pool = Pool::new(threads).unwrap();
    let mut cases = cases(threads);
    table(&mut cases, &pool);
    if std::env::var_os("SWATH_BENCH_TABLE_ONLY").is_some() {
        return;
    }
    let mut group = criterion.benchmark_group("conv2d_fwd_f32");
    for case in &mut cases {
        group.throughput(Throughput::Elements(2 * case.params.macs()));
        group.bench_function(case.name.clone(), |bencher| bencher.iter(|| case.run(&pool)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = convolutions
}
criterion_main!(benches);
