//! What steps read of a plan's constants, held from load on or made when a step runs: each is read when needed,
//! computed by load steps, packed, and dropped: after its last reader, or where steps are prepared as they run, after
//! each, so that no more than one step's is there however often it is read.

use std::borrow::Cow;
use std::collections::HashMap;

use super::args::{Args, MAX_OPERANDS};
use super::conv::Kept;
use super::execute::{self, Prepared};
use super::handed_on::AsWords;
use super::pool::Pool;
use crate::plan::{Packing, Plan, Region, Step};
use crate::tensor::TensorStore;
use crate::{Error, Result};

/// All that steps read, made at load.
pub(super) struct Held {
    constants: Vec<Vec<f32>>,
    prepared: Vec<Prepared>,
}

impl Held {
    pub fn new(plan: &Plan, weights: &dyn TensorStore, pool: &Pool) -> Result<Self> {
        let mut constants = Constants::new(plan, weights, pool, false);
        let prepared = plan.steps.iter().map(|step| constants.prepare(step)).collect::<Result<_>>()?;
        Ok(Self { constants: constants.kept(), prepared })
    }
}

/// What the steps of one run read.
pub(super) enum Ready<'p> {
    Held(&'p Held),
    Made(Constants<'p>),
}

impl Ready<'_> {
    /// Tables and packed weights of the step of that index; steps are asked for once each, in order.
    pub fn prepare(&mut self, index: usize, step: &Step) -> Result<Prepared> {
        match self {
            Self::Held(held) => Ok(held.prepared[index].clone()),
            Self::Made(constants) => constants.prepare(step),
        }
    }

    /// First element of a constant that a step, prepared before, reads as it is.
    pub fn constant(&self, constant: usize) -> *const f32 {
        match self {
            Self::Held(held) => held.constants[constant].as_ptr(),
            Self::Made(constants) => constants.value(constant).as_ptr(),
        }
    }
}

/// A plan's constants while steps are prepared one by one.
pub(super) struct Constants<'p> {
    plan: &'p Plan,
    weights: &'p dyn TensorStore,
    pool: &'p Pool,
    values: Vec<Option<Cow<'p, [f32]>>>,
    /// How many load steps and packings are still to read each.
    readers: Vec<usize>,
    /// Whether runs read it.
    keep: Vec<bool>,
    /// Whether all but that is dropped after each step.
    lean: bool,
    /// What is packed already and read again.
    packed: HashMap<Packing, Prepared>,
    /// How many steps are still to read each.
    steps: HashMap<Packing, usize>,
}

impl<'p> Constants<'p> {
    pub fn new(plan: &'p Plan, weights: &'p dyn TensorStore, pool: &'p Pool, lean: bool) -> Self {
        let n = plan.constants.len();
        let mut this = Self {
            plan,
            weights,
            pool,
            values: vec![None; n],
            readers: vec![0; n],
            keep: vec![false; n],
            lean,
            packed: HashMap::new(),
            steps: HashMap::new(),
        };
        plan.load_steps.iter().flat_map(Step::constants).for_each(|(_, k)| this.readers[k] += 1);
        for packing in plan.steps.iter().filter_map(Step::packing) {
            *this.steps.entry(packing).or_default() += 1;
        }
        this.steps.keys().for_each(|packing| this.readers[packing.constant] += 1);
        plan.steps.iter().flat_map(Step::plain_constants).for_each(|k| this.keep[k] = true);
        this
    }

    /// Packs a step's weights, unless a step before it did, and computes the constants it reads.
    pub fn prepare(&mut self, step: &Step) -> Result<Prepared> {
        for constant in step.plain_constants() {
            self.compute(constant)?;
        }
        let Some(packing) = step.packing() else {
            return match step.choice.packed {
                None => Prepared::new(&step.kernel, &step.choice, &[], self.pool),
                Some(_) => Err(Error::unsupported(format!(
                    "{}: the weights of a {} change",
                    step.label,
                    step.kernel.name()
                ))),
            };
        };
        let prepared = match self.packed.remove(&packing) {
            Some(prepared) => prepared,
            None => {
                self.compute(packing.constant)?;
                let prepared =
                    Prepared::new(&step.kernel, &step.choice, self.value(packing.constant), self.pool)?;
                self.release(packing.constant);
                prepared
            }
        };
        let left = self.steps.entry(packing).or_default();
        *left = left.saturating_sub(1);
        if self.lean {
            (0..self.values.len()).for_each(|k| self.drop_unless_kept(k));
        } else if *left > 0 {
            self.packed.insert(packing, prepared.clone());
        }
        Ok(prepared)
    }

    /// What runs read; other constants are empty.
    fn kept(self) -> Vec<Vec<f32>> {
        let kept = self.values.into_iter().zip(self.keep).map(|(v, keep)| v.filter(|_| keep));
        kept.map(|v| v.map_or_else(Vec::new, Cow::into_owned)).collect()
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
            for (_, operand) in step.constants() {
                self.compute(operand)?;
            }
            self.run(step, &mut y)?;
            for (_, operand) in step.constants() {
                self.release(operand);
            }
        }
        self.values[constant] = Some(Cow::Owned(y));
        Ok(())
    }

    fn value(&self, constant: usize) -> &[f32] {
        self.values[constant].as_deref().unwrap_or_default()
    }

    fn run(&self, step: &Step, y: &mut [f32]) -> Result<()> {
        let weights = step.packing().map(|packing| self.value(packing.constant));
        let prepared = Prepared::new(&step.kernel, &step.choice, weights.unwrap_or_default(), self.pool)?;
        let mut args = Args {
            x: [std::ptr::null(); MAX_OPERANDS],
            y: y.as_mut_ptr().wrapping_add(step.y.offset),
            kept: Kept::NONE,
            as_words: AsWords::default(),
        };
        for (operand, constant) in step.constants() {
            args.x[operand] = self.value(constant).as_ptr().wrapping_add(step.operands[operand].offset);
        }
        let mut scratch = vec![0.0; step.choice.workspace];
        // SAFETY: `Plan::check` held operands and result within their constants; `y` is none of them.
        unsafe { execute::run(&step.kernel, &prepared, &args, &mut scratch, self.pool) }
    }

    fn release(&mut self, constant: usize) {
        self.readers[constant] = self.readers[constant].saturating_sub(1);
        if self.readers[constant] == 0 {
            self.drop_unless_kept(constant);
        }
    }

    fn drop_unless_kept(&mut self, constant: usize) {
        if !self.keep[constant] && self.values[constant].take().is_some() {
            if let Some(name) = &self.plan.constants[constant].name {
                self.weights.let_go(name);
            }
        }
    }
}
