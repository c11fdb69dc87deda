//! The matrix product against a plain loop: in f64, and for bytes in whole numbers.

use half::bf16;

use super::PackedMatmul;
use crate::cpu::args::{Args, MAX_OPERANDS};
use crate::cpu::conv::Kept;
use crate::cpu::handed_on::AsWords;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::scales::{weigh, Scales};
use crate::kernel::levels::Levels;
use crate::kernel::matmul::{MatmulActivation, MatmulParams};
use crate::kernel::precision::Precision;

/// The result on one thread; that on two and three must be the same bits.
fn run(precision: Precision, p: &MatmulParams, operands: [&[f32]; 4], levels: Option<&Levels>) -> Vec<f32> {
    run_as(AsWords::default(), precision, p, operands, levels)
}

fn run_as(
    as_words: AsWords,
    precision: Precision,
    p: &MatmulParams,
    operands: [&[f32]; 4],
    levels: Option<&Levels>,
) -> Vec<f32> {
    let packed = PackedMatmul::new(precision, p, operands[1], levels).unwrap();
    assert_eq!(packed.panels.len() + packed.scales.len(), PackedMatmul::len(precision, p).unwrap());
    let once = |threads| {
        let mut y = vec![f32::NAN; (p.m * p.n) as usize];
        let mut scratch = vec![f32::NAN; PackedMatmul::scratch_len(precision, p, threads).unwrap()];
        let mut args =
            Args { x: [std::ptr::null(); MAX_OPERANDS], y: y.as_mut_ptr(), kept: Kept::NONE, as_words };
        args.x[..4].copy_from_slice(&operands.map(|operand| operand.as_ptr()));
        // SAFETY: the tensors have the spans of the parameters and are separate.
        unsafe { packed.run(p, &args, &mut scratch, &Pool::new(threads).unwrap()).unwrap() };
        y
    };
    let first = once(1);
    let bits = |y: Vec<f32>| y.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert!((2..=3).all(|threads| bits(once(threads)) == bits(first.clone())), "{precision} {p:?}");
    first
}

/// Numbers that bf16 holds, from -1 to 1.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| bf16::from_f32(((i * 7919 + seed) % 1013) as f32 / 506.0 - 1.0).to_f32()).collect()
}

#[test]
fn numbers_that_bf16_holds_are_multiplied_exactly_in_every_precision() {
    let isa = Isa::current().unwrap();
    for precision in Precision::ALL.into_iter().filter(|p| isa.multiplies(*p) && *p != Precision::Int8) {
        for (m, n, k) in [(1, 1, 1), (7, 70, 33), (97, 130, 64), (200, 64, 201), (5, 3, 1030)] {
            let (x, w, bias, r) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3), numbers(m * n, 4));
            let [rows, columns, terms] = [m, n, k].map(|v| v as u64);
            let act = MatmulActivation::Relu as u64;
            let p = MatmulParams { m: rows, n: columns, k: terms, has_bias: 1, act, residual: 1 };
            let ys = run(precision, &p, [&x, &w, &bias, &r], None);
            for (at, &y) in ys.iter().enumerate() {
                let (row, column) = (at / n, at % n);
                let terms = x[row * k..][..k].iter().zip(&w[column * k..][..k]);
                let sum: f64 = terms.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let expected = (sum + f64::from(bias[column])).max(0.0) + f64::from(r[at]);
                let bound = 4e-7 * (k as f64 + 2.0);
                assert!(
                    (f64::from(y) - expected).abs() < bound,
                    "{precision} {m}x{n}x{k} at {at}: {y}, {expected}"
                );
            }
        }
    }
}

#[test]
fn words_that_are_handed_on_are_those_of_the_numbers() {
    if !Isa::current().unwrap().multiplies(Precision::Bf16) {
        return;
    }
    let words = |numbers: &[f32]| -> Vec<f32> {
        numbers.chunks(2).map(|pair| f32::from_bits(Precision::Bf16.word(pair))).collect()
    };
    for (m, n, k) in [(7, 70, 34), (97, 130, 1030)] {
        let (x, w, bias) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3));
        let [rows, columns, terms] = [m, n, k].map(|v| v as u64);
        let act = MatmulActivation::Gelu as u64;
        let p = MatmulParams { m: rows, n: columns, k: terms, has_bias: 1, act, residual: 0 };
        let y = run(Precision::Bf16, &p, [&x, &w, &bias, &[]], None);
        let as_words = AsWords { x: true, y: true };
        let found = run_as(as_words, Precision::Bf16, &p, [&words(&x), &w, &bias, &[]], None);
        let bits = |words: &[f32]| words.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found[..m * n / 2]), bits(&words(&y)), "{m}x{n}x{k}");
        assert!(found[m * n / 2..].iter().all(|v| v.is_nan()), "{m}x{n}x{k}");
    }
}

#[test]
fn bytes_are_multiplied_exactly() {
    if !Isa::current().unwrap().multiplies(Precision::Int8) {
        return;
    }
    for (m, n, k) in [(1, 1, 1), (7, 70, 33), (97, 130, 64), (200, 64, 201), (5, 3, 4100)] {
        let (x, mut w, bias, r) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3), numbers(m * n, 4));
        // Some numbers of x are beyond their levels.
        let ranges: Vec<_> =
            (0..k).map(|i| [-0.9 * (i % 3) as f32 / 2.0, 0.3 + 0.7 * (i % 5) as f32 / 4.0]).collect();
        let levels = Levels::of_ranges(&ranges, 0.5).unwrap();
        let [rows, columns, terms] = [m, n, k].map(|v| v as u64);
        let act = MatmulActivation::Relu as u64;
        let p = MatmulParams { m: rows, n: columns, k: terms, has_bias: 1, act, residual: 1 };
        let y = run(Precision::Int8, &p, [&x, &w, &bias, &r], Some(&levels));
        let scales = weigh(&mut w, n, k, Some(&levels), |i| i % k).unwrap();
        let factor = Scales::of(&scales, k).factor;
        for (at, &y) in y.iter().enumerate() {
            let (row, column) = (at / n, at % n);
            let product = |i: usize| {
                let level = i32::from(levels.byte(i, x[row * k + i])) - levels.zero()[i] as i32;
                level * w[column * k + i] as i32
            };
            let sum: i32 = (0..k).map(product).sum();
            assert_eq!(
                y,
                (sum as f32 * factor[column] + bias[column]).max(0.0) + r[at],
                "{m}x{n}x{k} at {at}"
            );
        }
    }
}

#[test]
fn levels_of_other_products_are_refused() {
    let p = MatmulParams { m: 1, n: 2, k: 3, has_bias: 0, act: 0, residual: 0 };
    let new = |levels| PackedMatmul::new(Precision::Int8, &p, &[1.0; 6], levels).map(|_| ());
    if Isa::current().unwrap().multiplies(Precision::Int8) {
        let of = |n| Levels::of_ranges(&vec![[0.0, 1.0]; n], 1.0).unwrap();
        let (three, two) = (of(3), of(2));
        assert!(new(Some(&three)).is_ok());
        assert!(new(Some(&two)).is_err() && new(None).is_err());
    }
}
