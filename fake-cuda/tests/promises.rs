//! What the driver refuses, puts off and complains about, each shown once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

use std::ffi::c_void;
use std::ptr::null_mut;

use fake_cuda::{Fake, *};

/// Adds one to the 32 words at `p`.
const PTX: &std::ffi::CStr = c".version 6.3
.target sm_72
.address_size 64
.visible .entry increment(
	.param .u64 increment_param_0,
	.param .u32 increment_param_1
)
{
	.reg .b64 %rd<4>;
	.reg .b32 %r<5>;
	ld.param.u64 %rd1, [increment_param_0];
	ld.param.u32 %r3, [increment_param_1];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2;
	ld.global.u32 %r2, [%rd3];
	add.s32 %r4, %r2, %r3;
	st.global.u32 [%rd3], %r4;
	ret;
}
";

/// A context with two streams, an event, some memory on both sides, and a kernel.
struct Setup {
    streams: [usize; 2],
    event: usize,
    device: u64,
    /// What goes up, then what comes down.
    host: *mut u32,
    module: usize,
    increment: usize,
    _turn: std::sync::MutexGuard<'static, ()>,
}

const WORDS: usize = 32;
const BYTES: usize = 4 * WORDS;

fn ok(code: u32) {
    assert_eq!(code, 0);
}

fn new<T: Default>(make: impl FnOnce(*mut T) -> u32) -> T {
    let mut made = T::default();
    ok(make(&mut made));
    made
}

fn report() -> String {
    // SAFETY: the second buffer is as long as the first call says.
    unsafe {
        let mut text = vec![0; fake_cuda_report(null_mut(), 0)];
        fake_cuda_report(text.as_mut_ptr(), text.len());
        String::from_utf8(text).unwrap()
    }
}

impl Setup {
    fn new(line: &std::ffi::CStr) -> Self {
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: every pointer is to a place of its kind.
        unsafe {
            ok(fake_cuda_set(line.as_ptr()));
            ok(cuInit(0));
            let context = new(|out| cuDevicePrimaryCtxRetain(out, 0));
            ok(cuCtxSetCurrent(context));
            let module = new(|out| cuModuleLoadData(out, PTX.as_ptr()));
            let mut host: *mut c_void = null_mut();
            ok(cuMemHostAlloc(&mut host, 2 * BYTES, 0));
            host.cast::<u32>().write_bytes(0, WORDS);
            Self {
                streams: [new(|out| cuStreamCreate(out, 1)), new(|out| cuStreamCreate(out, 1))],
                event: new(|out| cuEventCreate(out, 2)),
                device: new(|out| cuMemAlloc_v2(out, BYTES)),
                host: host.cast(),
                module,
                increment: new(|out| cuModuleGetFunction(out, module, c"increment".as_ptr())),
                _turn: turn,
            }
        }
    }

    fn increment(&self, stream: usize, by: u32) -> u32 {
        let (mut address, mut by) = (self.device, by);
        let mut params = [(&raw mut address).cast::<c_void>(), (&raw mut by).cast()];
        // SAFETY: the entry takes an address and a number.
        unsafe {
            cuLaunchKernel(self.increment, 1, 1, 1, 32, 1, 1, 0, stream, params.as_mut_ptr(), null_mut())
        }
    }

    fn up(&self, stream: usize) -> u32 {
        // SAFETY: both blocks are that long.
        unsafe { cuMemcpyHtoDAsync_v2(self.device, self.host.cast(), BYTES, stream) }
    }

    fn down(&self, stream: usize) -> u32 {
        // SAFETY: both blocks are that long.
        unsafe { cuMemcpyDtoHAsync_v2(self.host.add(WORDS).cast(), self.device, BYTES, stream) }
    }

    fn first(&self) -> u32 {
        // SAFETY: the block is pinned and this test's own.
        unsafe { self.host.add(WORDS).read_volatile() }
    }

    /// Gives everything back.
    fn end(self) {
        // SAFETY: all handles are alive.
        unsafe {
            self.streams.iter().for_each(|s| ok(cuStreamDestroy_v2(*s)));
            ok(cuEventDestroy_v2(self.event));
            ok(cuMemFree_v2(self.device));
            ok(cuMemFreeHost(self.host.cast()));
            ok(cuModuleUnload(self.module));
            ok(cuDevicePrimaryCtxRelease_v2(0));
        }
        assert!(!report().contains("complaint"), "{}", report());
    }
}

#[test]
fn work_waits_for_whoever_waits_for_it() {
    let s = Setup::new(c"");
    let [up, compute] = s.streams;
    ok(s.up(up));
    // SAFETY: handles are alive.
    unsafe {
        ok(cuEventRecord(s.event, up));
        ok(cuStreamWaitEvent(compute, s.event, 0));
    }
    ok(s.increment(compute, 1));
    ok(s.increment(compute, 2));
    ok(s.down(compute));
    assert_eq!(s.first(), u32::MAX, "the copy has not been waited for");
    // SAFETY: as above.
    ok(unsafe { cuStreamSynchronize(compute) });
    assert_eq!(s.first(), 3);
    s.end();
}

#[test]
fn an_event_that_is_missing_shows() {
    let s = Setup::new(c"");
    let [up, compute] = s.streams;
    ok(s.up(up));
    ok(s.increment(compute, 1));
    let mut out = 0;
    // SAFETY: streams are alive.
    unsafe {
        assert_eq!(cuStreamSynchronize(compute), 700);
        assert!(report().contains("never written"), "{}", report());
        // The error stays.
        assert_eq!(cuStreamSynchronize(up), 700);
        assert_eq!(s.increment(compute, 1), 700);
        assert_eq!(cuMemAlloc_v2(&mut out, 8), 700);
        ok(cuDevicePrimaryCtxRelease_v2(0));
    }
    assert!(!report().contains("complaint"), "{}", report());
}

