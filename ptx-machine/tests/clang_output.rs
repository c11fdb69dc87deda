//! Kernels as clang-19 emits them, against plain Rust.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::f16;
use ptx_machine::{Launch, Memory, Module, Params};

const SMALL: &str = include_str!("fixtures/small.ptx");

fn noise(n: usize) -> Vec<f32> {
    let mut state = 12345u32;
    let step = |_| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(step).collect()
}

#[test]
fn softmax() {
    let entry = Module::parse(SMALL).unwrap().entry("softmax_rows").unwrap();
    for (rows, cols) in [(1, 1), (3, 100), (2, 1000)] {
        let x: Vec<f16> = noise(rows * cols).iter().map(|v| f16::from_f32(4.0 * v)).collect();
        let mut memory = Memory::new();
        let (a, b) = (memory.alloc_from(&x), memory.alloc(2 * rows * cols));
        let params = Params::new().u64(a).u64(b).i32(cols as i32).bytes();
        let launch = Launch { grid: [rows as u32, 1, 1], block: [128, 1, 1], ..Launch::default() };
        let report = launch.run(&entry, &mut memory, &params).unwrap();
        assert!(report.total() > 0 && report.opcodes["ex2.approx.f32"] > 0);
        let y = memory.read::<f16>(b, rows * cols).unwrap();
        for r in 0..rows {
            let row: Vec<f64> = x[r * cols..][..cols].iter().map(|v| v.to_f64().exp()).collect();
            let sum: f64 = row.iter().sum();
            for c in 0..cols {
                assert!((y[r * cols + c].to_f64() - row[c] / sum).abs() < 1e-3, "{r} {c}");
            }
        }
    }
}

#[test]
fn sum_by_atomics_is_reproducible() {
    let entry = Module::parse(SMALL).unwrap().entry("sum_all").unwrap();
    let x = noise(10_000);
    let run = || {
        let mut memory = Memory::new();
        let (a, b) = (memory.alloc_from(&x), memory.alloc_from(&[0f32]));
        let params = Params::new().u64(a).u64(b).i32(x.len() as i32).bytes();
        Launch { grid: [5, 1, 1], block: [256, 1, 1], ..Launch::default() }
            .run(&entry, &mut memory, &params)
            .unwrap();
        memory.read::<f32>(b, 1).unwrap()[0]
    };
    let first = run();
    assert!((first - x.iter().sum::<f32>()).abs() < 1e-2);
    assert!((0..3).all(|_| run().to_bits() == first.to_bits()));
}

#[test]
fn a_structure_by_value() {
    let entry = Module::parse(SMALL).unwrap().entry("affine").unwrap();
    let x = noise(100);
    let mut memory = Memory::new();
    let (a, b) = (memory.alloc_from(&x), memory.alloc(400));
    let inner = Params::new().u64(a).u64(b).f32(3.0).f32(0.5).i32(100).bytes();
    let params = Params::new().structure(&inner, 8).bytes();
    let mut params = params;
    params.resize(entry.param_bytes(), 0);
    Launch { grid: [2, 1, 1], block: [64, 1, 1], ..Launch::default() }
        .run(&entry, &mut memory, &params)
        .unwrap();
    let y = memory.read::<f32>(b, 100).unwrap();
    assert!(x.iter().zip(&y).all(|(x, y)| (x * 3.0 + 0.5 - y).abs() < 1e-6));
}

#[test]
fn neighbours_through_shared_memory() {
    let entry = Module::parse(SMALL).unwrap().entry("blur3").unwrap();
    for n in [1usize, 63, 64, 65, 200] {
        let x = noise(n);
        let mut memory = Memory::new();
        let (a, b) = (memory.alloc_from(&x), memory.alloc(4 * n));
        let params = Params::new().u64(a).u64(b).i32(n as i32).bytes();
        let grid = [n.div_ceil(64) as u32, 1, 1];
        Launch { grid, block: [64, 1, 1], ..Launch::default() }.run(&entry, &mut memory, &params).unwrap();
        let y = memory.read::<f32>(b, n).unwrap();
        let at = |i: isize| if i >= 0 && (i as usize) < n { x[i as usize] } else { 0.0 };
        for i in 0..n as isize {
            assert!((y[i as usize] - (at(i - 1) + at(i) + at(i + 1)) / 3.0).abs() < 1e-6);
        }
    }
}

#[test]
fn transposed_tiles() {
    let entry = Module::parse(SMALL).unwrap().entry("transpose").unwrap();
    for (rows, cols) in [(1, 1), (32, 32), (33, 70)] {
        let x = noise(rows * cols);
        let mut memory = Memory::new();
        let (a, b) = (memory.alloc_from(&x), memory.alloc(4 * x.len()));
        let params = Params::new().u64(a).u64(b).i32(rows as i32).i32(cols as i32).bytes();
        let grid = [cols.div_ceil(32) as u32, rows.div_ceil(32) as u32, 1];
        Launch { grid, block: [32, 8, 1], ..Launch::default() }.run(&entry, &mut memory, &params).unwrap();
        let y = memory.read::<f32>(b, x.len()).unwrap();
        for r in 0..rows {
            for c in 0..cols {
                assert_eq!(y[c * rows + r], x[r * cols + c]);
            }
        }
    }
}

#[test]
fn integer_division_and_root() {
    let entry = Module::parse(SMALL).unwrap().entry("divisions").unwrap();
    let a: Vec<i32> = (0..32).map(|i| i * 37 + 5).collect();
    let b: Vec<i32> = (0..32).map(|i| if i % 2 == 0 { i + 1 } else { -i }).collect();
    let mut memory = Memory::new();
    let at = [
        memory.alloc_from(&a),
        memory.alloc_from(&b),
        memory.alloc(128),
        memory.alloc(128),
        memory.alloc(128),
    ];
    let params = at.iter().fold(Params::new(), |p, a| p.u64(*a)).bytes();
    Launch::default().run(&entry, &mut memory, &params).unwrap();
    let (q, m) = (memory.read::<i32>(at[2], 32).unwrap(), memory.read::<i32>(at[3], 32).unwrap());
    let f = memory.read::<f32>(at[4], 32).unwrap();
    for i in 0..32 {
        assert_eq!((q[i], m[i]), (a[i] / b[i], a[i] % b[i]));
        assert_eq!(f[i], (a[i] as f32).sqrt() / b[i] as f32);
    }
}
