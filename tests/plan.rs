//! Plans: slabs without copies, exact halos, tiles equal to the whole, memory never shared by two
//! live values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use proptest::prelude::*;
use swath::cpu::Cpu;
use swath::graph::{halo, Builder, Graph, Mode, Var};
use swath::kernel::Kernel;
use swath::ops::{Conv2d, Pool2d};
use swath::passes::{band, optimise};
use swath::plan::{compile, Device, Plan};
use swath::reference::Reference;
use swath::tensor::{MemoryStore, TensorStore};

fn conv<'b>(b: &'b Builder, x: Var<'b>, name: &str, c_out: usize) -> Var<'b> {
    let scope = b.scope(name);
    let w = scope.param("weight", &[c_out, x.dim(1), 3, 3]);
    x.conv2d(w, Some(scope.param("bias", &[c_out])), Conv2d::same(3))
}

fn dense_block<'b>(b: &'b Builder, x: Var<'b>, growth: usize) -> Var<'b> {
    let mut xs = vec![x];
    for k in 1..5 {
        let joined = x.concat(&xs[1..], 1);
        xs.push(conv(b, joined, &format!("conv{k}"), growth).leaky_relu(0.2));
    }
    x.scaled_add(0.2, conv(b, x.concat(&xs[1..], 1), "conv5", x.dim(1)))
}

/// An RRDB network for n images of h x w, enlarging by four.
fn rrdb(blocks: usize, features: usize, growth: usize, n: usize, [h, w]: [usize; 2]) -> Graph {
    let b = Builder::new(Mode::Infer);
    let first = conv(&b, b.input("input", &[n, 3, h, w]), "conv_first", features);
    let mut x = first;
    for block in 0..blocks {
        let before = x;
        for k in 1..4 {
            let _scope = b.scope(&format!("body.{block}.rdb{k}"));
            x = dense_block(&b, x, growth).name("");
        }
        x = before.scaled_add(0.2, x);
    }
    x = first.add(conv(&b, x, "conv_body", features));
    for k in 1..3 {
        x = conv(&b, x.upsample_nearest(2), &format!("conv_up{k}"), features).leaky_relu(0.2);
    }
    x = conv(&b, x, "conv_hr", features).leaky_relu(0.2);
    b.output("output", conv(&b, x, "conv_last", 3));
    b.finish().unwrap()
}

/// Reproducible values about zero.
fn noise(seed: usize, n: usize, scale: f32) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * scale
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Weights that keep values about as large as they come.
fn weights(graph: &Graph) -> MemoryStore {
    let mut store = MemoryStore::new();
    for (k, (name, value)) in graph.params().enumerate() {
        let shape = value.spec.shape;
        let fan_in: usize = shape.iter().skip(1).product();
        let mut data = noise(k + 1, shape.numel(), (3.0 / fan_in as f32).sqrt());
        if name.ends_with("var") {
            data.iter_mut().for_each(|v| *v = v.abs() + 0.5);
        }
        store.insert(name, &shape, data).unwrap();
    }
    store
}