#[test]
fn pageable_memory_arrives_when_the_default_stream_is_waited_for() {
    for wait in [false, true] {
        let s = Setup::new(c"");
        let [stream, _] = s.streams;
        let bytes = [7u32; WORDS];
        // SAFETY: handles are alive, and the bytes are as many.
        unsafe {
            ok(cuMemcpyHtoD_v2(s.device, bytes.as_ptr().cast(), BYTES));
            if wait {
                ok(cuStreamSynchronize(0));
            }
            ok(s.increment(stream, 1));
            ok(s.down(stream));
            assert_eq!(cuStreamSynchronize(stream), if wait { 0 } else { 700 });
        }
        if wait {
            assert_eq!(s.first(), 8);
            s.end();
        }
    }
}

#[test]
fn a_graph_repeats_what_was_captured() {
    let s = Setup::new(c"");
    let [stream, other] = s.streams;
    // SAFETY: handles are alive.
    unsafe {
        ok(cuStreamBeginCapture_v2(stream, 1));
        ok(s.increment(stream, 5));
        let graph = new(|out| cuStreamEndCapture(stream, out));
        let exec = new(|out| cuGraphInstantiateWithFlags(out, graph, 0));
        ok(cuGraphDestroy(graph));
        ok(s.up(stream));
        (0..3).for_each(|_| ok(cuGraphLaunch(exec, stream)));
        ok(s.down(stream));
        ok(cuStreamSynchronize(stream));
        assert_eq!(s.first(), 15, "nothing was run while it was captured");

        ok(cuStreamBeginCapture_v2(stream, 1));
        assert_eq!(cuStreamSynchronize(other), 900);
        let mut graph = 0;
        assert_eq!(cuStreamEndCapture(stream, &mut graph), 901);
        ok(cuGraphExecDestroy(exec));
    }
    s.end();
}

#[test]
fn what_is_left_or_freed_too_early_is_found() {
    let s = Setup::new(c"");
    let [stream, _] = s.streams;
    ok(s.up(stream));
    // SAFETY: handles are alive.
    unsafe {
        ok(cuStreamSynchronize(stream));
        ok(s.increment(stream, 1));
        ok(cuMemFree_v2(s.device));
        assert_eq!(cuStreamSynchronize(stream), 700);
    }
    assert!(report().contains("freed"), "{}", report());

    drop(s);
    let s = Setup::new(c"");
    let mut loose = [0u32; WORDS];
    // SAFETY: handles are alive.
    unsafe {
        assert_eq!(cuMemcpyHtoDAsync_v2(s.device, loose.as_mut_ptr().cast(), BYTES, s.streams[0]), 1);
        ok(cuDevicePrimaryCtxRelease_v2(0));
    }
    let report = report();
    assert!(report.contains("complaint an asynchronous copy of 128 bytes that are not pinned"), "{report}");
    assert!(report.contains("complaint a context ends with 6 things in it"), "{report}");
    // What is complained of here was meant: the process ends well whichever test comes last.
    // SAFETY: the line ends in a zero.
    ok(unsafe { fake_cuda_set(c"".as_ptr()) });
}

#[test]
fn arguments_are_checked() {
    let s = Setup::new(c"memory=1M capability=75");
    // SAFETY: pointers are to places of their kinds.
    unsafe {
        let mut address = 0;
        assert_eq!(cuMemAlloc_v2(&mut address, 1 << 20), 2, "a part is taken");
        assert_eq!(cuMemAlloc_v2(&mut address, 0), 1);
        let mut handle = 0;
        assert_eq!(cuModuleGetFunction(&mut handle, s.module, c"decrement".as_ptr()), 500);
        assert_eq!(cuModuleLoadData(&mut handle, c".version 7.0\n.target sm_80\n".as_ptr()), 209);
        assert_eq!(cuModuleLoadData(&mut handle, c"no PTX".as_ptr()), 218);
        assert_eq!(cuStreamSynchronize(12345), 400);
        let mut params = [null_mut::<c_void>(); 2];
        let launch = |grid, block, shared, params: &mut [*mut c_void]| {
            let stream = s.streams[0];
            cuLaunchKernel(
                s.increment,
                grid,
                1,
                1,
                block,
                1,
                1,
                shared,
                stream,
                params.as_mut_ptr(),
                null_mut(),
            )
        };
        assert_eq!(launch(1, 1025, 0, &mut params), 1);
        assert_eq!(launch(0, 32, 0, &mut params), 1);
        assert_eq!(launch(1, 32, 49 << 10, &mut params), 1);
        assert_eq!(launch(1, 32, 0, &mut params), 1, "null for a parameter");
        ok(cuMemcpyHtoD_v2(s.device, s.host.cast(), BYTES + 4));
        assert_eq!(cuStreamSynchronize(0), 700, "past the end");
        let there = std::thread::spawn(|| {
            let mut address = 0;
            cuMemAlloc_v2(&mut address, 8)
        });
        assert_eq!(there.join().unwrap(), 201, "a thread without a context");
        ok(cuDevicePrimaryCtxRelease_v2(0));
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 201);
    }
}

#[test]
fn a_process_finds_the_shared_object_under_the_drivers_name() {
    let fake = Fake::start("memory=5M").unwrap();
    assert!(fake.census().is_empty() && Fake::library().ends_with("libfake_cuda.so"));
    // SAFETY: the library is loaded already.
    let by_name = unsafe { libloading::Library::new("libcuda.so") }.unwrap();
    // SAFETY: the function is the one of that name.
    let init = unsafe { by_name.get::<extern "C" fn(u32) -> u32>(b"cuInit") }.unwrap();
    assert_eq!((init(0), init(1)), (0, 1));
}
