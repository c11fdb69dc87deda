//! Bugs that the proof must find: every barrier and every wait of the convolutions, left out in turn.

use swath::cuda::Precision;
use swath::engine::proof::Case;
use swath::graph::{Builder, Graph, Mode};
use swath::ops::Conv2d;

use crate::machine::{occurrences, Machine};
use crate::proof::agree;

/// A convolution of several stages and several blocks.
fn convolution(c_out: usize) -> Graph {
    let b = Builder::new(Mode::Infer);
    let (x, w) = (b.input("x", &[1, 40, 9, 33]), b.param("w", &[c_out, 40, 3, 3]));
    b.output("y", x.conv2d(w, None, Conv2d::same(3)));
    b.finish().unwrap()
}

#[test]
fn what_orders_threads_is_missed_when_left_out() {
    let entries = [
        ("conv2d_fwd_f32__gemm_32x128", 32, Precision::F32),
        ("conv2d_fwd_bf16f32__halo_3x3_32_sm80", 32, Precision::Bf16),
        ("conv2d_fwd_bf16f32__halo_3x3_64_sm80", 64, Precision::Bf16),
        ("conv2d_fwd_tf32f32__halo_3x3_32_sm80", 32, Precision::Tf32),
    ];
    let mut survivors = Vec::new();
    let mut planted = 0;
    for (entry, c_out, precision) in entries {
        let graph = convolution(c_out);
        let case = Case::new(entry, graph).unwrap();
        let run = |machine| agree(machine, &case, precision);
        assert!(run(Machine::shared()).unwrap().contains(entry), "{entry} is not what is chosen");
        for instruction in ["bar.sync \t0;", "cp.async.wait_group 0;"] {
            for nth in 0..occurrences(entry, instruction).len() {
                planted += 1;
                if run(Machine::without(entry, instruction, nth)).is_ok() {
                    survivors.push(format!("{entry}: {instruction} number {nth}"));
                }
            }
        }
    }
    println!("{planted} planted bugs");
    assert!(planted >= 8 && survivors.is_empty(), "{planted} planted, not found: {survivors:#?}");
}
