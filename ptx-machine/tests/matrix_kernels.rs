//! Pipelined matrix products as clang emits them: cp.async + ldmatrix + mma, and TMA + mbarrier + wgmma.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::f16;
use ptx_machine::{Entry, Fault, Launch, Memory, Module, Params, TensorMap};

fn noise(n: usize, seed: u32) -> Vec<f16> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        f16::from_f32((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..n).map(step).collect()
}

fn plain(a: &[f16], b: &[f16], m: usize, n: usize, k: usize) -> Vec<f32> {
    let dot = |i: usize, j: usize| (0..k).map(|l| a[i * k + l].to_f32() * b[j * k + l].to_f32()).sum();
    (0..m * n).map(|at| dot(at / n, at % n)).collect()
}

fn agree(y: &[f32], want: &[f32]) {
    for (i, (y, w)) in y.iter().zip(want).enumerate() {
        assert!((y - w).abs() < 1e-4 * (1.0 + w.abs()), "{i}: {y} {w}");
    }
}

fn mma(entry: &Entry, m: usize, n: usize, k: usize) -> Result<Vec<f32>, Box<Fault>> {
    let (a, b) = (noise(m * k, 1), noise(n * k, 2));
    let mut memory = Memory::new();
    let at = [
        memory.alloc_from_named("a", &a),
        memory.alloc_from_named("b", &b),
        memory.alloc_named("y", 4 * m * n),
    ];
    let params = at.iter().fold(Params::new(), |p, a| p.u64(*a)).u32(m as u32).u32(n as u32).u32(k as u32);
    let grid = [m.div_ceil(64) as u32, n.div_ceil(32) as u32, 1];
    Launch { grid, block: [128, 1, 1], budget: 1 << 16, ..Launch::default() }.run(
        entry,
        &mut memory,
        &params.bytes(),
    )?;
    Ok(memory.read(at[2], m * n).unwrap())
}

#[test]
fn ring_of_copies_feeds_the_matrix_units() {
    let entry = Module::parse(include_str!("fixtures/gemm_mma.ptx")).unwrap().entry("gemm_mma").unwrap();
    for (m, n, k) in [(64, 32, 32), (64, 32, 160), (70, 33, 96), (1, 1, 64)] {
        agree(&mma(&entry, m, n, k).unwrap(), &plain(&noise(m * k, 1), &noise(n * k, 2), m, n, k));
    }
}

fn wgmma(entry: &Entry, m: usize, n: usize, k: usize) -> Result<Vec<f32>, Box<Fault>> {
    let (a, b) = (noise(m * k, 1), noise(n * k, 2));
    let mut memory = Memory::new();
    let at = [memory.alloc_from(&a), memory.alloc_from(&b), memory.alloc(4 * m * n)];
    let map = |at, bytes: u32, rows: usize, row: usize, window: [u32; 2], swizzle| {
        let extents = [row as u64, rows as u64];
        TensorMap::new(bytes, at, &extents, &[row as u64 * bytes as u64], &window, swizzle).encode().unwrap()
    };
    let maps = [
        map(at[0], 2, m, k, [64, 64], 128),
        map(at[1], 2, n, k, [64, 16], 128),
        map(at[2], 4, m, n, [16, 64], 16),
    ];
    let maps = maps.map(|raw| memory.alloc_from(&raw));
    let params = maps.iter().fold(Params::new(), |p, a| p.u64(*a)).u32(k as u32);
    let grid = [m.div_ceil(64) as u32, n.div_ceil(16) as u32, 1];
    let shared_bytes = 2 * 80 * 128 + 4096;
    let launch = Launch { grid, block: [160, 1, 1], shared_bytes, budget: 1 << 16, ..Launch::default() };
    launch.run(entry, &mut memory, &params.bytes())?;
    Ok(memory.read(at[2], m * n).unwrap())
}

#[test]
fn producer_and_warpgroup() {
    let entry = Module::parse(include_str!("fixtures/gemm_wgmma.ptx")).unwrap().entry("gemm_wgmma").unwrap();
    for (m, n, k) in [(64, 16, 64), (64, 16, 320), (70, 20, 192)] {
        agree(&wgmma(&entry, m, n, k).unwrap(), &plain(&noise(m * k, 1), &noise(n * k, 2), m, n, k));
    }
}

/// Runs the mutants of an entry; those that no fault and no wrong value gave away.
fn survivors(entry: &Entry, test: impl Fn(&Entry) -> Result<(), String>) -> Vec<String> {
    test(entry).unwrap();
    let outcomes = ptx_machine::mutate::run(entry, test);
    for o in &outcomes {
        println!("{:?} {:?} `{}` -> {:?}", o.site.source_line, o.site.kind, o.site.text, o.killed_by);
    }
    let alive = outcomes.into_iter().filter(|o| o.killed_by.is_none());
    alive.map(|o| format!("{} ({})", o.site.text, o.site.source_line.unwrap_or_default())).collect()
}

fn compared(y: Result<Vec<f32>, Box<Fault>>, m: usize, n: usize, k: usize) -> Result<(), String> {
    let y = y.map_err(|fault| fault.to_string())?;
    let want = plain(&noise(m * k, 1), &noise(n * k, 2), m, n, k);
    match y.iter().zip(&want).position(|(y, w)| (y - w).abs() > 1e-4 * (1.0 + w.abs())) {
        None => Ok(()),
        Some(i) => Err(format!("value {i} is {} instead of {}", y[i], want[i])),
    }
}

#[test]
fn mutants_of_the_mma_kernel() {
    let entry = Module::parse(include_str!("fixtures/gemm_mma.ptx")).unwrap().entry("gemm_mma").unwrap();
    let cases = [(70, 33, 160), (64, 32, 32)];
    let test = |e: &Entry| cases.iter().try_for_each(|(m, n, k)| compared(mma(e, *m, *n, *k), *m, *n, *k));
    // Rows beyond the edge are filled with zeros for tidiness: what they hold is multiplied into results
    // that are never stored, and the copies read from the start of the matrix instead.
    let alive = survivors(&entry, test);
    assert!(alive.len() == 3 && alive.iter().all(|s| s.starts_with("selp.b32")), "{alive:?}");
}

#[test]
fn mutants_of_the_wgmma_kernel() {
    let entry = Module::parse(include_str!("fixtures/gemm_wgmma.ptx")).unwrap().entry("gemm_wgmma").unwrap();
    let test = |e: &Entry| compared(wgmma(e, 70, 20, 320), 70, 20, 320);
    // The branch that passes over the loop where there is nothing to sum: there always is.
    let alive = survivors(&entry, test);
    assert!(alive.len() == 1 && alive[0].starts_with("@%p3 bra"), "{alive:?}");
}
