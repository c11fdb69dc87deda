//! What runs plans: the door between plans and devices.

use std::sync::Arc;

use super::{Memory, Plan, Step, Transform};
use crate::kernel::levels::Levels;
use crate::kernel::Kernel;
use crate::tensor::TensorStore;
use crate::{Error, Result};

/// The implementation a device takes for a kernel call.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its name: `<op>_<pass>_<dtype>__<variant>`.
    pub entry: &'static str,
    /// Elements of scratch it needs.
    pub workspace: usize,
    /// The operand it reads in a form of its own.
    pub packed: Option<Packed>,
    /// What it makes of its first operand's channels and can share.
    pub transform: Option<Transform>,
    /// Levels of its first operand, where it multiplies bytes.
    pub levels: Option<Arc<Levels>>,
}

/// How the factors of a call's products may be rounded.
#[derive(Debug, Clone, Copy)]
pub enum Rounding<'a> {
    /// Not at all: the result is a constant.
    None,
    /// As the device was asked for.
    AsAsked {
        /// Levels of the first operand, for bytes.
        levels: Option<&'a Arc<Levels>>,
        /// What an error of the products' sums is multiplied by at most on its way to an output.
        damping: f32,
    },
}

impl Choice {
    /// An implementation that reads operands as they are and needs no scratch.
    pub fn of(entry: &'static str) -> Self {
        Self { entry, workspace: 0, packed: None, transform: None, levels: None }
    }
}

/// An operand, a constant, that an implementation packs at load and does not read as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Its position.
    pub operand: usize,
    /// Elements when packed, padding included.
    pub len: usize,
    /// What else the packed form depends on beside the constant and the implementation.
    pub variant: u32,
}

/// A device's kernels, asked while a plan is made.
pub trait Kernels {
    /// The implementation that fits these parameters best.
    ///
    /// # Errors
    /// `Shape` or `Unsupported` when the parameters describe nothing the contract allows.
    fn choose(&self, kernel: &Kernel, rounding: Rounding) -> Result<Choice>;
}

/// Memory that a device runs plans in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Bytes that nobody has taken.
    pub free: u64,
    /// Whether it is the process's memory too.
    pub unified: bool,
}

/// Something that runs plans made with its kernels.
pub trait Device: Send + Sync {
    /// Name as users say it.
    fn name(&self) -> &'static str;

    /// The kernels plans for this device are made with.
    fn kernels(&self) -> &dyn Kernels;

    /// Its memory, where it is not plainly the process's.
    ///
    /// # Errors
    /// `Device` when the device fails.
    fn pool(&self) -> Result<Option<Pool>> {
        Ok(None)
    }

    /// The same device without rounding, where it rounds factors and results might not survive that.
    fn unrounded(&self) -> Option<Box<dyn Device>> {
        None
    }

    /// Reads and packs the weights and allocates everything one stream of runs needs.
    ///
    /// # Errors
    /// `Weights` when a tensor is missing or of another shape; `Limit` when memory cannot be had.
    fn load(&self, plan: Arc<Plan>, weights: &dyn TensorStore) -> Result<Box<dyn Session>>;

    /// The same for a network that runs once: where the device can, each step's weights are read and packed when the
    /// step runs, and dropped after it. Runs then allocate, and find what [`Device::load`] would have.
    ///
    /// # Errors
    /// As [`Device::load`].
    fn load_lean(&self, plan: Arc<Plan>, weights: Arc<dyn TensorStore>) -> Result<Box<dyn Session>> {
        self.load(plan, weights.as_ref())
    }

    /// Bytes that a lean session takes.
    fn lean_memory(&self, plan: &Plan) -> Memory {
        plan.memory()
    }
}

/// One stream of runs. Allocates nothing after it was made, unless it is lean ([`Device::load_lean`]).
pub trait Session: Send {
    /// The plan it runs.
    fn plan(&self) -> &Plan;

    /// A further session that shares the loaded weights.
    ///
    /// # Errors
    /// `Limit` when memory cannot be had.
    fn another(&self) -> Result<Box<dyn Session>>;

    /// Memory of the input of that position, row-major, to be filled before a run; see [`super::Port::dtype`].
    fn input_bytes(&mut self, index: usize) -> &mut [u8];

    /// The same of an f32 input.
    fn input(&mut self, index: usize) -> &mut [f32] {
        bytemuck::try_cast_slice_mut(self.input_bytes(index)).unwrap_or_default()
    }

    /// Starts a run; the inputs must not be touched before [`Session::wait`].
    ///
    /// # Errors
    /// `Device` when the device fails.
    fn run(&mut self) -> Result<()>;

    /// Starts a run after which the session is only asked for outputs: where the device can, inputs give their memory
    /// back once no step reads them any more, and are void.
    ///
    /// # Errors
    /// As [`Session::run`].
    fn run_last(&mut self) -> Result<()> {
        self.run()
    }

    /// Waits for the run to end. Devices that compute in `run` have nothing to wait for.
    ///
    /// # Errors
    /// `Device` when the device failed meanwhile.
    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    /// Runs as [`Session::run`], and shows each step whose first operand is f32 with that before it is computed.
    ///
    /// # Errors
    /// `Unsupported` where the device cannot; `Device` when it fails.
    fn watch(&mut self, _seen: &mut dyn FnMut(&Plan, &Step, &[f32])) -> Result<()> {
        Err(Error::unsupported("this device does not show what its kernels read; --device cpu does"))
    }

    /// Seconds that each of the plan's steps takes; empty where the device does not time them. What inputs,
    /// outputs and intermediates hold is void afterwards.
    ///
    /// # Errors
    /// `Device` when the device fails.
    fn time_steps(&mut self) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    /// The output of that position after a run, row-major; see [`super::Port::dtype`].
    fn output_bytes(&self, index: usize) -> &[u8];

    /// The same of an f32 output.
    fn output(&self, index: usize) -> &[f32] {
        bytemuck::try_cast_slice(self.output_bytes(index)).unwrap_or_default()
    }

    /// Fills an input of any type with numbers that its type holds.
    fn fill(&mut self, index: usize, values: &[f32]) {
        let dtype = self.plan().inputs[index].dtype;
        dtype.store(values, self.input_bytes(index));
    }

    /// The numbers of an output of any type after a run.
    fn numbers(&self, index: usize) -> Vec<f32> {
        self.plan().outputs[index].dtype.load(self.output_bytes(index)).collect()
    }
}