fn optimised(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    optimise(&mut graph).unwrap();
    graph
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn run(device: &dyn Device, plan: &Arc<Plan>, store: &dyn TensorStore, x: &[f32]) -> Vec<f32> {
    let mut session = device.load(plan.clone(), store).unwrap();
    session.input(0).copy_from_slice(x);
    session.run().unwrap();
    let first = session.output(0).to_vec();
    session.run().unwrap();
    assert!(same_bits(&first, session.output(0)), "a second run differs");
    let mut other = session.another().unwrap();
    other.input(0).copy_from_slice(x);
    other.run().unwrap();
    assert!(same_bits(&first, other.output(0)), "another session differs");
    first
}

#[test]
fn a_dense_block_needs_convolutions_only() {
    for n in [1, 3] {
        let graph = optimised(&rrdb(23, 64, 32, n, [16, 16]));
        let plan = compile(&graph, &Cpu::new(1).unwrap()).unwrap();
        assert_eq!(plan.steps.len(), 23 * 15 + 6);
        assert!(plan.steps.iter().all(|s| matches!(s.kernel, Kernel::Conv2d(_))), "{plan}");
    }
}

#[test]
fn a_residual_block_needs_convolutions_only() {
    let b = Builder::new(Mode::Infer);
    let x = b.input("x", &[2, 20, 9, 10]);
    let y = conv(&b, conv(&b, x, "a", 20).relu(), "b", 20).add(x).relu();
    b.output("y", conv(&b, y, "c", 20).add(y).relu().scale(0.5));
    let graph = b.finish().unwrap();
    let (store, x, cpu) = (weights(&graph), noise(5, 3600, 1.0), Cpu::new(2).unwrap());
    let [whole, fused] = [graph.clone(), optimised(&graph)].map(|g| Arc::new(compile(&g, &cpu).unwrap()));
    let entries = fused.steps.iter().map(|s| s.kernel.name()).collect::<Vec<_>>();
    assert_eq!(entries, ["conv2d_fwd", "conv2d_fwd", "conv2d_fwd", "map_fwd"], "{fused}");
    assert!(same_bits(&run(&cpu, &fused, &store, &x), &run(&cpu, &whole, &store, &x)));
}

#[test]
fn the_convolutions_of_a_dense_block_share_what_they_make_of_its_channels() {
    let cpu = Cpu::new(2).unwrap();
    let plan = compile(&optimised(&rrdb(2, 64, 32, 1, [20, 24])), &cpu).unwrap();
    let shares = plan.steps.iter().filter_map(|s| s.kept.map(|kept| (kept.room, kept.made)));
    // x is read by all five; what fewer read is not kept.
    let block = [(64, 0), (64, 64), (64, 64), (64, 64), (64, 64)];
    assert_eq!(shares.collect::<Vec<_>>(), block.repeat(6));
    let alone = compile(&optimised(&rrdb(2, 64, 32, 1, [20, 24])), &cpu.pointwise()).unwrap();
    assert!(alone.steps.iter().all(|s| s.kept.is_none()));
}

#[test]
fn the_arena_does_not_grow_with_depth_nor_hold_whole_images_of_the_tail() {
    let cpu = Cpu::new(1).unwrap();
    let arena = |blocks| compile(&optimised(&rrdb(blocks, 64, 32, 1, [64, 64])), &cpu).unwrap().arena;
    // Two maps of 64 channels at four times the size would live at once.
    let tail = 2 * 64 * 256 * 256;
    assert!(arena(23) < tail * 2 / 5, "{} elements, {tail} in the tail", arena(23));
    assert_eq!(arena(23), arena(2));
}

#[test]
fn bands_equal_the_whole_bit_for_bit() {
    let graph = optimised(&rrdb(1, 16, 16, 2, [9, 7]));
    let (store, x) = (weights(&graph), noise(4, 2 * 3 * 9 * 7, 1.0));
    let cpu = Cpu::new(2).unwrap();
    let whole = run(&cpu, &Arc::new(compile(&graph, &cpu).unwrap()), &store, &x);
    for bands in [2, 3, 5, 36] {
        let banded = band(&graph, bands).unwrap().unwrap();
        let plan = Arc::new(compile(&banded, &cpu).unwrap());
        assert!(same_bits(&whole, &run(&cpu, &plan, &store, &x)), "{bands} bands");
    }
    assert!(band(&graph, 37).unwrap().is_none());
}

#[test]
fn the_same_graph_gives_the_same_plan() {
    let make = |f| compile(&optimised(&rrdb(2, f, 4, 1, [8, 8])), &Reference::<f32>::new()).unwrap();
    assert_eq!(make(8).signature(), make(8).signature());
    assert_ne!(make(8).signature(), make(16).signature());
    assert!(make(8).to_string().contains("body.1.rdb2"));
}

#[test]
fn the_halo_of_the_deep_network_is_derived() {
    // 1 + 15·23 + 1 at the input's size, and two more pixels for the three kernels at four times
    // and the one at twice the size: ⌈(1 + ⌈3/2⌉)/2⌉.
    for graph in [rrdb(23, 8, 4, 1, [16, 16]), optimised(&rrdb(23, 8, 4, 1, [16, 16]))] {
        let halo = halo(&graph, "output", "input").unwrap().unwrap();
        assert_eq!((halo.radius, halo.alignment, halo.scale), (349, 1, (4, 1)));
    }
}

#[test]
fn the_halo_is_exact() {
    // One pixel at the halo's rim changes the core; one beyond it does not.
    let side = 60;
    let graph = rrdb(1, 8, 4, 1, [side, side]);
    let radius = halo(&graph, "output", "input").unwrap().unwrap().radius;
    let cpu = Cpu::new(1).unwrap();
    let plan = Arc::new(compile(&optimised(&graph), &cpu).unwrap());
    let store = weights(&graph);
    let x = noise(99, 3 * side * side, 1.0);
    let core = |x: &[f32]| {
        let y = run(&cpu, &plan, &store, x);
        let at = |row: usize, column: usize| y[row * 4 * side + column].to_bits();
        (0..4)
            .flat_map(|dy| (0..4).map(move |dx| (120 + dy, 120 + dx)))
            .map(|(r, c)| at(r, c))
            .collect::<Vec<_>>()
    };
    let whole = core(&x);
    for (row, column, changes) in [
        (30 - radius, 30, true),
        (30 + radius, 30, true),
        (30, 30 - radius, true),
        (30 - radius - 1, 30, false),
        (30 + radius + 1, 30, false),
        (30, 30 + radius + 1, false),
    ] {
        let mut changed = x.clone();
        changed[row * side + column] = f32::NAN; // Spreads to whatever reads it.
        assert_eq!(core(&changed) != whole, changes, "pixel {row},{column}, radius {radius}");
    }
}

#[test]
fn tiles_with_the_halo_equal_the_whole_bit_for_bit() {
    let (side, core) = (70, 24);
    let store = weights(&rrdb(1, 8, 4, 1, [8, 8]));
    let cpu = Cpu::new(2).unwrap();
    let x = noise(5, 3 * side * side, 1.0);
    let make = |h, w| Arc::new(compile(&optimised(&rrdb(1, 8, 4, 1, [h, w])), &cpu).unwrap());
    let whole = run(&cpu, &make(side, side), &store, &x);
    let graph = rrdb(1, 8, 4, 1, [side, side]);
    let radius = halo(&graph, "output", "input").unwrap().unwrap().radius;
    for y0 in (0..side).step_by(core) {
        for x0 in (0..side).step_by(core) {
            let range = |at: usize| (at.saturating_sub(radius), (at + core + radius).min(side));
            let ((top, bottom), (left, right)) = (range(y0), range(x0));
            let (h, w) = (bottom - top, right - left);
            let rows = (0..3).flat_map(|c| (top..bottom).map(move |r| (c * side + r) * side));
            let tile: Vec<f32> = rows.flat_map(|at| x[at + left..at + right].to_vec()).collect();
            let y = run(&cpu, &make(h, w), &store, &tile);
            for c in 0..3 {
                for row in 4 * y0..4 * (y0 + core).min(side) {
                    for column in 4 * x0..4 * (x0 + core).min(side) {
                        let a = whole[(c * 4 * side + row) * 4 * side + column];
                        let b = y[(c * 4 * h + row - 4 * top) * 4 * w + column - 4 * left];
                        assert_eq!(a.to_bits(), b.to_bits(), "tile {y0},{x0} at {c},{row},{column}");
                    }
                }
            }
        }
    }
}

#[test]
fn taps_are_outputs_that_fusion_leaves_alone() {
    let mut graph = rrdb(1, 8, 4, 1, [8, 8]);
    graph.tap("body.0.rdb2").unwrap();
    graph.tap("input").unwrap();
    let error = graph.tap("body.0.rdb9").unwrap_err().to_string();
    assert!(error.contains("body.0.rdb9") && error.contains("body.0.rdb1"), "{error}");
    let (store, x) = (weights(&graph), noise(3, 192, 1.0));
    let cpu = Cpu::new(1).unwrap();
    let mut results = Vec::new();
    for graph in [optimised(&graph), graph] {
        let mut session = cpu.load(Arc::new(compile(&graph, &cpu).unwrap()), &store).unwrap();
        session.input(0).copy_from_slice(&x);
        session.run().unwrap();
        assert_eq!(session.output(2), x);
        results.push(session.output(1).to_vec());
    }
    let d = results[0].iter().zip(&results[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(d < 1e-5 && results[0].iter().any(|v| *v != 0.0), "{d}");
}

#[test]
fn a_missing_or_wrong_tensor_is_named() {
    let graph = rrdb(1, 8, 4, 1, [8, 8]);
    let cpu = Cpu::new(1).unwrap();
    let plan = Arc::new(compile(&optimised(&graph), &cpu).unwrap());
    let error = |store: &MemoryStore| cpu.load(plan.clone(), store).err().unwrap().to_string();
    assert!(error(&MemoryStore::new()).contains("no tensor named conv_first.bias (8 wanted)"));
    let mut wrong = weights(&graph);
    wrong.insert("conv_last.bias", &[4], vec![0.0; 4]).unwrap();
    let message = error(&wrong);
    assert!(message.contains("conv_last.bias is 4, the network takes 3"), "{message}");
}

/// A graph of random operators on a 2 x 4 x 6 x 6 image; results of all are summed in the end.
fn random_graph(steps: &[(u8, u8, u8)]) -> Graph {
    let b = Builder::new(Mode::Infer);
    let x = b.input("input", &[2, 4, 6, 6]);
    let mut pool = vec![x];
    for (k, (what, first, second)) in steps.iter().enumerate() {
        let pick = |at: u8| pool[at as usize % pool.len()];
        let (u, v) = (pick(*first), pick(*second));
        let p = |name: &str, dims: &[usize]| b.param(&format!("{k}.{name}"), dims);
        let scope = k.to_string();
        let plain = |x| conv(&b, x, &scope, 4);
        pool.push(match what % 12 {
            0 => plain(u).leaky_relu(0.1),
            1 => v.scaled_add(0.3, plain(u)),
            2 => plain(u.concat(&[v], 1)),
            3 => plain(u.concat(&[v, u], 1)).relu(),
            4 => u.add(v),
            5 => u.relu(),
            6 => u.slice(1, 2..4).concat(&[v.slice(1, 0..2)], 1),
            7 => u.reshape(&[2, 144]).scale(0.5).reshape(&[2, 4, 6, 6]),
            8 => plain(u.upsample_nearest(2)).max_pool2d(Pool2d::square(2)),
            9 => u.permute(&[0, 1, 3, 2]),
            10 => {
                let c = plain(u);
                c.batch_norm(p("n.w", &[4]), p("n.b", &[4]), p("n.mean", &[4]), p("n.var", &[4]), 1e-3)
            }
            _ => u.scale(0.5).concat(&[v], 1).slice(1, 2..6),
        });
    }
    let y = pool[1..].iter().fold(pool[0], |sum, v| sum.add(*v));
    b.output("output", y);
    b.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    // The CPU poisons its arena before a run in debug builds, so memory shared too early or read
    // too soon shows as a difference or as NaN.
    #[test]
    fn random_graphs_compute_what_the_reference_does(
        steps in prop::collection::vec((0u8..12, any::<u8>(), any::<u8>()), 1..14)
    ) {
        let graph = random_graph(&steps);
        let store = weights(&graph);
        let x = noise(1, 2 * 4 * 36, 1.0);
        let (oracle, cpu) = (Reference::<f64>::new(), Cpu::new(2).unwrap());
        let exact = run(&oracle, &Arc::new(compile(&graph, &oracle).unwrap()), &store, &x);
        let range = exact.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for graph in [optimised(&graph), graph] {
            let plan = Arc::new(compile(&graph, &cpu).unwrap());
            let y = run(&cpu, &plan, &store, &x);
            for (a, b) in y.iter().zip(&exact) {
                prop_assert!((a - b).abs() <= 2e-5 * range, "{a} {b} of {range}\n{graph}\n{plan}");
            }
        }
    }
}
