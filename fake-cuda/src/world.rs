//! All that the driver keeps: GPUs with their memory, handles, pinned memory, and what was found wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ptx_machine::Memory;

use crate::module::{Function, Loaded};
use crate::settings::Settings;
use crate::status::*;
use crate::stream::{Event, Stream};

/// One GPU and its primary context.
#[derive(Default)]
pub struct Device {
    /// Holders of the primary context.
    pub retained: usize,
    /// Its memory.
    pub memory: Memory,
    /// Bytes of what is allocated, by address.
    pub allocations: HashMap<u64, usize>,
    /// The error that its context ended with; every later call gives it.
    pub fault: Option<Status>,
    /// Copies from pageable memory that have been taken and have not arrived: where to, and the bytes.
    pub staged: Vec<(u64, Vec<u8>)>,
}

/// Recorded launches.
#[derive(Clone, Default)]
pub struct Graph(pub Arc<Vec<Call>>);

/// A launch with its arguments as they were when it was made.
#[derive(Clone)]
pub struct Call {
    /// The entry.
    pub function: Function,
    /// How it is launched.
    pub launch: ptx_machine::Launch,
    /// Bytes of its parameters.
    pub arguments: Vec<u8>,
}

/// Live objects of one kind, by handle.
pub type Table<T> = HashMap<usize, T>;

/// The driver's state.
#[derive(Default)]
pub struct World {
    /// What it pretends to be.
    pub settings: Settings,
    /// Whether `cuInit` was called.
    pub initialised: bool,
    /// The GPUs.
    pub devices: Vec<Device>,
    /// Modules, with the device they are on.
    pub modules: Table<(usize, Loaded)>,
    /// Entries, with their module.
    pub functions: Table<(usize, Function)>,
    /// Streams.
    pub streams: Table<Stream>,
    /// Events.
    pub events: Table<Event>,
    /// Graphs, as captured.
    pub graphs: Table<Graph>,
    /// Graphs, as they are launched.
    pub execs: Table<Graph>,
    /// Pinned memory: bytes by address.
    pub pinned: BTreeMap<usize, usize>,
    /// Streams with records that have not been reached, by record.
    pub pending: HashMap<u64, usize>,
    /// Records so far.
    pub records: u64,
    /// Launches so far, by entry.
    pub launched: HashMap<String, u64>,
    /// Most holders of one context so far.
    pub most_retained: usize,
    /// Most launches of graphs that waited at once.
    pub most_graphs: usize,
    /// Most bytes of a GPU that were allocated at once.
    pub most_bytes: usize,
    /// What a real driver might let pass, but no program should do.
    pub complaints: Vec<String>,
    /// What kernels that failed did, in the machine's words.
    pub faults: Vec<String>,
    handles: usize,
}

impl World {
    /// A driver that pretends to be this.
    pub fn new(settings: Settings) -> Self {
        let devices = (0..settings.devices).map(|_| Device::default()).collect();
        Self { settings, devices, ..Self::default() }
    }

    /// A handle that was never given before.
    pub fn handle(&mut self) -> usize {
        self.handles += 1;
        0x10_0000 + 64 * self.handles
    }

    /// Notes what no program should do.
    pub fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// The device of an ordinal.
    pub fn device(&mut self, ordinal: i32) -> Outcome<&mut Device> {
        if !self.initialised {
            return Err(NOT_INITIALIZED);
        }
        usize::try_from(ordinal).ok().and_then(|k| self.devices.get_mut(k)).ok_or(INVALID_DEVICE)
    }

    /// The device of the current context, which must be alive.
    pub fn current(&mut self, context: Option<usize>) -> Outcome<(usize, &mut Device)> {
        let index = context.ok_or(INVALID_CONTEXT)?;
        let device = self.devices.get_mut(index).filter(|d| d.retained > 0).ok_or(INVALID_CONTEXT)?;
        match device.fault {
            Some(fault) => Err(fault),
            None => Ok((index, device)),
        }
    }

    /// Gives up a primary context; the last holder ends it, and should have left nothing there.
    pub fn release(&mut self, ordinal: i32) -> Outcome {
        let device = self.device(ordinal)?;
        device.retained = device.retained.checked_sub(1).ok_or(INVALID_CONTEXT)?;
        if device.retained > 0 {
            return Ok(());
        }
        let (index, broken) = (ordinal as usize, device.fault.is_some());
        let left = std::mem::take(&mut device.allocations);
        for address in left.keys() {
            let _ = device.memory.free(*address);
        }
        let mut left = left.len();
        left += drop_where(&mut self.modules, |(of, _)| *of == index);
        left += drop_where(&mut self.streams, |s| s.device == index);
        left += drop_where(&mut self.events, |e| e.device == index);
        left += if self.devices.iter().any(|d| d.retained > 0) {
            0
        } else {
            self.execs.len() + self.pinned.len()
        };
        if left > 0 && !broken {
            self.complain(format!("a context ends with {left} things in it"));
        }
        Ok(())
    }

