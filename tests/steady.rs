//! A session allocates nothing once it is loaded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use swath::cpu::Cpu;
use swath::graph::{Builder, Graph, Mode};
use swath::kernel::resize::ResizeMode;
use swath::ops::{Conv2d, Pool2d};
use swath::plan::{compile, Device};
use swath::tensor::MemoryStore;

/// Counts allocations and their bytes.
struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
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

#[test]
fn runs_allocate_nothing() {
    let mut store = MemoryStore::new();
    let graph = graph(&mut store);
    // The thread pool's queue takes a block of its own once in some dozens of runs.
    for (threads, queue_bytes) in [(1, 0), (2, 4096)] {
        let cpu = Cpu::new(threads).unwrap();
        let mut session = cpu.load(Arc::new(compile(&graph, &cpu).unwrap()), &store).unwrap();
        session.input(0).fill(0.5);
        session.run().unwrap();
        let before = (CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        for _ in 0..5 {
            session.run().unwrap();
        }
        let after = (CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        let bytes = after.1 - before.1;
        assert!(bytes <= queue_bytes, "{threads} threads: {} calls, {bytes} bytes", after.0 - before.0);
        assert!(session.output(0).iter().all(|v| v.is_finite()));
    }
}
