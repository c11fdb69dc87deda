//! A session takes the memory its plan states, and allocates nothing once it is loaded. A lean one packs weights in
//! each run, within the memory stated for that, and computes the same bits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use swath::cpu::Cpu;
use swath::graph::{Builder, Graph, Mode};
use swath::kernel::resize::ResizeMode;
use swath::ops::{Conv2d, Pool2d};
use swath::passes::optimise;
use swath::plan::{compile, Device};
use swath::tensor::{MemoryStore, Shape, TensorStore};
use swath::Result;

/// Counts allocations, and bytes that are in use and were at most.
struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        let before = IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        MOST.fetch_max(before + layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tensors that are read, and not viewed where they lie.
struct Read(MemoryStore);

impl TensorStore for Read {
    fn shape(&self, name: &str) -> Option<Shape> {
        self.0.shape(name)
    }

    fn read(&self, name: &str, out: &mut [f32]) -> Result<()> {
        self.0.read(name, out)
    }
}

/// One of every kind of kernel.
fn graph(store: &mut MemoryStore) -> Graph {
    let b = Builder::new(Mode::Infer);
    let mut param = |name: &str, dims: &[usize]| {
        store.insert(name, dims, vec![0.125; dims.iter().product()]).unwrap();
        b.param(name, dims)
    };
    let x = b.input("input", &[1, 4, 40, 40]);
    let y = x.conv2d(param("w", &[16, 4, 3, 3]), Some(param("b", &[16])), Conv2d::same(3)).relu();
    let y = y.concat(&[y.sigmoid()], 1).pixel_shuffle(2).resize_kornia([64, 64]);
    let y = y.resize(ResizeMode::Bicubic, [80, 80]).max_pool2d(Pool2d::square(2)).softmax(1);
    let y = y.reshape(&[8, 40, 40]).median(0).linear(param("l", &[5, 40]), None);
    b.output("output", y);
    b.finish().unwrap()
}

fn runs_allocate_nothing() {
    let mut store = MemoryStore::new();
    let graph = graph(&mut store);
    for threads in [1, 2] {
        let cpu = Cpu::new(threads).unwrap();
        let mut session = cpu.load(Arc::new(compile(&graph, &cpu).unwrap()), &store).unwrap();
        session.input(0).fill(0.5);
        session.run().unwrap();
        let before = CALLS.load(Ordering::Relaxed);
        for _ in 0..50 {
            session.run().unwrap();
        }
        let calls = CALLS.load(Ordering::Relaxed) - before;
        assert_eq!(calls, 0, "{threads} threads");
        assert!(session.output(0).iter().all(|v| v.is_finite()));
    }
}

/// Convolutions whose channels fill no register tile, and one that runs in bands.
fn odd_convolutions(store: &mut MemoryStore) -> Graph {
    let b = Builder::new(Mode::Infer);
    let mut y = b.input("input", &[1, 3, 96, 96]);
    for (name, channels) in [("a", 129), ("b", 65), ("c", 33), ("d", 3)] {
        let dims = [channels, y.dim(1), 3, 3];
        store.insert(name, &dims, vec![0.01; dims.iter().product()]).unwrap();
        y = if name == "c" { y.upsample_nearest(2) } else { y };
        y = y.conv2d(b.param(name, &dims), None, Conv2d::same(3)).relu();
    }
    b.output("output", y);
    b.finish().unwrap()
}

/// Names, steps, tables: what is not counted.
const BESIDE: usize = 64 << 10;

fn a_session_takes_what_its_plan_states() {
    let mut store = MemoryStore::new();
    let mut graph = odd_convolutions(&mut store);
    optimise(&mut graph).unwrap();
    let cpu = Cpu::new(2).unwrap();
    let plan = Arc::new(compile(&graph, &cpu).unwrap());
    let weights: Vec<_> = plan.steps.iter().filter_map(|s| s.packing()).collect();
    assert!(weights.len() > 4, "nothing runs in bands:\n{plan}");
    let stated = plan.memory();
    let before = IN_USE.load(Ordering::Relaxed);
    let session = cpu.load(plan, &store).unwrap();
    let taken = IN_USE.load(Ordering::Relaxed) - before;
    assert!((stated.total()..stated.total() + BESIDE).contains(&taken), "{taken} bytes, {stated:?}");
    let another = session.another().unwrap();
    let further = IN_USE.load(Ordering::Relaxed) - before - taken;
    assert!(
        (stated.per_session()..stated.per_session() + BESIDE).contains(&further),
        "{further} bytes, {stated:?}"
    );
    drop(another);
}

/// Convolutions of which the first and the last read the same weights, two others' between.
fn shared_weights(store: &mut MemoryStore) -> Graph {
    let b = Builder::new(Mode::Infer);
    let mut y = b.input("input", &[1, 64, 16, 16]);
    for (name, scale) in [("shared", 0.02), ("a", 0.01), ("b", 0.03), ("shared", 0.02)] {
        let value = |k: usize| scale * (k % 7) as f32 - 0.05;
        store.insert(name, &[64, 64, 3, 3], (0..64 * 64 * 9).map(value).collect()).unwrap();
        y = y.conv2d(b.param(name, &[64, 64, 3, 3]), None, Conv2d::same(3)).relu();
    }
    b.output("output", y);
    b.finish().unwrap()
}

/// A convolution whose weights are computed at load.
fn folded_norm(store: &mut MemoryStore) -> Graph {
    let b = Builder::new(Mode::Infer);
    let mut param = |name: &str, dims: &[usize]| {
        store.insert(name, dims, vec![0.125; dims.iter().product()]).unwrap();
        b.param(name, dims)
    };
    let y = b.input("input", &[1, 64, 16, 16]).conv2d(param("w", &[64, 64, 3, 3]), None, Conv2d::same(3));
    let [weight, bias, mean, var] = ["weight", "bias", "mean", "var"].map(|name| param(name, &[64]));
    b.output("output", y.batch_norm(weight, bias, mean, var, 1e-3));
    b.finish().unwrap()
}

fn a_lean_session_holds_no_weights_and_computes_the_same() {
    type Case = (fn(&mut MemoryStore) -> Graph, bool);
    // What load steps read is stated at its most.
    let cases: [Case; 3] = [(odd_convolutions, true), (shared_weights, true), (folded_norm, false)];
    for (graph_of, exact) in cases {
        let mut store = MemoryStore::new();
        let mut graph = graph_of(&mut store);
        optimise(&mut graph).unwrap();
        let cpu = Cpu::new(2).unwrap();
        let plan = Arc::new(compile(&graph, &cpu).unwrap());
        let stated = cpu.lean_memory(&plan).total();
        let input: Vec<f32> = (0..plan.inputs[0].shape.numel()).map(|k| (k % 11) as f32 * 0.1).collect();
        let mut kept = cpu.load(plan.clone(), &store).unwrap();
        kept.input(0).copy_from_slice(&input);
        kept.run().unwrap();
        let wanted = kept.output(0).to_vec();
        drop(kept);
        let store: Arc<dyn TensorStore> = Arc::new(Read(store));
        let before = IN_USE.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let mut lean = cpu.load_lean(plan, store).unwrap();
        lean.input(0).copy_from_slice(&input);
        for _ in 0..2 {
            lean.run().unwrap();
            assert_eq!(lean.output(0), wanted);
        }
        let most = MOST.load(Ordering::Relaxed) - before;
        let least = if exact { stated } else { stated / 2 };
        assert!((least..stated + BESIDE).contains(&most), "{most} bytes, {stated} stated");
    }
}

/// One test, because the counters are the process's.
#[test]
fn memory_is_as_stated_and_taken_once() {
    a_session_takes_what_its_plan_states();
    a_lean_session_holds_no_weights_and_computes_the_same();
    runs_allocate_nothing();
}