    /// Takes memory of a GPU.
    pub fn allocate(&mut self, context: Option<usize>, bytes: usize) -> Outcome<u64> {
        let limit = self.settings.memory;
        let (_, device) = self.current(context)?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        let used: usize = device.allocations.values().sum();
        if bytes > limit.saturating_sub(used) {
            return Err(OUT_OF_MEMORY);
        }
        let address = device.memory.alloc(bytes);
        device.allocations.insert(address, bytes);
        self.most_bytes = self.most_bytes.max(used + bytes);
        Ok(address)
    }

    /// Gives memory of a GPU back.
    pub fn free(&mut self, context: Option<usize>, address: u64) -> Outcome {
        let (_, device) = self.current(context)?;
        if device.allocations.remove(&address).is_none() {
            self.complain(format!("memory at {address:#x} is freed, but not allocated"));
            return Err(INVALID_VALUE);
        }
        device.memory.free(address).map_err(|_| INVALID_VALUE)
    }

    /// Takes bytes from pageable memory; they arrive when somebody waits for the default stream.
    pub fn stage(&mut self, index: usize, to: u64, bytes: &[u8]) -> Outcome {
        self.arrive(index)?;
        self.devices[index].staged.push((to, bytes.to_vec()));
        match self.settings.early {
            true => self.arrive(index),
            false => Ok(()),
        }
    }

    /// Does what the default stream has to do.
    pub fn arrive(&mut self, index: usize) -> Outcome {
        let staged = std::mem::take(&mut self.devices[index].staged);
        staged.iter().try_for_each(|(to, bytes)| self.upload(index, *to, bytes))
    }

    /// Copies bytes to a GPU.
    pub fn upload(&mut self, index: usize, to: u64, bytes: &[u8]) -> Outcome {
        let written = self.devices[index].memory.write(to, bytes);
        self.or_fault(index, written.map_err(|e| format!("copy to the GPU: {e}")))
    }

    /// Copies bytes from a GPU. What nobody wrote comes as 0xff, which is no number in f32.
    pub fn download(&mut self, index: usize, from: u64, bytes: &mut [u8]) -> Outcome {
        let memory = &self.devices[index].memory;
        let read = memory.locate(from, bytes.len(), 1).map(|_| ());
        match memory.read::<u8>(from, bytes.len()) {
            Ok(all) => bytes.copy_from_slice(&all),
            Err(_) if read.is_ok() => {
                for (k, byte) in bytes.iter_mut().enumerate() {
                    *byte = memory.read::<u8>(from + k as u64, 1).map_or(0xff, |b| b[0]);
                }
            }
            Err(_) => {}
        }
        self.or_fault(index, read.map_err(|e| format!("copy from the GPU: {e}")))
    }

    /// Runs a launch.
    pub fn execute(&mut self, index: usize, call: &Call) -> Outcome {
        let name = call.function.entry.name().to_string();
        let count = self.launched.entry(name.clone()).or_default();
        *count += 1;
        if self.settings.fail.as_ref().is_some_and(|(entry, nth)| *entry == name && nth == count) {
            self.faults.push(format!("{name}: fails as it was told to"));
            self.devices[index].fault = Some(LAUNCH_FAILED);
            return Err(LAUNCH_FAILED);
        }
        if self.settings.skip == Some(name) {
            return Ok(());
        }
        let device = &mut self.devices[index];
        let ran = call.launch.run(&call.function.entry, &mut device.memory, &call.arguments);
        self.or_fault(index, ran.map(|_| ()).map_err(|fault| fault.to_string()))
    }

    /// Ends a context whose work went wrong.
    fn or_fault(&mut self, index: usize, result: Result<(), String>) -> Outcome {
        result.map_err(|what| {
            self.faults.push(what);
            self.devices[index].fault = Some(ILLEGAL_ADDRESS);
            ILLEGAL_ADDRESS
        })
    }

    /// The pinned block that holds a range whole.
    pub fn is_pinned(&self, address: usize, bytes: usize) -> bool {
        let block = self.pinned.range(..=address).next_back();
        block.is_some_and(|(start, len)| address + bytes <= start + len)
    }

    /// The census, then faults and complaints, a line each.
    pub fn report(&self) -> String {
        let faults = self.faults.iter().map(|what| format!("\nfault {what}"));
        let complaints = self.complaints.iter().map(|what| format!("\ncomplaint {what}"));
        self.census() + &faults.chain(complaints).collect::<String>()
    }

    /// What is alive, one kind a word, as [`crate::Census`] reads it.
    pub fn census(&self) -> String {
        let contexts: usize = self.devices.iter().map(|d| d.retained).sum();
        let bytes: usize = self.devices.iter().flat_map(|d| d.allocations.values()).sum();
        let live = [
            ("contexts", contexts),
            ("bytes", bytes),
            ("pinned", self.pinned.values().sum()),
            ("modules", self.modules.len()),
            ("streams", self.streams.len()),
            ("events", self.events.len()),
            ("graphs", self.graphs.len() + self.execs.len()),
            ("most_contexts", self.most_retained),
            ("most_bytes", self.most_bytes),
            ("most_graphs", self.most_graphs),
            ("launches", self.launched.values().sum::<u64>() as usize),
        ];
        live.iter().map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" ")
    }
}

/// Takes what fits out of a table; how many that were.
fn drop_where<T>(table: &mut Table<T>, fits: impl Fn(&T) -> bool) -> usize {
    let before = table.len();
    table.retain(|_, thing| !fits(thing));
    before - table.len()
}
