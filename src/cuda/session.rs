//! The device and its sessions: one allocation per class of memory, one stream per session.

use std::ops::Range;
use std::sync::Arc;

use super::driver::Driver;
use super::gpu::{Gpu, Job, Memory, Stream};
use super::launch::MAX_OPERANDS;
use super::load::{launches, Image};
use super::{chain, driver, layouts, table};
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::{Choice, Device, Kernels, Plan, Pool, Port, Region, Rounding, Session, Slot, Step};
use crate::tensor::TensorStore;
use crate::Result;

/// Bytes that inputs and outputs are aligned to.
const ALIGNMENT: usize = 256;

/// A machine that executes the program's PTX, as a device.
pub struct Cuda {
    gpu: Arc<dyn Gpu>,
    precision: Precision,
    in_full: bool,
    chained: bool,
}

impl Cuda {
    /// The GPU of that index.
    ///
    /// # Errors
    /// `Device` when there is no driver, no such GPU, or one the program's PTX does not run on.
    pub fn open(index: usize) -> Result<Self> {
        let chained = driver::is_set(driver::CHAINS) && !driver::is_set(driver::STEPS);
        Ok(Self { chained, ..Self::on(Arc::new(Driver::open(index)?)) })
    }

    /// The device whose launches `gpu` executes.
    pub fn on(gpu: Arc<dyn Gpu>) -> Self {
        Self { gpu, precision: Precision::default(), in_full: false, chained: false }
    }

    /// The same device, but factors of products may be rounded so.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same device, but every result is stored in f32 and read there, which takes longer and changes no bit.
    #[must_use]
    pub fn in_full(self) -> Self {
        Self { in_full: true, ..self }
    }

    /// The same device, but convolutions that follow each other are one launch, which changes no bit.
    #[must_use]
    pub fn chained(self) -> Self {
        Self { chained: true, ..self }
    }
}

impl Kernels for Cuda {
    fn choose(&self, kernel: &Kernel, rounding: Rounding) -> Result<Choice> {
        let precision = match rounding {
            Rounding::None => Precision::F32,
            Rounding::AsAsked { .. } => self.precision,
        };
        table::choose(kernel, self.gpu.capability(), self.gpu.multiprocessors(), precision)
    }
}

impl Device for Cuda {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn kernels(&self) -> &dyn Kernels {
        self
    }

    fn pool(&self) -> Result<Option<Pool>> {
        self.gpu.pool()
    }

    fn unrounded(&self) -> Option<Box<dyn Device>> {
        let exact = Self { gpu: self.gpu.clone(), precision: Precision::F32, ..*self };
        (self.precision != Precision::F32).then(|| Box::new(exact) as Box<dyn Device>)
    }

    fn load(&self, plan: Arc<Plan>, weights: &dyn TensorStore) -> Result<Box<dyn Session>> {
        plan.check(MAX_OPERANDS)?;
        let image = Image::new(&plan, weights, &self.gpu)?;
        let params = Memory::new(&self.gpu, image.bytes.len())?;
        self.gpu.write(params.address(), &image.bytes)?;
        let image = Image { bytes: Vec::new(), ..image };
        let Self { in_full, chained, .. } = *self;
        let shared = Arc::new(Shared { gpu: self.gpu.clone(), plan, image, params, in_full, chained });
        Ok(Box::new(CudaSession::new(shared)?))
    }
}

/// What all sessions of a loaded plan read.
struct Shared {
    gpu: Arc<dyn Gpu>,
    plan: Arc<Plan>,
    image: Image,
    params: Memory,
    in_full: bool,
    chained: bool,
}

/// A loaded plan with memory of its own.
struct CudaSession {
    shared: Arc<Shared>,
    inputs: Places,
    outputs: Places,
    /// The steps that each launch is of.
    steps: Vec<Range<usize>>,
    // Before the memory it uses, so that it ends first.
    stream: Box<dyn Stream>,
    _memory: Vec<Memory>,
}

/// Where ports lie in the memory they share, in bytes.
struct Places {
    starts: Vec<usize>,
    lens: Vec<usize>,
    total: usize,
}

impl Places {
    fn new(ports: &[Port]) -> Self {
        let mut places = Self { starts: Vec::new(), lens: Vec::new(), total: 0 };
        for port in ports {
            places.starts.push(places.total);
            places.lens.push(port.bytes());
            places.total += port.bytes().next_multiple_of(ALIGNMENT);
        }
        places
    }

