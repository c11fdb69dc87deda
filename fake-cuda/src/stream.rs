//! Streams that put work off as long as they may: nothing runs before somebody waits for it, and then only
//! what that depends on. Whoever forgets to order two streams reads what was never written.

use std::collections::VecDeque;
use std::thread::ThreadId;

use crate::status::*;
use crate::world::{Call, Graph, World};

/// A range of the host's memory that work reads or writes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRange {
    /// Where it begins.
    pub start: usize,
    /// Its length.
    pub bytes: usize,
}

/// Work of a stream.
pub enum Work {
    /// A copy to the GPU.
    Upload(u64, HostRange),
    /// A copy from the GPU.
    Download(HostRange, u64),
    /// A launch.
    Launch(Call),
    /// A graph's launches.
    Graph(Graph),
    /// A record of an event was reached.
    Record(u64),
    /// What a record stands for must have happened.
    Wait(u64),
}

/// A stream.
pub struct Stream {
    /// Its GPU.
    pub device: usize,
    /// What it has not done yet.
    pub queue: VecDeque<Work>,
    /// What it records instead, and the thread that asked for it; `None` for a capture that went wrong.
    pub capture: Option<(ThreadId, Option<Vec<Call>>)>,
}

/// An event.
pub struct Event {
    /// Its GPU.
    pub device: usize,
    /// Its last record.
    pub record: Option<u64>,
}

impl World {
    /// A stream of the current context; its device.
    pub fn stream(&mut self, context: Option<usize>, handle: usize) -> Outcome<(usize, &mut Stream)> {
        let (current, _) = self.current(context)?;
        let stream = self.streams.get_mut(&handle).filter(|s| s.device == current).ok_or(INVALID_HANDLE)?;
        Ok((current, stream))
    }

    /// Refuses calls that a thread must not make while it captures; they spoil the capture.
    pub fn not_capturing(&mut self) -> Outcome {
        let me = std::thread::current().id();
        let mut spoilt = Ok(());
        for (thread, calls) in self.streams.values_mut().filter_map(|s| s.capture.as_mut()) {
            if *thread == me {
                *calls = None;
                spoilt = Err(CAPTURE_UNSUPPORTED);
            }
        }
        spoilt
    }

    /// Gives a stream work.
    pub fn enqueue(&mut self, context: Option<usize>, handle: usize, work: Work) -> Outcome {
        let early = self.settings.early;
        let (_, stream) = self.stream(context, handle)?;
        match (&mut stream.capture, work) {
            (None, work) => stream.queue.push_back(work),
            (Some((_, Some(calls))), Work::Launch(call)) => calls.push(call),
            (Some((_, None)), _) => return Err(CAPTURE_INVALIDATED),
            (Some((_, calls)), _) => {
                *calls = None;
                return Err(CAPTURE_UNSUPPORTED);
            }
        }
        if early {
            // What goes wrong is said later, as a GPU does.
            let _ = self.drain(handle);
        }
        Ok(())
    }

    /// Notes how many graphs wait.
    pub fn count_graphs(&mut self) {
        let graphs =
            self.streams.values().flat_map(|s| &s.queue).filter(|work| matches!(work, Work::Graph(_)));
        self.most_graphs = self.most_graphs.max(graphs.count());
    }

    /// Does all that a stream has.
    pub fn drain(&mut self, handle: usize) -> Outcome {
        while self.advance(handle)? {}
        Ok(())
    }

    /// Does what a record stands for, and what that depends on.
    pub fn reach(&mut self, record: u64) -> Outcome {
        while let Some(stream) = self.pending.get(&record).copied() {
            if !self.advance(stream)? {
                self.pending.remove(&record);
            }
        }
        Ok(())
    }

    /// Does the next thing of a stream; whether there was any.
    fn advance(&mut self, handle: usize) -> Outcome<bool> {
        let Some(stream) = self.streams.get_mut(&handle) else { return Ok(false) };
        let device = stream.device;
        let Some(work) = stream.queue.pop_front() else { return Ok(false) };
        if let Some(fault) = self.devices[device].fault {
            return Err(fault);
        }
        match work {
            Work::Upload(to, host) => {
                // SAFETY: the block is pinned and alive, see `World::release_pinned`.
                let bytes = unsafe { std::slice::from_raw_parts(host.start as *const u8, host.bytes) };
                self.upload(device, to, bytes)?;
            }
            Work::Download(host, from) => {
                // SAFETY: as above.
                let bytes = unsafe { std::slice::from_raw_parts_mut(host.start as *mut u8, host.bytes) };
                self.download(device, from, bytes)?;
            }
            Work::Launch(call) => self.execute(device, &call)?,
            Work::Graph(graph) => graph.0.iter().try_for_each(|call| self.execute(device, call))?,
            Work::Record(record) => {
                self.pending.remove(&record);
            }
            Work::Wait(record) => self.reach(record)?,
        }
        Ok(true)
    }

    /// Whether work that will be done touches a block of the host's memory; that of a context that has failed is not.
    fn is_awaited(&self, start: usize, bytes: usize) -> bool {
        let touches = |work: &Work| match work {
            Work::Upload(_, host) | Work::Download(host, _) => {
                host.start < start + bytes && start < host.start + host.bytes
            }
            _ => false,
        };
        let mut alive = self.streams.values().filter(|s| self.devices[s.device].fault.is_none());
        alive.any(|s| s.queue.iter().any(touches))
    }

    /// Lets go of pinned memory; whether it was any.
    pub fn release_pinned(&mut self, start: usize) -> Outcome<usize> {
        let bytes = self.pinned.get(&start).copied().ok_or(INVALID_VALUE)?;
        if self.is_awaited(start, bytes) {
            self.complain("pinned memory is freed while copies are under way");
            let streams: Vec<usize> = self.streams.keys().copied().collect();
            for stream in streams {
                let _ = self.drain(stream);
            }
        }
        // Work of a context that has ended is never done.
        for stream in self.streams.values_mut() {
            stream.queue.retain(|work| match work {
                Work::Upload(_, host) | Work::Download(host, _) => {
                    host.start + host.bytes <= start || start + bytes <= host.start
                }
                _ => true,
            });
        }
        self.pinned.remove(&start);
        Ok(bytes)
    }
}
