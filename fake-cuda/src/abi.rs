//! The driver's functions by their C names: those that the program calls, and none that drivers of CUDA 11.4
//! (JetPack 5) lack, so that a newer one is missed here before it is missed on a machine.
#![allow(clippy::missing_safety_doc, missing_docs, reason = "as the driver's functions of these names")]

use std::alloc::{alloc, dealloc, Layout};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::{c_char, c_void, CStr};
use std::sync::{Arc, Mutex, Once, PoisonError};

use crate::module::Loaded;
use crate::settings::{Settings, VARIABLE};
use crate::status::*;
use crate::stream::{Event, HostRange, Stream, Work};
use crate::world::{Call, Graph, World};

/// Exit status of a process that leaves something behind or has done what no program should do.
const LEFT: i32 = 97;
/// Distance between the handles of primary contexts.
const CONTEXT: usize = 0x1000;
/// The default stream.
const DEFAULT: usize = 0;
/// Alignment of pinned memory.
const PAGE: usize = 4096;
static WORLD: Mutex<Option<World>> = Mutex::new(None);

thread_local! {
    /// Device of this thread's context.
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

extern "C" {
    fn atexit(call: extern "C" fn()) -> i32;
    fn _exit(status: i32) -> !;
}

/// Does something with the driver's state.
fn with<T>(act: impl FnOnce(&mut World) -> T) -> T {
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    act(world.get_or_insert_with(|| {
        let line = std::env::var(VARIABLE).unwrap_or_default();
        World::new(Settings::parse(&line).unwrap_or_else(|what| {
            eprintln!("{what}");
            Settings { devices: 0, ..Settings::default() }
        }))
    }))
}

fn code(outcome: Outcome) -> u32 {
    outcome.map_or_else(|status| status.0, |()| 0)
}

/// The context of this thread.
fn here() -> Option<usize> {
    CURRENT.get()
}

unsafe fn put<T>(out: *mut T, value: T) -> Outcome {
    if out.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's pointer is to a place for the value.
    unsafe { out.write(value) };
    Ok(())
}

unsafe fn text<'a>(from: *const c_char) -> Outcome<&'a str> {
    if from.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's text ends with a zero.
    unsafe { CStr::from_ptr(from) }.to_str().map_err(|_| INVALID_VALUE)
}

/// At the end of the process: says what is left.
extern "C" fn at_exit() {
    let left = with(|w| {
        let held = w.devices.iter().any(|d| d.retained > 0 && d.fault.is_none());
        if held {
            w.complain(format!("the process ends with {}", w.census()));
        }
        w.complaints.clone()
    });
    if let (Some(path), report) = with(|w| (w.settings.report.clone(), w.report())) {
        if let Err(e) = std::fs::write(&path, report) {
            eprintln!("fake-cuda: {path}: {e}");
        }
    }
    left.iter().for_each(|what| eprintln!("fake-cuda: {what}"));
    if !left.is_empty() {
        // SAFETY: the process is ending.
        unsafe { _exit(LEFT) }
    }
}

/// Starts the driver anew as a line of settings says.
#[no_mangle]
pub unsafe extern "C" fn fake_cuda_set(line: *const c_char) -> u32 {
    // SAFETY: as this function's.
    let settings = unsafe { text(line) }.and_then(|line| Settings::parse(line).map_err(|_| INVALID_VALUE));
    code(settings.map(|settings| with(|w| *w = World::new(settings))))
}

/// Writes the census, then faults and complaints, a line each; the length of it all.
#[no_mangle]
pub unsafe extern "C" fn fake_cuda_report(out: *mut u8, len: usize) -> usize {
    let report = with(|w| w.report());
    if !out.is_null() {
        // SAFETY: the caller's buffer is that long.
        let out = unsafe { std::slice::from_raw_parts_mut(out, len) };
        let n = len.min(report.len());
        out[..n].copy_from_slice(&report.as_bytes()[..n]);
    }
    report.len()
}

#[no_mangle]
pub extern "C" fn cuInit(flags: u32) -> u32 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function may be called at the end of the process.
        unsafe { atexit(at_exit) };
    });
    code(with(|w| match (flags, w.devices.len()) {
        (0, 0) => Err(NO_DEVICE),
        (0, _) => {
            w.initialised = true;
            Ok(())
        }
        _ => Err(INVALID_VALUE),
    }))
}

unsafe fn describe(status: u32, out: *mut *const c_char, symbol: bool) -> u32 {
    let found = crate::status::describe(status).ok_or(INVALID_VALUE);
    // SAFETY: as the driver's function.
    code(found.and_then(|(name, text)| unsafe { put(out, if symbol { name } else { text }.as_ptr()) }))
}

