//! A session takes the memory its plan states, and allocates nothing once it is loaded.

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
use swath::tensor::MemoryStore;

/// Counts allocations, and bytes that are in use.
struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
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

fn a_session_takes_what_its_plan_states() {
    /// Names, steps, tables: what is not counted.
    const BESIDE: usize = 64 << 10;
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

/// One test, because the counters are the process's.
#[test]
fn memory_is_as_stated_and_taken_once() {
    a_session_takes_what_its_plan_states();
    runs_allocate_nothing();
}
