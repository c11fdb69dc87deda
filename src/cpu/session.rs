//! The CPU device: loads plans, packs weights, runs steps.

use std::sync::Arc;
use std::time::Instant;

use super::args::{Args, MAX_OPERANDS};
use super::conv::Kept;
use super::execute;
use super::handed_on::{hand_on, AsWords};
use super::load::{Constants, Held, Ready};
use super::pool::Pool;
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::memory::Arena;
use crate::plan::{Choice, Device, Kernels, Memory, Plan, Region, Rounding, Session, Slot, Step};
use crate::tensor::{DType, TensorStore};
use crate::Result;

/// The CPU with a fixed number of threads.
#[derive(Clone)]
pub struct Cpu {
    pool: Arc<Pool>,
    pointwise: bool,
    precision: Precision,
}

impl Cpu {
    /// The CPU with so many threads.
    ///
    /// # Errors
    /// `Device` when the system refuses to start them.
    pub fn new(threads: usize) -> Result<Self> {
        Ok(Self { pool: Arc::new(Pool::new(threads)?), pointwise: false, precision: Precision::F32 })
    }

    /// Without kernels that compute in blocks of pixels: results do not depend, to the last bit, on
    /// where an image was cut.
    pub fn pointwise(self) -> Self {
        Self { pointwise: true, ..self }
    }

    /// Where this machine multiplies such numbers faster, factors of products may be rounded so.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The threads kernels run on.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    fn session(&self, plan: Arc<Plan>, weights: Weights) -> Result<Box<dyn Session>> {
        let as_words = hand_on(&plan.steps);
        let shared = Shared { plan, weights, as_words, pool: self.pool.clone() };
        Ok(Box::new(CpuSession::new(Arc::new(shared))?))
    }
}

impl Kernels for Cpu {
    fn choose(&self, kernel: &Kernel, rounding: Rounding) -> Result<Choice> {
        execute::choose(kernel, self.pool.threads(), (self.precision, rounding), self.pointwise)
    }
}

impl Device for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn kernels(&self) -> &dyn Kernels {
        self
    }

    fn load(&self, plan: Arc<Plan>, weights: &dyn TensorStore) -> Result<Box<dyn Session>> {
        plan.check(MAX_OPERANDS)?;
        let weights = Weights::Held(Held::new(&plan, weights, &self.pool)?);
        self.session(plan, weights)
    }

    fn load_lean(&self, plan: Arc<Plan>, weights: Arc<dyn TensorStore>) -> Result<Box<dyn Session>> {
        plan.check(MAX_OPERANDS)?;
        self.session(plan, Weights::Store(weights))
    }

    fn lean_memory(&self, plan: &Plan) -> Memory {
        plan.lean_memory()
    }
}

/// What all sessions of a loaded plan read.
struct Shared {
    plan: Arc<Plan>,
    weights: Weights,
    /// Of each step.
    as_words: Vec<AsWords>,
    pool: Arc<Pool>,
}

/// Where steps find what they read of the weights.
enum Weights {
    /// Made at load.
    Held(Held),
    /// Made anew in each run.
    Store(Arc<dyn TensorStore>),
}

impl Shared {
    fn ready(&self) -> Ready<'_> {
        match &self.weights {
            Weights::Held(held) => Ready::Held(held),
            Weights::Store(store) => {
                Ready::Made(Constants::new(&self.plan, store.as_ref(), &self.pool, true))
            }
        }
    }
}

/// A loaded plan with memory of its own.
struct CpuSession {
    shared: Arc<Shared>,
    arena: Arena,
    workspace: Arena,
    inputs: Vec<Arena>,
    outputs: Vec<Arena>,
}

impl CpuSession {
    fn new(shared: Arc<Shared>) -> Result<Self> {
        let plan = &shared.plan;
        let arena = |len| Arena::touched_by(len, |parts, zero| shared.pool.run(parts, zero));
        let ports = |ports: &[crate::plan::Port]| -> Result<Vec<Arena>> {
            ports.iter().map(|p| arena(p.bytes().div_ceil(size_of::<f32>()))).collect()
        };
        Ok(Self {
            arena: arena(plan.arena)?,
            workspace: arena(plan.workspace)?,
            inputs: ports(&plan.inputs)?,
            outputs: ports(&plan.outputs)?,
            shared,
        })
    }

    fn address(&self, slot: Slot, ready: &Ready) -> *mut f32 {
        let start = match slot.region {
            Region::Arena => self.arena.as_ptr(),
            Region::Const(k) => ready.constant(k).cast_mut(),
            Region::Input(k) => self.inputs[k].as_ptr(),
            Region::Output(k) => self.outputs[k].as_ptr(),
        };
        start.wrapping_add(slot.offset)
    }

