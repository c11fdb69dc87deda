//! The PTX machine as a GPU: the device's launches, executed and checked on the processor, and kept with the
//! memory they found, so that they can be repeated.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use ptx_machine::{Entry, Fault, Memory, Module, Report};
use swath::cuda::gpu::{Gpu, Job, Stream};
use swath::cuda::launch::{Launch, Operands};
use swath::cuda::modules::MODULES;
use swath::{Error, Result};

/// All shipped entries, parsed.
pub static ENTRIES: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    let parsed = MODULES.iter().flat_map(|module| {
        let text = Module::parse(module.ptx).unwrap_or_else(|e| panic!("{}: {e}", module.name));
        module.entries().map(move |name| (name, text.entry(name).unwrap_or_else(|e| panic!("{name}: {e}"))))
    });
    parsed.collect()
});

/// Blocks that run at once where blocks may meet.
const RESIDENT: u32 = 6;

/// A launch as it was made.
pub struct Launched {
    pub entry: &'static str,
    pub report: Report,
    pub how: ptx_machine::Launch,
    arguments: Vec<u8>,
    before: Memory,
    after: Memory,
}

impl Launched {
    /// Warp instructions; a product of a warpgroup takes the machine as long as hundreds of others.
    pub fn cost(&self) -> u64 {
        let products = self.report.opcodes.iter().filter(|(name, _)| name.starts_with("wgmma.mma"));
        self.report.total() + 500 * products.map(|(_, n)| n).sum::<u64>()
    }

    /// Where its operands lie.
    pub fn operands(&self) -> Operands {
        bytemuck::pod_read_unaligned(&self.arguments[..Launch::PARAMS])
    }

    /// What gives another entry away when it is launched instead: a fault or other results.
    pub fn repeated_with(&self, entry: &Entry) -> std::result::Result<(), String> {
        self.repeated(entry, self.before.clone())
    }

    /// What gives a word at an address away: the entry, where it finds another one there.
    pub fn repeated_after(
        &self,
        address: u64,
        change: impl FnOnce(u32) -> u32,
    ) -> std::result::Result<(), String> {
        let mut memory = self.before.clone();
        let old = memory.read(address, 1).map_err(|e| e.to_string())?;
        memory.write(address, &[change(old[0])]).map_err(|e| e.to_string())?;
        self.repeated(&ENTRIES[self.entry], memory)
    }

    fn repeated(&self, entry: &Entry, mut memory: Memory) -> std::result::Result<(), String> {
        // A loop that does not end is one that takes much longer than it should.
        let how = ptx_machine::Launch { budget: 4 * self.report.total() + 1000, ..self.how };
        how.run(entry, &mut memory, &self.arguments).map_err(|fault: Box<Fault>| fault.to_string())?;
        if memory == self.after {
            Ok(())
        } else {
            Err("other results".into())
        }
    }
}

/// Executes launches in the PTX machine.
pub struct Machine {
    capability: u32,
    schedule: u64,
    memory: Mutex<Memory>,
    launched: Mutex<Vec<Launched>>,
}

impl Machine {
    /// A machine that passes for a GPU of that compute capability.
    pub fn new(capability: u32) -> Arc<Machine> {
        Self::on_schedule(capability, 0)
    }

    /// The same, whose blocks that meet go on in an order of that number.
    pub fn on_schedule(capability: u32, schedule: u64) -> Arc<Machine> {
        Arc::new(Machine { capability, schedule, memory: Mutex::default(), launched: Mutex::default() })
    }

    /// The launches so far.
    pub fn launched(&self) -> Vec<Launched> {
        std::mem::take(&mut self.launched.lock().unwrap())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }
}

/// The machine as the device sees it.
pub struct OnMachine(pub Arc<Machine>);

impl Gpu for OnMachine {
    fn capability(&self) -> u32 {
        self.0.capability
    }

    // So few that small cases fill them.
    fn multiprocessors(&self) -> u32 {
        3
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        Ok(self.0.memory().alloc(bytes))
    }

    fn free(&self, address: u64) {
        self.0.memory().free(address).unwrap();
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.0.memory().write(address, bytes).map_err(|e| Error::device(format!("{e:?}")))
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let read = self.0.memory().read(address, bytes.len());
        bytes.copy_from_slice(&read.map_err(|e| Error::device(format!("{e:?}")))?);
        Ok(())
    }

    fn launch(&self, launch: &Launch, label: &str) -> Result<()> {
        let how = ptx_machine::Launch {
            grid: launch.grid,
            block: launch.block,
            shared_bytes: launch.shared as usize,
            resident: RESIDENT,
            schedule: self.0.schedule,
            ..ptx_machine::Launch::default()
        };
        let mut memory = self.0.memory();
        let before = memory.clone();
        let report = how.run(&ENTRIES[launch.entry], &mut memory, &launch.arguments);
        let report = report.map_err(|fault| Error::device(format!("{label}: {fault}")))?;
        let (after, arguments) = (memory.clone(), launch.arguments.clone());
        let launched = Launched { entry: launch.entry, report, how, arguments, before, after };
        self.0.launched.lock().unwrap().push(launched);
        Ok(())
    }

    fn stream(&self, job: Job) -> Result<Box<dyn Stream>> {
        let [inputs, outputs] = [job.inputs.1, job.outputs.1].map(|bytes| vec![0; bytes.div_ceil(4)]);
        Ok(Box::new(OneAtATime { gpu: OnMachine(self.0.clone()), job, inputs, outputs }))
    }
}

struct OneAtATime {
    gpu: OnMachine,
    job: Job,
    // In words, so that they begin where an f32 may.
    inputs: Vec<u32>,
    outputs: Vec<u32>,
}

impl Stream for OneAtATime {
    fn inputs(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.inputs)[..self.job.inputs.1]
    }

    fn start(&mut self) -> Result<()> {
        self.gpu.write(self.job.inputs.0, &bytemuck::cast_slice(&self.inputs)[..self.job.inputs.1])?;
        for (label, launch) in &self.job.launches {
            self.gpu.launch(launch, label)?;
        }
        let mut ports = self.job.ports.iter();
        ports.try_for_each(|port| {
            let part = &mut bytemuck::cast_slice_mut(&mut self.outputs)[port.clone()];
            self.gpu.read(self.job.outputs.0 + port.start as u64, part)
        })
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn outputs(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.outputs)[..self.job.outputs.1]
    }
}
