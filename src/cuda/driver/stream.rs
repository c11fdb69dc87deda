//! A session's job on a GPU: pinned host memory, a captured graph of its launches, and events that
//! order them between the streams that sessions share.
//!
//! One session's copies run beside another's kernels: inputs go up on one stream, kernels run on the
//! second, outputs come down on the third.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use super::context::{enqueue, Context};
use super::{is_set, STEPS};
use crate::cuda::gpu::{Job, Stream};
use crate::cuda::launch::Launch;
use crate::{Error, Result};

/// One job, ready to run.
pub(super) struct DriverStream {
    context: Arc<Context>,
    job: Job,
    /// The launches as one graph; absent when they run one at a time.
    graph: Option<sys::CUgraphExec>,
    /// Inputs are there, kernels have run, outputs are back.
    events: [sys::CUevent; 3],
    inputs: Pinned,
    outputs: Pinned,
}

// SAFETY: as `Context`: handles may be used from any thread, one at a time here.
unsafe impl Send for DriverStream {}

impl DriverStream {
    pub fn new(context: Arc<Context>, job: Job) -> Result<Self> {
        context.enter()?;
        let (inputs, outputs) = (Pinned::new(&context, job.inputs.1)?, Pinned::new(&context, job.outputs.1)?);
        let events = [std::ptr::null_mut(); 3];
        let mut this = Self { context, job, graph: None, events, inputs, outputs };
        for event in &mut this.events {
            *event = result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
                .map_err(|e| this.context.failed(e))?;
        }
        if !is_set(STEPS) {
            this.graph = Some(this.capture()?);
        }
        Ok(this)
    }

    /// The job's launches as a graph.
    fn capture(&self) -> Result<sys::CUgraphExec> {
        let launches = self.job.launches.iter();
        let functions = launches.map(|(_, l)| self.context.function(l.entry)).collect::<Result<Vec<_>>>()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let captured = || -> std::result::Result<sys::CUgraphExec, DriverError> {
            let stream = result::stream::create(result::stream::StreamKind::NonBlocking)?;
            // SAFETY: the stream is this closure's own; launches are recorded, not run; the graph is
            // valid until it is destroyed, after it was instantiated.
            unsafe {
                result::stream::begin_capture(stream, mode)?;
                let recorded = functions
                    .iter()
                    .zip(&self.job.launches)
                    .try_for_each(|(function, (_, launch))| enqueue(*function, launch, stream));
                let graph = result::stream::end_capture(stream);
                result::stream::destroy(stream)?;
                let graph = graph?;
                let flags = sys::CUgraphInstantiate_flags(0);
                let exec = recorded.and_then(|()| result::graph::instantiate(graph, flags));
                result::graph::destroy(graph)?;
                exec
            }
        };
        captured().map_err(|e| self.context.failed(e))
    }

    /// Copies in, runs, copies out, each waiting for the one before, and none for the host.
    fn enqueue_graph(&self, graph: sys::CUgraphExec) -> std::result::Result<(), DriverError> {
        let [up, compute, down] = self.context.streams;
        let [there, done, back] = self.events;
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: streams, events, graph and memory live as long as this value, which waits before it
        // is dropped. An event that was never recorded is not waited for.
        unsafe {
            result::stream::wait_event(up, done, flags)?;
            result::memcpy_htod_async(self.job.inputs.0, self.inputs.as_slice(), up)?;
            result::event::record(there, up)?;
            result::stream::wait_event(compute, there, flags)?;
            result::stream::wait_event(compute, back, flags)?;
            result::graph::launch(graph, compute)?;
            result::event::record(done, compute)?;
            result::stream::wait_event(down, done, flags)?;
            self.outputs.fill_from(self.job.outputs.0, down)?;
            result::event::record(back, down)
        }
    }

