//! A network compiled for one input size on one device, and run.

use std::sync::Arc;

use super::device::{DevicePick, Setup};
use super::model::LoadedModel;
use super::proof::{prove, Proof};
use crate::error::{Error, InFile, Result};
use crate::kernel::levels::Calibration;
use crate::kernel::precision::Precision;
use crate::models::{graph_of, InputSize, SampleInput, OUTPUT};
use crate::passes;
use crate::plan::{self, Device, Memory, Plan, Pool, Step};
use crate::tensor::{DType, Shape};

/// A device, ready to compile networks for.
pub struct Engine {
    device: Box<dyn Device>,
    setup: Setup,
    samples: Option<SampleInput>,
}

/// A compiled network with its memory. Runs allocate nothing, unless it is lean ([`Setup::lean`]).
pub struct Session {
    inner: Box<dyn plan::Session>,
    memory: Memory,
    output: usize,
}

impl Engine {
    /// The device that `pick` says, on `threads` threads (0: as many as the processor has), in f32.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn new(pick: DevicePick, threads: usize) -> Result<Self> {
        Self::open(Setup { device: pick, threads, ..Setup::default() })
    }

    /// The device that `setup` says.
    ///
    /// # Errors
    /// `Device` when it cannot be had; never another device than the one asked for.
    pub fn open(setup: Setup) -> Result<Self> {
        Ok(Self { device: setup.open()?, setup, samples: None })
    }

    /// The same, but the networks it compiles are given samples, where some are said; see
    /// [`Session::input_bytes`].
    #[must_use]
    pub fn reading(self, samples: Option<SampleInput>) -> Self {
        Self { samples, ..self }
    }

    /// How it was opened.
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// What networks that it compiles are given: f32, or samples.
    pub fn samples(&self) -> DType {
        self.samples.as_ref().map_or(DType::F32, |of| of.samples)
    }

    /// Name of the device.
    pub fn device_name(&self) -> &'static str {
        self.device.name()
    }

    /// The device's memory, where it is not plainly the process's.
    ///
    /// # Errors
    /// `Device` when the device fails.
    pub fn pool(&self) -> Result<Option<Pool>> {
        self.device.pool()
    }

    /// The same device without rounding, where it rounds factors and results might not survive that.
    pub fn unrounded(&self) -> Option<Self> {
        let setup = Setup { precision: Precision::F32, ..self.setup };
        self.device.unrounded().map(|device| Self { device, setup, samples: self.samples.clone() })
    }

    /// Runs the device's kernels whose names hold `pattern` on small cases and compares them with the reference.
    ///
    /// # Errors
    /// As [`prove`].
    pub fn prove(&self, pattern: &str) -> Result<Vec<Proof>> {
        prove(self.device.as_ref(), self.setup.precision, pattern)
    }

    /// What would run and how much memory it would take; nothing is allocated. The named
    /// intermediates of `taps` become outputs beside the network's own.
    ///
    /// # Errors
    /// `Shape` or `Limit` for a size the network cannot take, `Usage` for a tap that does not exist.
    pub fn plan(&self, model: &LoadedModel, size: InputSize, taps: &[String]) -> Result<Arc<Plan>> {
        let mut graph = graph_of(model.network(), size, self.samples.as_ref())?;
        for tap in taps {
            graph.tap(tap)?;
        }
        if self.setup.precision == Precision::Int8 {
            graph.calibration = self.calibration(model)?;
        }
        passes::optimise(&mut graph)?;
        Ok(Arc::new(plan::compile(&graph, self.device.kernels())?))
    }

    /// The levels of a model's bytes, which is not run in int8 without.
    fn calibration(&self, model: &LoadedModel) -> Result<Calibration> {
        if model.calibration().is_empty() {
            let path = model.weights().path().display();
            return Err(Error::usage(format!(
                "--precision int8: {path} has no levels for int8; swath weights quantize -m {path} --calibrate SCENE \
                 -o FILE.safetensors makes a file that has"
            )));
        }
        Ok(model.calibration().clone())
    }

    /// Compiles for inputs of one size, within `budget` bytes.
    ///
    /// # Errors
    /// As [`Engine::plan`]; `Limit` with the memory's table when the budget is short; what reading
    /// the weights finds.
    pub fn compile(
        &self,
        model: &LoadedModel,
        size: InputSize,
        taps: &[String],
        budget: Option<u64>,
    ) -> Result<Session> {
        let plan = self.plan(model, size, taps)?;
        let lean = self.setup.lean;
        let memory = if lean { self.device.lean_memory(&plan) } else { plan.memory() };
        if budget.is_some_and(|budget| memory.total() as u64 > budget) {
            return Err(over_budget(&memory, budget.unwrap_or_default()));
        }
        let output = plan.output(OUTPUT).unwrap_or(0);
        let weights = model.weights();
        let inner = match lean {
            true => self.device.load_lean(plan, weights.clone()),
            false => self.device.load(plan, weights.as_ref()),
        };
        let inner = inner.in_file(weights.path())?;
        Ok(Session { inner, memory, output })
    }
}