    /// Runs all steps, which hand on words where they may if `words`; `before` is called with each step and its first
    /// operand, `done` after each with the inputs.
    fn steps(
        &mut self,
        words: bool,
        mut before: impl FnMut(&Plan, &Step, *const f32),
        mut done: impl FnMut(&mut [Arena]),
    ) -> Result<()> {
        if cfg!(debug_assertions) {
            self.arena.as_mut_slice().fill(f32::NAN);
        }
        let shared = self.shared.clone();
        let mut ready = shared.ready();
        for (index, step) in shared.plan.steps.iter().enumerate() {
            let prepared = ready.prepare(index, step).map_err(|e| e.while_doing(&step.label))?;
            let kept = step.kept.map_or(Kept::NONE, |kept| Kept {
                at: self.address(kept.slot, &ready),
                room: kept.room,
                made: kept.made,
            });
            let mut args = Args {
                x: [std::ptr::null(); MAX_OPERANDS],
                y: self.address(step.y, &ready),
                kept,
                as_words: if words { shared.as_words[index] } else { AsWords::default() },
            };
            for (x, slot) in args.x.iter_mut().zip(&step.operands) {
                *x = self.address(*slot, &ready);
            }
            before(&shared.plan, step, args.x[0]);
            let scratch = self.workspace.as_mut_slice();
            // SAFETY: `Plan::check` holds every operand, and what is kept, within its region; plans
            // keep what a step writes apart from what it reads, save where a kernel allows both to
            // coincide; the session is borrowed exclusively.
            unsafe { execute::run(&step.kernel, &prepared, &args, scratch, &shared.pool) }
                .map_err(|e| e.while_doing(&step.label))?;
            done(&mut self.inputs);
        }
        Ok(())
    }
}

impl Session for CpuSession {
    fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    fn another(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Self::new(self.shared.clone())?))
    }

    fn input_bytes(&mut self, index: usize) -> &mut [u8] {
        let bytes = self.plan().inputs[index].bytes();
        &mut bytemuck::cast_slice_mut(self.inputs[index].as_mut_slice())[..bytes]
    }

    fn run(&mut self) -> Result<()> {
        self.steps(true, |_, _, _| (), |_| ())
    }

    fn run_last(&mut self) -> Result<()> {
        let plan = &self.shared.plan;
        // By step, last first: where the first element lies that a later step reads of each input.
        let mut read_from: Vec<usize> = plan.inputs.iter().map(|port| port.shape.numel()).collect();
        let mut after = Vec::with_capacity(plan.steps.len());
        for step in plan.steps.iter().rev() {
            after.push(read_from.clone());
            for slot in &step.operands {
                if let Region::Input(k) = slot.region {
                    read_from[k] = read_from[k].min(slot.offset);
                }
            }
        }
        let mut gone = vec![0; plan.inputs.len()];
        let types: Vec<DType> = plan.inputs.iter().map(|port| port.dtype).collect();
        let let_go = |inputs: &mut [Arena]| {
            for (k, first) in after.pop().unwrap_or_default().into_iter().enumerate() {
                if first > gone[k] {
                    inputs[k].let_go(first * types[k].size());
                    gone[k] = first;
                }
            }
        };
        self.steps(true, |_, _, _| (), let_go)
    }

    fn watch(&mut self, seen: &mut dyn FnMut(&Plan, &Step, &[f32])) -> Result<()> {
        let show = |plan: &Plan, step: &Step, x: *const f32| {
            let shown = !step.operands.is_empty() && step.kernel.x_dtype() == DType::F32;
            let span = if shown { step.kernel.x_span(0) } else { 0 };
            if span > 0 {
                // SAFETY: `Plan::check` holds the operand, which is f32, within its region; nobody writes it meanwhile.
                seen(plan, step, unsafe { std::slice::from_raw_parts(x, span) });
            }
        };
        // What is handed on is shown as numbers.
        self.steps(false, show, |_| ())
    }

    fn time_steps(&mut self) -> Result<Vec<f64>> {
        let mut took = Vec::with_capacity(self.shared.plan.steps.len());
        let mut before = Instant::now();
        let unseen = |_: &Plan, _: &Step, _| ();
        self.steps(true, unseen, |_| {
            let now = Instant::now();
            took.push((now - before).as_secs_f64());
            before = now;
        })?;
        Ok(took)
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        // SAFETY: outputs are written in `run` only, which borrows the session exclusively.
        let words = unsafe { self.outputs[index].as_slice() };
        &bytemuck::cast_slice(words)[..self.plan().outputs[index].bytes()]
    }
}