    /// An error that came while the graph ran, from one of its kernels.
    fn failed(&self, error: DriverError) -> Error {
        let launches = &self.job.launches;
        let entries: BTreeSet<_> = launches.iter().map(|(_, launch)| launch.entry).collect();
        let entries = entries.into_iter().collect::<Vec<_>>().join(", ");
        let error = self.context.failed(error);
        Error::device(format!(
            "{error}, in one of {} kernels; {STEPS}=1 tells which of {entries}",
            launches.len()
        ))
    }

    /// The same, one launch at a time.
    fn step(&mut self) -> Result<()> {
        self.context.write(self.job.inputs.0, self.inputs.as_slice())?;
        for (label, launch) in &self.job.launches {
            self.context.launch_and_wait(launch, label, 1)?;
        }
        self.context.read(self.job.outputs.0, self.outputs.as_mut_slice())
    }
}

impl Stream for DriverStream {
    fn inputs(&mut self) -> &mut [u8] {
        self.inputs.as_mut_slice()
    }

    fn start(&mut self) -> Result<()> {
        self.context.enter()?;
        match self.graph {
            Some(graph) => self.enqueue_graph(graph).map_err(|e| self.failed(e)),
            None => self.step(),
        }
    }

    fn wait(&mut self) -> Result<()> {
        self.context.enter()?;
        // SAFETY: the event lives as long as this value.
        unsafe { result::event::synchronize(self.events[2]) }.map_err(|e| self.failed(e))
    }

    fn time_launches(&mut self) -> Result<Vec<f64>> {
        /// Launches between two looks at the clock.
        const LAUNCHES: u32 = 10;
        let timed = |(label, launch): &(String, Launch)| -> Result<f64> {
            self.context.launch_and_wait(launch, label, 1)?;
            let started = Instant::now();
            self.context.launch_and_wait(launch, label, LAUNCHES)?;
            Ok(started.elapsed().as_secs_f64() / f64::from(LAUNCHES))
        };
        self.job.launches.iter().map(timed).collect()
    }

    fn outputs(&self) -> &[u8] {
        self.outputs.as_slice()
    }
}

impl Drop for DriverStream {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: graph and events are this value's own; the last run has ended before they go.
        unsafe {
            for event in self.events.iter().filter(|e| !e.is_null()) {
                let _ = result::event::synchronize(*event);
                let _ = result::event::destroy(*event);
            }
            if let Some(graph) = self.graph {
                let _ = result::graph::exec_destroy(graph);
            }
        }
    }
}

/// Host memory that the GPU copies from and to by itself.
struct Pinned {
    context: Arc<Context>,
    start: NonNull<u8>,
    len: usize,
}

impl Pinned {
    fn new(context: &Arc<Context>, len: usize) -> Result<Self> {
        // SAFETY: the memory is this value's own, and set to zero before it is read.
        let start = unsafe { result::malloc_host(len.max(1), 0) };
        let start = start.map_err(|e| context.out_of_memory(e, len, "pinned"))?.cast::<u8>();
        let Some(start) = NonNull::new(start) else {
            return Err(Error::device("the CUDA driver gave no pinned memory"));
        };
        // SAFETY: the block has `len` bytes.
        unsafe { start.as_ptr().write_bytes(0, len) };
        Ok(Self { context: context.clone(), start, len })
    }

    fn as_slice(&self) -> &[u8] {
        // SAFETY: the block has `len` initialised bytes; copies into it end at `wait`, before
        // which nobody reads (see `Session::run`).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as `as_slice`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Starts a copy of the whole block from the GPU.
    ///
    /// # Safety
    /// The address has as much memory; nobody looks at the block until the stream has done this.
    unsafe fn fill_from(&self, address: u64, stream: sys::CUstream) -> std::result::Result<(), DriverError> {
        // SAFETY: as this function's.
        unsafe {
            sys::cuMemcpyDtoHAsync_v2(self.start.as_ptr().cast::<c_void>(), address, self.len, stream)
                .result()
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: allocated by `new`; the stream's drop has waited for copies.
        let _ = unsafe { result::free_host(self.start.as_ptr().cast()) };
    }
}
