//! The matrix product against a plain loop in f64.

use half::bf16;

use super::PackedMatmul;
use crate::cpu::args::{Args, MAX_OPERANDS};
use crate::cpu::conv::Kept;
use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::kernel::matmul::{MatmulActivation, MatmulParams};
use crate::kernel::precision::Precision;

/// Numbers that bf16 holds, from -1 to 1.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| bf16::from_f32(((i * 7919 + seed) % 1013) as f32 / 506.0 - 1.0).to_f32()).collect()
}

#[test]
fn numbers_that_bf16_holds_are_multiplied_exactly_in_every_precision() {
    let isa = Isa::current().unwrap();
    for precision in Precision::ALL.into_iter().filter(|p| isa.multiplies(*p)) {
        for (m, n, k) in [(1, 1, 1), (7, 70, 33), (97, 130, 64), (200, 64, 201), (5, 3, 1030)] {
            let (x, w, bias, r) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3), numbers(m * n, 4));
            let [rows, columns, terms] = [m, n, k].map(|v| v as u64);
            let act = MatmulActivation::Relu as u64;
            let p = MatmulParams { m: rows, n: columns, k: terms, has_bias: 1, act, residual: 1 };
            let packed = PackedMatmul::new(precision, &p, &w).unwrap();
            assert_eq!(packed.panels.len(), PackedMatmul::len(precision, &p).unwrap());
            let mut runs = Vec::new();
            for threads in 1..=3 {
                let mut y = vec![f32::NAN; m * n];
                let mut scratch = vec![f32::NAN; PackedMatmul::scratch_len(precision, &p, threads).unwrap()];
                let mut args =
                    Args { x: [std::ptr::null(); MAX_OPERANDS], y: y.as_mut_ptr(), kept: Kept::NONE };
                args.x[..4].copy_from_slice(&[x.as_ptr(), w.as_ptr(), bias.as_ptr(), r.as_ptr()]);
                // SAFETY: the tensors have the spans of the parameters and are separate.
                unsafe { packed.run(&p, &args, &mut scratch, &Pool::new(threads).unwrap()).unwrap() };
                runs.push(y);
            }
            assert!(runs.iter().all(|y| *y == runs[0]), "{precision} {m}x{n}x{k}");
            for (at, &y) in runs[0].iter().enumerate() {
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