fn over_budget(memory: &Memory, budget: u64) -> Error {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    Error::limit(format!(
        "the network needs {} (parameters {}, intermediates {}, scratch {}, input and output {}), but the budget \
         is {}; a smaller --tile or a larger --memory helps",
        mib(memory.total() as u64),
        mib(memory.params as u64),
        mib(memory.arena as u64),
        mib(memory.workspace as u64),
        mib(memory.io as u64),
        mib(budget),
    ))
}

impl Session {
    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        self.inner.plan()
    }

    /// Bytes it holds, by class.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Extents of the input.
    pub fn input_shape(&self) -> Shape {
        self.plan().inputs[0].shape
    }

    /// Extents of the network's output.
    pub fn output_shape(&self) -> Shape {
        self.plan().outputs[self.output].shape
    }

    /// Memory of an f32 input, row-major, to be filled before [`Session::compute`].
    pub fn input(&mut self) -> &mut [f32] {
        self.inner.input(0)
    }

    /// The same, whatever the type of its elements.
    pub fn input_bytes(&mut self) -> &mut [u8] {
        self.inner.input_bytes(0)
    }

    /// Runs on what lies in [`Session::input`].
    ///
    /// # Errors
    /// `Device` when the device fails.
    pub fn compute(&mut self) -> Result<()> {
        self.start()?;
        self.wait()
    }

    /// As [`Session::compute`], for the last time: the input's memory is given back on the way where the device can,
    /// and is void.
    ///
    /// # Errors
    /// `Device` when the device fails.
    pub fn compute_last(&mut self) -> Result<()> {
        self.inner.run_last()?;
        self.wait()
    }

    /// Starts a run; the input must not be touched before [`Session::wait`].
    ///
    /// # Errors
    /// `Device` when the device fails.
    pub fn start(&mut self) -> Result<()> {
        self.inner.run()
    }

    /// Waits for the run that was started.
    ///
    /// # Errors
    /// `Device` when the device failed meanwhile.
    pub fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }

    /// Copies `input` in, runs, and gives the network's output.
    ///
    /// # Errors
    /// `Shape` when `input` is not as long as the input's shape says; `Device` when the device fails.
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32]> {
        self.fill(input)?;
        self.compute()?;
        Ok(self.output())
    }

    fn fill(&mut self, input: &[f32]) -> Result<()> {
        let memory = self.inner.input(0);
        if memory.len() != input.len() {
            let message = format!("{} values given, the input has {}", input.len(), memory.len());
            return Err(Error::shape(message));
        }
        memory.copy_from_slice(input);
        Ok(())
    }

    /// Copies `input` in, runs, and shows each step with its first operand before it is computed.
    ///
    /// # Errors
    /// As [`Session::run`]; `Unsupported` where the device cannot.
    pub fn watch(&mut self, input: &[f32], seen: &mut dyn FnMut(&Plan, &Step, &[f32])) -> Result<()> {
        self.fill(input)?;
        self.inner.watch(seen)
    }

    /// The network's output after a run, row-major.
    pub fn output(&self) -> &[f32] {
        self.inner.output(self.output)
    }

    /// All outputs after a run: the network's own and the taps.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, Shape, &[f32])> {
        let ports = self.plan().outputs.iter().enumerate();
        ports.map(|(at, port)| (port.name.as_str(), port.shape, self.inner.output(at)))
    }

    /// Seconds that each of the plan's steps takes; empty where the device does not time them. What the last run
    /// gave is void afterwards.
    ///
    /// # Errors
    /// `Device` when the device fails.
    pub fn time_steps(&mut self) -> Result<Vec<f64>> {
        self.inner.time_steps()
    }

    /// A further session that shares the weights.
    ///
    /// # Errors
    /// `Limit` when memory cannot be had.
    pub fn another(&self) -> Result<Self> {
        Ok(Self { inner: self.inner.another()?, ..*self })
    }
}
