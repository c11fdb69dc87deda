//! Constants of a plan at load: read when first needed, computed by load steps, dropped once packed.

use std::collections::HashMap;

use super::args::{Args, MAX_OPERANDS};
use super::execute::{self, packed_operand, Prepared};
use super::pool::Pool;
use crate::kernel::Kernel;
use crate::plan::{Plan, Region, Slot, Step};
use crate::tensor::TensorStore;
use crate::{Error, Result};

/// A plan's constants while it is loaded.
pub(super) struct Constants<'p> {
    plan: &'p Plan,
    weights: &'p dyn TensorStore,
    pool: &'p Pool,
    values: Vec<Option<Vec<f32>>>,
    /// How many steps are still to read each.
    readers: Vec<usize>,
    /// Whether runs read it.
    keep: Vec<bool>,
    /// What was packed, by constant, contract and what else its packing depends on.
    packed: HashMap<(usize, &'static str, u32), Prepared>,
}

impl<'p> Constants<'p> {
    pub fn new(plan: &'p Plan, weights: &'p dyn TensorStore, pool: &'p Pool) -> Self {
        let n = plan.constants.len();
        let mut this = Self {
            plan,
            weights,
            pool,
            values: vec![None; n],
            readers: vec![0; n],
            keep: vec![false; n],
            packed: HashMap::new(),
        };
        for (step, at_load) in
            plan.load_steps.iter().map(|s| (s, true)).chain(plan.steps.iter().map(|s| (s, false)))
        {
            for (operand, constant) in constants_of(step) {
                if at_load || is_packed(step, operand) {
                    this.readers[constant] += 1;
                } else {
                    this.keep[constant] = true;
                }
            }
        }
        this
    }

    /// Packs a step's weights, unless a step before it did, and computes the constants it reads.
    pub fn prepare(&mut self, step: &Step) -> Result<Prepared> {
        for (operand, constant) in constants_of(step) {
            if !is_packed(step, operand) {
                self.compute(constant)?;
            }
        }
        let Some(operand) = packed_operand(&step.kernel) else {
            return Prepared::new(&step.kernel, || Ok(Vec::new()));
        };
        let Some(Slot { region: Region::Const(weights), .. }) = step.operands.get(operand).copied() else {
            return Err(Error::unsupported(format!(
                "{}: the weights of a {} change",
                step.label,
                step.kernel.name()
            )));
        };
        let key = (weights, step.kernel.name(), packing(&step.kernel));
        if !self.packed.contains_key(&key) {
            self.compute(weights)?;
            let values = &self.values[weights];
            let prepared = Prepared::new(&step.kernel, || Ok(values.clone().unwrap_or_default()))?;
            self.packed.insert(key, prepared);
        }
        self.release(weights);
        Ok(self.packed[&key].clone())
    }

    /// What runs read; other constants are empty.
    pub fn kept(self) -> Vec<Vec<f32>> {
        self.values
            .into_iter()
            .zip(self.keep)
            .map(|(v, keep)| v.filter(|_| keep).unwrap_or_default())
            .collect()
    }

    fn compute(&mut self, constant: usize) -> Result<()> {
        if self.values[constant].is_some() {
            return Ok(());
        }
        let spec = &self.plan.constants[constant];
        if spec.name.is_some() {
            self.values[constant] = Some(spec.read(self.weights)?);
            return Ok(());
        }
        let plan = self.plan;
        let mut y = vec![0.0; spec.shape.numel()];
        for step in plan.load_steps.iter().filter(|s| s.y.region == Region::Const(constant)) {
            for (_, operand) in constants_of(step) {
                self.compute(operand)?;
            }
            self.run(step, &mut y)?;
            for (_, operand) in constants_of(step) {
                self.release(operand);
            }
        }
        self.values[constant] = Some(y);
        Ok(())
    }

    fn run(&self, step: &Step, y: &mut [f32]) -> Result<()> {
        let value = |k: usize| self.values[k].as_deref().unwrap_or_default();
        let packed = packed_operand(&step.kernel);
        let prepared = Prepared::new(&step.kernel, || {
            constants_of(step)
                .find(|(operand, _)| Some(*operand) == packed)
                .map(|(_, k)| value(k).to_vec())
                .ok_or_else(|| Error::unsupported("a kernel at load without its weights"))
        })?;
        let mut args =
            Args { x: [std::ptr::null(); MAX_OPERANDS], y: y.as_mut_ptr().wrapping_add(step.y.offset) };
        for (operand, constant) in constants_of(step) {
            args.x[operand] = value(constant).as_ptr().wrapping_add(step.operands[operand].offset);
        }
        let mut scratch = vec![0.0; step.choice.workspace];
        // SAFETY: `Plan::check` held operands and result within their constants; `y` is none of them.
        unsafe { execute::run(&step.kernel, &prepared, &args, &mut scratch, self.pool) }
    }

    fn release(&mut self, constant: usize) {
        self.readers[constant] = self.readers[constant].saturating_sub(1);
        if self.readers[constant] == 0 && !self.keep[constant] {
            self.values[constant] = None;
        }
    }
}

/// Operands of a step that are constants: position and constant.
fn constants_of(step: &Step) -> impl Iterator<Item = (usize, usize)> + '_ {
    step.operands.iter().enumerate().filter_map(|(operand, slot)| match slot.region {
        Region::Const(constant) => Some((operand, constant)),
        _ => None,
    })
}

/// Whether an operand is only read while it is packed.
fn is_packed(step: &Step, operand: usize) -> bool {
    packed_operand(&step.kernel) == Some(operand)
}

/// What the packing of an operand depends on besides the operand.
fn packing(kernel: &Kernel) -> u32 {
    match kernel {
        Kernel::Conv2d(p) => p.groups,
        Kernel::ConvTranspose2d(p) => p.pad << 16 | p.stride,
        Kernel::WindowAttention(p) => p.window,
        _ => 0,
    }
}
