//! The reference device: every contract by the plainest loop, in f32 or f64.
//!
//! It is the oracle other devices are compared with, and slow. Operands are copied out of their
//! region before a kernel and the result is copied back, so that no kernel sees shared memory.

mod attention;
mod blur;
mod boxes;
mod conv;
mod conv_transpose;
mod element;
mod map;
mod matmul;
mod norm;
mod pool;
mod reduce;
mod resize;
mod roi_align;
mod samples;
mod select;
mod softmax;

use std::marker::PhantomData;
use std::sync::Arc;

pub use element::Element;

use crate::kernel::registry::{self, Impl};
use crate::kernel::Kernel;
use crate::plan::{Choice, Device, Kernels, Plan, Region, Rounding, Session, Slot, Step};
use crate::tensor::TensorStore;
use crate::{Error, Result};

/// The device; `Reference::<f64>::new()` computes in double precision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference<T> {
    element: PhantomData<T>,
}

impl<T> Reference<T> {
    /// The device.
    pub fn new() -> Self {
        Self { element: PhantomData }
    }
}

/// Implementations of this device, in f32 and f64 alike.
const IMPLS: &[Impl] = &[
    Impl::always("conv2d_fwd", "conv2d_fwd_any__reference"),
    Impl::always("map_fwd", "map_fwd_any__reference"),
    Impl::always("resize_fwd", "resize_fwd_any__reference"),
    Impl::always("blur_fwd", "blur_fwd_any__reference"),
    Impl::always("pool_fwd", "pool_fwd_any__reference"),
    Impl::always("reduce_fwd", "reduce_fwd_any__reference"),
    Impl::always("softmax_fwd", "softmax_fwd_any__reference"),
    Impl::always("matmul_fwd", "matmul_fwd_any__reference"),
    Impl::always("layer_norm_fwd", "layer_norm_fwd_any__reference"),
    Impl::always("window_attention_fwd", "window_attention_fwd_any__reference"),
    Impl::always("conv_transpose2d_fwd", "conv_transpose2d_fwd_any__reference"),
    Impl::always("anchors_fwd", "anchors_fwd_any__reference"),
    Impl::always("top_k_fwd", "top_k_fwd_any__reference"),
    Impl::always("gather_fwd", "gather_fwd_any__reference"),
    Impl::always("box_decode_fwd", "box_decode_fwd_any__reference"),
    Impl::always("nms_fwd", "nms_fwd_any__reference"),
    Impl::always("roi_align_fwd", "roi_align_fwd_any__reference"),
    Impl::always("normalise_fwd", "normalise_fwd_any__reference"),
    Impl::always("to_samples_fwd", "to_samples_fwd_any__reference"),
];

impl<T: Element> Kernels for Reference<T> {
    fn choose(&self, kernel: &Kernel, _rounding: Rounding) -> Result<Choice> {
        if let Kernel::Conv2d(p) = kernel {
            p.check()?;
        }
        Ok(Choice::of(registry::choose(IMPLS, kernel)?.entry))
    }
}

impl<T: Element> Device for Reference<T> {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn kernels(&self) -> &dyn Kernels {
        self
    }

    fn load(&self, plan: Arc<Plan>, weights: &dyn TensorStore) -> Result<Box<dyn Session>> {
        Ok(Box::new(ReferenceSession::<T>::new(plan, weights)?))
    }
}

/// A loaded plan with memory of its own.
#[derive(Debug, Clone)]
pub struct ReferenceSession<T> {
    plan: Arc<Plan>,
    memory: Memory<T>,
    /// Inputs and outputs as the caller sees them, in words that hold their bytes.
    io: [Vec<Vec<f32>>; 2],
}

#[derive(Debug, Clone)]
struct Memory<T> {
    arena: Vec<T>,
    constants: Vec<Vec<T>>,
    inputs: Vec<Vec<T>>,
    outputs: Vec<Vec<T>>,
}

impl<T: Element> ReferenceSession<T> {
    /// Loads a plan.
    ///
    /// # Errors
    /// `Weights` when a tensor is missing or of another shape.
    pub fn new(plan: Arc<Plan>, weights: &dyn TensorStore) -> Result<Self> {
        let zeros = |numel: usize| vec![T::from_f32(0.0); numel];
        let mut constants = Vec::with_capacity(plan.constants.len());
        for constant in &plan.constants {
            let values = match &constant.name {
                Some(_) => constant.read(weights)?.iter().copied().map(T::from_f32).collect(),
                None => zeros(constant.shape.numel()),
            };
            constants.push(values);
        }
        let io = [&plan.inputs, &plan.outputs];
        let [inputs, outputs] = io.map(|ports| ports.iter().map(|p| zeros(p.shape.numel())).collect());
        let io = io.map(|ports| ports.iter().map(|p| vec![0.0; p.bytes().div_ceil(4)]).collect());
        let memory = Memory { arena: zeros(plan.arena), constants, inputs, outputs };
        let mut session = Self { plan, memory, io };
        let plan = session.plan.clone();
        for step in &plan.load_steps {
            session.memory.step(step)?;
        }
        Ok(session)
    }

