//! The PTX machine as a GPU: the device's launches, executed and checked on the processor.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use ptx_machine::{Entry, Memory, Module, Report};
use swath::cuda::gpu::{Gpu, Job, Stream};
use swath::cuda::launch::Launch;
use swath::cuda::modules::module_of;
use swath::{Error, Result};

/// Executes launches in the PTX machine and keeps count of what they executed.
#[derive(Default)]
pub struct Machine {
    memory: Mutex<Memory>,
    entries: Mutex<BTreeMap<&'static str, Entry>>,
    reports: Mutex<BTreeMap<&'static str, Report>>,
    /// An entry that is executed with one occurrence of an instruction left out.
    damage: Option<(&'static str, &'static str, usize)>,
}

impl Machine {
    pub fn shared() -> &'static Machine {
        static MACHINE: std::sync::OnceLock<Machine> = std::sync::OnceLock::new();
        MACHINE.get_or_init(Machine::default)
    }

    /// A machine that leaves out an entry's instruction where it occurs for the `nth` time.
    pub fn without(entry: &'static str, instruction: &'static str, nth: usize) -> &'static Machine {
        Box::leak(Box::new(Machine { damage: Some((entry, instruction, nth)), ..Machine::default() }))
    }

    /// What each entry has executed so far.
    pub fn reports(&self) -> BTreeMap<&'static str, Report> {
        self.reports.lock().unwrap().clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn entry(&self, name: &'static str) -> Result<Entry> {
        let mut entries = self.entries.lock().unwrap();
        if let Some(entry) = entries.get(name) {
            return Ok(entry.clone());
        }
        let mut ptx = module_of(name).unwrap().ptx.to_string();
        if let Some((_, instruction, nth)) = self.damage.filter(|(entry, ..)| *entry == name) {
            let at = occurrences(name, instruction)[nth];
            ptx.replace_range(at..at + instruction.len(), &" ".repeat(instruction.len()));
        }
        let parsed = Module::parse(&ptx).and_then(|module| module.entry(name));
        let entry = parsed.map_err(|e| Error::device(format!("{name}: {e}")))?;
        entries.insert(name, entry.clone());
        Ok(entry)
    }
}

/// Where an instruction stands in the text of an entry's module, within the entry.
pub fn occurrences(entry: &str, instruction: &str) -> Vec<usize> {
    let ptx = module_of(entry).unwrap().ptx;
    let start = ptx.find(&format!(".entry {entry}(")).unwrap();
    let end = start + ptx[start..].find("\n}").unwrap();
    ptx[start..end].match_indices(instruction).map(|(at, _)| start + at).collect()
}

/// The machine as the device sees it.
pub struct OnMachine(pub &'static Machine);

impl Gpu for OnMachine {
    fn capability(&self) -> u32 {
        90
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
            ..ptx_machine::Launch::default()
        };
        let entry = self.0.entry(launch.entry)?;
        let report = how.run(&entry, &mut self.0.memory(), &launch.arguments);
        let report = report.map_err(|fault| Error::device(format!("{label}: {fault}")))?;
        self.0.reports.lock().unwrap().entry(launch.entry).or_default().add(&report);
        Ok(())
    }

    fn stream(&self, job: Job) -> Result<Box<dyn Stream>> {
        let (inputs, outputs) = (vec![0.0; job.inputs.1], vec![0.0; job.outputs.1]);
        Ok(Box::new(OneAtATime { gpu: OnMachine(self.0), job, inputs, outputs }))
    }
}

struct OneAtATime {
    gpu: OnMachine,
    job: Job,
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

impl Stream for OneAtATime {
    fn inputs(&mut self) -> &mut [f32] {
        &mut self.inputs
    }

    fn start(&mut self) -> Result<()> {
        self.gpu.write(self.job.inputs.0, bytemuck::cast_slice(&self.inputs))?;
        for (label, launch) in &self.job.launches {
            self.gpu.launch(launch, label)?;
        }
        let mut ports = self.job.ports.iter();
        ports.try_for_each(|port| {
            let part = &mut self.outputs[port.clone()];
            self.gpu.read(self.job.outputs.0 + port.start as u64 * 4, bytemuck::cast_slice_mut(part))
        })
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn outputs(&self) -> &[f32] {
        &self.outputs
    }
}