    fn of(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index] + self.lens[index]
    }
}

/// What the launch of steps is called.
fn label(steps: &[Step]) -> String {
    match steps {
        [first, .., last] => format!("{} to {}", first.label, last.label),
        steps => steps.iter().map(|step| step.label.clone()).collect(),
    }
}

impl CudaSession {
    fn new(shared: Arc<Shared>) -> Result<Self> {
        const ELEMENT: usize = std::mem::size_of::<f32>();
        let plan = &shared.plan;
        let (inputs, outputs) = (Places::new(&plan.inputs), Places::new(&plan.outputs));
        let sizes = [plan.arena * ELEMENT, plan.workspace * ELEMENT, inputs.total, outputs.total];
        let [arena, workspace, x, y] = sizes.map(|bytes| Memory::new(&shared.gpu, bytes));
        let mut memory = vec![arena?, workspace?, x?, y?];
        let [arena, workspace, x, y] = [0, 1, 2, 3].map(|k| memory[k].address());
        let address = |slot: Slot| {
            let start = match slot.region {
                Region::Arena => arena,
                Region::Const(k) => shared.params.address() + shared.image.constants[k].unwrap_or(0) as u64,
                Region::Input(k) => x + inputs.starts[k] as u64,
                Region::Output(k) => y + outputs.starts[k] as u64,
            };
            // What is not f32 is an operand from its first element on.
            start + (slot.offset * ELEMENT) as u64
        };
        let mut job = Job {
            launches: Vec::with_capacity(plan.steps.len()),
            inputs: (x, inputs.total),
            outputs: (y, outputs.total),
            ports: (0..plan.outputs.len()).map(|k| outputs.of(k)).collect(),
        };
        let mut of_steps = Vec::with_capacity(plan.steps.len());
        for (step, prepared) in plan.steps.iter().zip(&shared.image.prepared) {
            let prepared = shared.params.address() + *prepared as u64;
            of_steps.push(launches(step, address, prepared, workspace)?);
        }
        if !shared.in_full {
            layouts::shorten(&plan.steps, &mut of_steps, address, (workspace, plan.workspace))?;
        }
        let each = of_steps.into_iter().enumerate();
        let mut launches: Vec<_> =
            each.flat_map(|(at, of)| of.into_iter().map(move |launch| (at..at + 1, launch))).collect();
        if shared.chained {
            let (mut merged, bytes) = chain::merge(launches, shared.gpu.multiprocessors())?;
            if !bytes.is_empty() {
                let tables = Memory::new(&shared.gpu, bytes.len())?;
                shared.gpu.write(tables.address(), &bytes)?;
                chain::place(&mut merged, tables.address());
                memory.push(tables);
            }
            launches = merged;
        }
        let mut steps = Vec::with_capacity(launches.len());
        for (of, launch) in launches {
            job.launches.push((label(&plan.steps[of.clone()]), launch));
            steps.push(of);
        }
        let stream = shared.gpu.stream(job)?;
        Ok(Self { inputs, outputs, steps, stream, _memory: memory, shared })
    }
}

impl Session for CudaSession {
    fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    fn another(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Self::new(self.shared.clone())?))
    }

    fn input_bytes(&mut self, index: usize) -> &mut [u8] {
        &mut self.stream.inputs()[self.inputs.of(index)]
    }

    fn run(&mut self) -> Result<()> {
        self.stream.start()
    }

    fn wait(&mut self) -> Result<()> {
        self.stream.wait()
    }

    fn time_steps(&mut self) -> Result<Vec<f64>> {
        let launches = self.stream.time_launches()?;
        let mut seconds = vec![0.0; if launches.is_empty() { 0 } else { self.plan().steps.len() }];
        for (of, taken) in self.steps.iter().zip(launches) {
            let products: Vec<f64> =
                self.plan().steps[of.clone()].iter().map(|s| s.kernel.products()).collect();
            let all: f64 = products.iter().sum();
            for (step, products) in of.clone().zip(&products) {
                // What one launch takes for several steps is told apart by their products alone.
                seconds[step] += if of.len() == 1 { taken } else { taken * products / all };
            }
        }
        Ok(seconds)
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        &self.stream.outputs()[self.outputs.of(index)]
    }
}