    /// An output at full precision.
    pub fn exact_output(&self, index: usize) -> &[T] {
        &self.memory.outputs[index]
    }
}

impl<T: Element> Memory<T> {
    fn region(&mut self, region: Region) -> &mut Vec<T> {
        match region {
            Region::Arena => &mut self.arena,
            Region::Const(k) => &mut self.constants[k],
            Region::Input(k) => &mut self.inputs[k],
            Region::Output(k) => &mut self.outputs[k],
        }
    }

    fn part(&mut self, slot: Slot, span: usize) -> Result<&mut [T]> {
        let region = self.region(slot.region);
        let len = region.len();
        region
            .get_mut(slot.offset..slot.offset + span)
            .ok_or_else(|| Error::device(format!("{slot} and {span} elements after it, of {len}")))
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let mut x: Vec<Vec<T>> = Vec::with_capacity(step.operands.len());
        for (k, slot) in step.operands.iter().enumerate() {
            x.push(self.part(*slot, step.kernel.x_span(k))?.to_vec());
        }
        if x.len() != step.kernel.operands() {
            return Err(Error::device(format!("{} operands for {}", x.len(), step.kernel.name())));
        }
        let y = self.part(step.y, step.kernel.y_span())?;
        match &step.kernel {
            Kernel::Conv2d(p) => conv::run(p, &x, y)?,
            Kernel::Map(p) => map::run(p, &x, y)?,
            Kernel::Resize(p) => resize::run(p, &x[0], y)?,
            Kernel::Blur(p) => blur::run(p, &x[0], y),
            Kernel::Pool(p) => pool::run(p, &x[0], y),
            Kernel::Reduce(p) => reduce::run(p, &x[0], y)?,
            Kernel::Softmax(p) => softmax::run(p, &x[0], y),
            Kernel::Matmul(p) => matmul::run(p, &x, y)?,
            Kernel::LayerNorm(p) => norm::run(p, &x, y),
            Kernel::WindowAttention(p) => attention::run(p, &x, y),
            Kernel::ConvTranspose2d(p) => conv_transpose::run(p, &x, y),
            Kernel::Anchors(p) => boxes::anchors(p, y),
            Kernel::TopK(p) => select::top_k(p, &x[0], y),
            Kernel::Gather(p) => select::gather(p, &x, y),
            Kernel::BoxDecode(p) => boxes::decode(p, &x, y),
            Kernel::Nms(p) => boxes::nms(p, &x[0], y),
            Kernel::RoiAlign(p) => roi_align::run(p, &x, y),
            Kernel::Normalise(p) => samples::normalise(p, &x[0], y),
            Kernel::ToSamples(p) => samples::to_samples(p, &x[0], y),
        }
        Ok(())
    }
}

impl<T: Element> Session for ReferenceSession<T> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn another(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.clone()))
    }

    fn input_bytes(&mut self, index: usize) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.io[0][index])[..self.plan.inputs[index].bytes()]
    }

    fn run(&mut self) -> Result<()> {
        self.memory.arena.fill(T::from_f32(f32::NAN));
        let plan = self.plan.clone();
        for ((to, from), port) in self.memory.inputs.iter_mut().zip(&self.io[0]).zip(&plan.inputs) {
            let numbers = port.dtype.load(bytemuck::cast_slice(from));
            to.iter_mut().zip(numbers).for_each(|(to, from)| *to = T::from_f32(from));
        }
        for step in &plan.steps {
            self.memory.step(step).map_err(|e| e.while_doing(&step.label))?;
        }
        for ((to, from), port) in self.io[1].iter_mut().zip(&self.memory.outputs).zip(&plan.outputs) {
            let numbers: Vec<f32> = from.iter().map(|v| v.to_f32()).collect();
            port.dtype.store(&numbers, bytemuck::cast_slice_mut(to));
        }
        Ok(())
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        &bytemuck::cast_slice(&self.io[1][index])[..self.plan.outputs[index].bytes()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_is_implemented() {
        assert_eq!(registry::faults(IMPLS), Vec::<String>::new());
    }
}