#[no_mangle]
pub unsafe extern "C" fn cuGetErrorName(status: u32, out: *mut *const c_char) -> u32 {
    // SAFETY: as the driver's function.
    unsafe { describe(status, out, true) }
}

#[no_mangle]
pub unsafe extern "C" fn cuGetErrorString(status: u32, out: *mut *const c_char) -> u32 {
    // SAFETY: as the driver's function.
    unsafe { describe(status, out, false) }
}

/// Functions whose pointers are used as the driver uses them.
macro_rules! functions {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) |$w:ident| $body:expr;)*) => {$(
        #[no_mangle]
        #[allow(unused_unsafe, reason = "not every body needs it")]
        pub unsafe extern "C" fn $name($($arg: $kind),*) -> u32 {
            // SAFETY: as the driver's function.
            code(with(|$w| unsafe { $body }))
        }
    )*};
}

functions! {
    fn cuDeviceGetCount(out: *mut i32) |w| put(out, w.devices.len() as i32);
    fn cuDeviceGet(out: *mut i32, ordinal: i32) |w| {
        w.device(ordinal)?;
        put(out, ordinal)
    };
    fn cuDeviceGetName(out: *mut u8, len: i32, device: i32) |w| {
        w.device(device)?;
        let name = b"PTX machine\0";
        if out.is_null() || len < name.len() as i32 {
            return Err(INVALID_VALUE);
        }
        out.copy_from_nonoverlapping(name.as_ptr(), name.len());
        Ok(())
    };
    fn cuDeviceTotalMem_v2(out: *mut usize, device: i32) |w| {
        w.device(device)?;
        put(out, w.settings.memory)
    };
    fn cuDeviceGetAttribute(out: *mut i32, attribute: u32, device: i32) |w| {
        w.device(device)?;
        let value = match attribute {
            16 => 1,
            18 => i32::from(w.settings.integrated),
            75 => (w.settings.capability / 10) as i32,
            76 => (w.settings.capability % 10) as i32,
            97 => most_shared(w.settings.capability) as i32,
            _ => return Err(INVALID_VALUE),
        };
        put(out, value)
    };
    fn cuDevicePrimaryCtxRetain(out: *mut usize, device: i32) |w| {
        let found = w.device(device)?;
        if let Some(fault) = found.fault {
            return Err(fault);
        }
        found.retained += 1;
        let retained = found.retained;
        w.most_retained = w.most_retained.max(retained);
        put(out, (device as usize + 1) * CONTEXT)
    };
    fn cuDevicePrimaryCtxRelease_v2(device: i32) |w| w.release(device);
    fn cuCtxSetCurrent(context: usize) |w| {
        let index = (context / CONTEXT).checked_sub(1);
        if context != 0 && index.and_then(|k| w.devices.get(k)).is_none_or(|d| d.retained == 0) {
            return Err(INVALID_CONTEXT);
        }
        CURRENT.set(index);
        Ok(())
    };
    fn cuMemAlloc_v2(out: *mut u64, bytes: usize) |w| {
        w.not_capturing()?;
        let address = w.allocate(here(), bytes)?;
        put(out, address)
    };
    fn cuMemFree_v2(address: u64) |w| {
        w.not_capturing()?;
        w.free(here(), address)
    };
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) |w| {
        let all = w.settings.memory + w.settings.hidden;
        let (_, device) = w.current(here())?;
        let used: usize = device.allocations.values().sum();
        put(free, all.saturating_sub(used))?;
        put(total, all)
    };
    fn cuMemcpyHtoD_v2(to: u64, from: *const u8, bytes: usize) |w| {
        w.not_capturing()?;
        let (index, _) = w.current(here())?;
        w.stage(index, to, host(from, bytes)?)
    };
    fn cuMemcpyDtoH_v2(to: *mut u8, from: u64, bytes: usize) |w| {
        w.not_capturing()?;
        let (index, _) = w.current(here())?;
        host(to, bytes)?;
        w.arrive(index)?;
        w.download(index, from, std::slice::from_raw_parts_mut(to, bytes))
    };
    fn cuMemcpyHtoDAsync_v2(to: u64, from: *const u8, bytes: usize, stream: usize) |w| {
        let host = pinned(w, from as usize, bytes)?;
        w.enqueue(here(), stream, Work::Upload(to, host))
    };
    fn cuMemcpyDtoHAsync_v2(to: *mut u8, from: u64, bytes: usize, stream: usize) |w| {
        let host = pinned(w, to as usize, bytes)?;
        // From now on the bytes may change at any time: who reads them before the copy is done gets nonsense.
        to.write_bytes(0xff, bytes);
        w.enqueue(here(), stream, Work::Download(host, from))
    };
    fn cuMemHostAlloc(out: *mut *mut c_void, bytes: usize, flags: u32) |w| {
        w.not_capturing()?;
        w.current(here())?;
        let layout = Layout::from_size_align(bytes, PAGE).map_err(|_| INVALID_VALUE)?;
        if bytes == 0 || flags > 7 {
            return Err(INVALID_VALUE);
        }
        let block = alloc(layout);
        if block.is_null() {
            return Err(OUT_OF_MEMORY);
        }
        block.write_bytes(0xff, bytes);
        w.pinned.insert(block as usize, bytes);
        put(out, block.cast())
    };
    fn cuMemFreeHost(block: *mut c_void) |w| {
        w.not_capturing()?;
        let bytes = w.release_pinned(block as usize)?;
        let layout = Layout::from_size_align(bytes, PAGE).map_err(|_| INVALID_VALUE)?;
        dealloc(block.cast(), layout);
        Ok(())
    };
    fn cuModuleLoadData(out: *mut usize, image: *const c_char) |w| {
        w.not_capturing()?;
        let capability = w.settings.capability;
        let (index, _) = w.current(here())?;
        let module = Loaded::assemble(text(image)?, capability)?;
        let handle = w.handle();
        w.modules.insert(handle, (index, module));
        put(out, handle)
    };
    fn cuModuleGetFunction(out: *mut usize, module: usize, name: *const c_char) |w| {
        w.current(here())?;
        let function = w.modules.get(&module).ok_or(INVALID_HANDLE)?.1.function(text(name)?)?;
        let handle = w.handle();
        w.functions.insert(handle, (module, function));
        put(out, handle)
    };
    fn cuFuncGetAttribute(out: *mut i32, attribute: u32, function: usize) |w| {
        let (_, function) = w.functions.get(&function).ok_or(INVALID_HANDLE)?;
        match attribute {
            1 => put(out, function.entry.shared_bytes() as i32),
            _ => Err(INVALID_VALUE),
        }
    };
    fn cuFuncSetAttribute(function: usize, attribute: u32, value: i32) |w| {
        let most = most_shared(w.settings.capability);
        let (_, function) = w.functions.get_mut(&function).ok_or(INVALID_HANDLE)?;
        let dynamic = usize::try_from(value).map_err(|_| INVALID_VALUE)?;
        if attribute != 8 || function.entry.shared_bytes() + dynamic > most {
            return Err(INVALID_VALUE);
        }
        function.dynamic = dynamic;
        Ok(())
    };
    fn cuModuleUnload(module: usize) |w| {
        w.current(here())?;
        w.functions.retain(|_, (of, _)| *of != module);
        w.modules.remove(&module).map(|_| ()).ok_or(INVALID_HANDLE)
    };
    fn cuStreamCreate(out: *mut usize, flags: u32) |w| {
        let (device, _) = w.current(here())?;
        if flags != 1 {
            w.complain("a stream that waits for the default stream");
        }
        let handle = w.handle();
        w.streams.insert(handle, Stream { device, queue: VecDeque::new(), capture: None });
        put(out, handle)
    };
    fn cuStreamDestroy_v2(stream: usize) |w| {
        w.stream(here(), stream)?;
        let done = w.drain(stream);
        w.streams.remove(&stream);
        done
    };
    fn cuStreamSynchronize(stream: usize) |w| {
        w.not_capturing()?;
        if stream == DEFAULT {
            let (index, _) = w.current(here())?;
            return w.arrive(index);
        }
        w.stream(here(), stream)?;
        w.drain(stream)
    };
    fn cuStreamWaitEvent(stream: usize, event: usize, _flags: u32) |w| {
        w.stream(here(), stream)?;
        match w.events.get(&event).ok_or(INVALID_HANDLE)?.record {
            Some(record) if !w.settings.deaf => w.enqueue(here(), stream, Work::Wait(record)),
            _ => Ok(()),
        }
    };
    fn cuStreamBeginCapture_v2(stream: usize, _mode: u32) |w| {
        let (_, stream) = w.stream(here(), stream)?;
        match stream.capture {
            None => stream.capture = Some((std::thread::current().id(), Some(Vec::new()))),
            Some(_) => return Err(INVALID_VALUE),
        }
        Ok(())
    };
    fn cuStreamEndCapture(stream: usize, out: *mut usize) |w| {
        let (_, stream) = w.stream(here(), stream)?;
        let (_, calls) = stream.capture.take().ok_or(INVALID_VALUE)?;
        let graph = Graph(Arc::new(calls.ok_or(CAPTURE_INVALIDATED)?));
        let handle = w.handle();
        w.graphs.insert(handle, graph);
        put(out, handle)
    };
    fn cuGraphInstantiateWithFlags(out: *mut usize, graph: usize, _flags: u64) |w| {
        let graph = w.graphs.get(&graph).ok_or(INVALID_HANDLE)?.clone();
        let handle = w.handle();
        w.execs.insert(handle, graph);
        put(out, handle)
    };
    fn cuGraphDestroy(graph: usize) |w| w.graphs.remove(&graph).map(|_| ()).ok_or(INVALID_HANDLE);
    fn cuGraphExecDestroy(graph: usize) |w| w.execs.remove(&graph).map(|_| ()).ok_or(INVALID_HANDLE);
    fn cuGraphLaunch(graph: usize, stream: usize) |w| {
        let graph = w.execs.get(&graph).ok_or(INVALID_HANDLE)?.clone();
        w.enqueue(here(), stream, Work::Graph(graph))?;
        w.count_graphs();
        Ok(())
    };
    fn cuEventCreate(out: *mut usize, _flags: u32) |w| {
        let (device, _) = w.current(here())?;
        let handle = w.handle();
        w.events.insert(handle, Event { device, record: None });
        put(out, handle)
    };
    fn cuEventRecord(event: usize, stream: usize) |w| {
        let (device, _) = w.stream(here(), stream)?;
        w.records += 1;
        let record = w.records;
        let event = w.events.get_mut(&event).filter(|e| e.device == device).ok_or(INVALID_HANDLE)?;
        event.record = Some(record);
        w.pending.insert(record, stream);
        w.enqueue(here(), stream, Work::Record(record))
    };
    fn cuEventSynchronize(event: usize) |w| {
        w.not_capturing()?;
        w.current(here())?;
        match w.events.get(&event).ok_or(INVALID_HANDLE)?.record {
            Some(record) => w.reach(record),
            None => Ok(()),
        }
    };
    fn cuEventDestroy_v2(event: usize) |w| w.events.remove(&event).map(|_| ()).ok_or(INVALID_HANDLE);
    fn cuLaunchKernel(
        function: usize, gx: u32, gy: u32, gz: u32, bx: u32, by: u32, bz: u32, shared: u32, stream: usize,
        params: *mut *mut c_void, extra: *mut *mut c_void
    ) |w| {
        let function = w.functions.get(&function).ok_or(INVALID_HANDLE)?.1.clone();
        let launch = ptx_machine::Launch {
            grid: [gx, gy, gz],
            block: [bx, by, bz],
            shared_bytes: shared as usize,
            ..ptx_machine::Launch::default()
        };
        let threads = u64::from(bx) * u64::from(by) * u64::from(bz);
        let fits = (1..=1024).contains(&threads) && bz <= 64 && gx > 0 && (1..65536).contains(&gy);
        let fits = fits && (1..65536).contains(&gz) && gx <= i32::MAX as u32;
        if !fits || launch.shared_bytes > function.dynamic || params.is_null() {
            return Err(INVALID_VALUE);
        }
        if !extra.is_null() {
            return Err(INVALID_VALUE);
        }
        let mut arguments = vec![0; function.entry.param_bytes()];
        for (k, (start, len)) in function.params.iter().enumerate() {
            let from = params.add(k).read().cast::<u8>();
            arguments[*start..start + len].copy_from_slice(host(from, *len)?);
        }
        w.enqueue(here(), stream, Work::Launch(Call { function, launch, arguments }))
    };
}

/// Most shared memory of a block that asks for it, in bytes.
fn most_shared(capability: u32) -> usize {
    1024 * match capability {
        72 => 96,
        75 => 64,
        80 | 87 => 163,
        90..=110 => 227,
        _ => 99,
    }
}

/// Bytes of the host's memory.
unsafe fn host<'a>(from: *const u8, bytes: usize) -> Outcome<&'a [u8]> {
    if from.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's memory is that long.
    Ok(unsafe { std::slice::from_raw_parts(from, bytes) })
}

/// A range of pinned memory; copies from other memory would not be asynchronous.
fn pinned(w: &mut World, start: usize, bytes: usize) -> Outcome<HostRange> {
    if !w.is_pinned(start, bytes) {
        w.complain(format!("an asynchronous copy of {bytes} bytes that are not pinned"));
        return Err(INVALID_VALUE);
    }
    Ok(HostRange { start, bytes })
}
