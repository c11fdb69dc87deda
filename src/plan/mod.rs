//! A graph made ready to run: kernel calls in order, every operand's place, and the memory it takes.
//!
//! A plan is immutable and shared; devices run plans and see nothing above them. `storage` decides
//! which values share memory, `kept` what steps share of their work on the same channels, `offsets`
//! where all that lies in the arena, `compile` puts the calls together.

mod compile;
mod damping;
mod device;
mod dump;
mod kept;
mod offsets;
mod precisions;
mod storage;
mod transform;

pub use compile::compile;
pub use device::{Choice, Device, Kernels, Packed, Pool, Rounding, Session};
pub use kept::Kept;
pub use offsets::{place, Block, Piece};
pub use precisions::Precisions;
pub use transform::Transform;

use std::borrow::Cow;
use std::collections::HashSet;

use crate::kernel::Kernel;
use crate::tensor::{DType, Shape, TensorStore};
use crate::{Error, Result};

/// A part of the memory a plan runs in. Inputs and outputs are counted in elements of their type, all else is f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// Shared by all intermediates.
    Arena,
    /// The constant of that index: a parameter, or computed from parameters at load.
    Const(usize),
    /// The input of that index, filled before each run.
    Input(usize),
    /// The output of that index, read after each run.
    Output(usize),
}

/// A place in memory: an element of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The region.
    pub region: Region,
    /// Elements from its start.
    pub offset: usize,
}

/// One kernel call with its operands' places.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Contract and parameters.
    pub kernel: Kernel,
    /// Where operands begin, in the contract's order.
    pub operands: Vec<Slot>,
    /// Where the result begins.
    pub y: Slot,
    /// The implementation chosen.
    pub choice: Choice,
    /// What it shares of its transformed first operand with other steps.
    pub kept: Option<Kept>,
    /// The scope or name of the node it belongs to.
    pub label: String,
}

/// A constant in the form an implementation reads; steps with equal ones share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packing {
    /// The constant.
    pub constant: usize,
    /// The implementation.
    pub entry: &'static str,
    /// What else it depends on.
    pub variant: u32,
    /// Elements.
    pub len: usize,
}

impl Step {
    /// Operands that are constants: position and constant.
    pub fn constants(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.operands.iter().enumerate().filter_map(|(operand, slot)| match slot.region {
            Region::Const(constant) => Some((operand, constant)),
            _ => None,
        })
    }

    /// The packed one among them.
    pub fn packing(&self) -> Option<Packing> {
        let Packed { operand, len, variant } = self.choice.packed?;
        let (_, constant) = self.constants().find(|(k, _)| *k == operand)?;
        Some(Packing { constant, entry: self.choice.entry, variant, len })
    }

    /// Those read as they are.
    pub fn plain_constants(&self) -> impl Iterator<Item = usize> + '_ {
        let packed = self.choice.packed.map(|packed| packed.operand);
        self.constants().filter(move |(operand, _)| Some(*operand) != packed).map(|(_, constant)| constant)
    }
}

/// A tensor that is fixed once weights are loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Extents; gap-free.
    pub shape: Shape,
    /// Name in the checkpoint; `None` when a load step computes it.
    pub name: Option<String>,
    /// Name of the parameter it is or is made from: the first operand's, where a load step computes it.
    pub origin: Option<String>,
}

/// A tensor handed over at each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Extents; gap-free.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl Port {
    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.shape.numel() * self.dtype.size()
    }
}

/// Bytes a plan needs, by class; known before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Parameters as steps read them, padding of packed ones included; shared by all sessions of a loaded plan.
    pub params: usize,
    /// Intermediates.
    pub arena: usize,
    /// Scratch of the hungriest kernel.
    pub workspace: usize,
    /// Inputs and outputs.
    pub io: usize,
}

impl Memory {
    /// What each further session costs: everything but parameters.
    pub fn per_session(&self) -> usize {
        self.arena.saturating_add(self.workspace).saturating_add(self.io)
    }

    /// All classes together.
    pub fn total(&self) -> usize {
        self.params.saturating_add(self.per_session())
    }
}

/// What to run, in which order, and where everything lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Calls of each run.
    pub steps: Vec<Step>,
    /// Calls made once at load; they read and write constants only.
    pub load_steps: Vec<Step>,
    /// Fixed tensors.
    pub constants: Vec<Constant>,
    /// Tensors given at each run.
    pub inputs: Vec<Port>,
    /// Tensors computed by each run.
    pub outputs: Vec<Port>,
    /// Elements of the arena.
    pub arena: usize,
    /// Elements of scratch.
    pub workspace: usize,
}

impl Plan {
    /// Bytes needed, by class.
    pub fn memory(&self) -> Memory {
        let packed: HashSet<Packing> = self.steps.iter().filter_map(Step::packing).collect();
        self.memory_with(packed.into_iter().map(|p| p.len).sum())
    }

    /// Bytes needed where a packed parameter is made from the checkpoint's tensors for each step that reads it and
    /// dropped after it; those tensors, at most, included.
    pub fn lean_memory(&self) -> Memory {
        let packings = self.steps.iter().filter_map(Step::packing);
        let taken = packings.map(|packing| packing.len + self.made_of(packing.constant));
        self.memory_with(taken.max().unwrap_or(0))
    }

    /// Elements of a constant and of all that load steps make it of.
    fn made_of(&self, constant: usize) -> usize {
        let mut found = HashSet::from([constant]);
        let mut open = vec![constant];
        while let Some(next) = open.pop() {
            let made = self.load_steps.iter().filter(|step| step.y.region == Region::Const(next));
            let operands = made.flat_map(Step::constants).map(|(_, operand)| operand);
            open.extend(operands.filter(|operand| found.insert(*operand)));
        }
        found.into_iter().map(|k| self.region_len(Region::Const(k))).sum()
    }

    /// Bytes by class with so many elements of packed parameters.
    fn memory_with(&self, packed: usize) -> Memory {
        const ELEMENT: usize = std::mem::size_of::<f32>();
        let plain: HashSet<usize> = self.steps.iter().flat_map(Step::plain_constants).collect();
        let plain = plain.into_iter().map(|k| self.region_len(Region::Const(k)));
        let io = self.inputs.iter().chain(&self.outputs);
        Memory {
            params: (packed + plain.sum::<usize>()) * ELEMENT,
            arena: self.arena * ELEMENT,
            workspace: self.workspace * ELEMENT,
            io: io.map(Port::bytes).sum(),
        }
    }

    /// Name of the parameter that a step multiplies by: its second operand, or what that is made from.
    pub fn weights(&self, step: &Step) -> Option<&str> {
        let product = matches!(step.kernel, Kernel::Conv2d(_) | Kernel::Matmul(_));
        match step.operands.get(1).filter(|_| product)?.region {
            Region::Const(k) => self.constants.get(k)?.origin.as_deref(),
            _ => None,
        }
    }

    /// A number that changes with anything the plan does: steps, places and constants.
    pub fn signature(&self) -> u64 {
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let text = format!("{self}");
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    }

    /// Elements of a region.
    pub fn region_len(&self, region: Region) -> usize {
        match region {
            Region::Arena => self.arena,
            Region::Const(k) => self.constants.get(k).map_or(0, |c| c.shape.numel()),
            Region::Input(k) => self.inputs.get(k).map_or(0, |p| p.shape.numel()),
            Region::Output(k) => self.outputs.get(k).map_or(0, |p| p.shape.numel()),
        }
    }

    /// Element type of a region.
    pub fn region_dtype(&self, region: Region) -> DType {
        match region {
            Region::Input(k) => self.inputs.get(k).map_or(DType::F32, |p| p.dtype),
            Region::Output(k) => self.outputs.get(k).map_or(DType::F32, |p| p.dtype),
            Region::Arena | Region::Const(_) => DType::F32,
        }
    }

    /// Whether every operand and result lies within its region and is of its type (what is not f32 from the first
    /// element on), results in regions that may be written, and no step has more than `max_operands`. Devices rely on it.
    ///
    /// # Errors
    /// `Device` naming the first step that does not fit.
    pub fn check(&self, max_operands: usize) -> Result<()> {
        let typed = |slot: Slot, dtype: DType| {
            self.region_dtype(slot.region) == dtype && (dtype == DType::F32 || slot.offset == 0)
        };
        let fits = |slot: Slot, span: usize| {
            slot.offset.checked_add(span).is_some_and(|end| end <= self.region_len(slot.region))
        };
        let each = self.steps.iter().map(|s| (s, false)).chain(self.load_steps.iter().map(|s| (s, true)));
        for (step, at_load) in each {
            let n = step.operands.len();
            let reads = step.operands.iter().enumerate().all(|(k, slot)| {
                fits(*slot, step.kernel.x_span(k))
                    && typed(*slot, step.kernel.x_dtype())
                    && (!at_load || matches!(slot.region, Region::Const(_)))
            });
            let writes = match step.y.region {
                Region::Arena | Region::Output(_) => !at_load,
                Region::Const(_) => at_load,
                Region::Input(_) => false,
            };
            let whole = n == step.kernel.operands() && n <= max_operands;
            let keeps = step.kept.is_none_or(|kept| {
                let room = step.choice.transform.and_then(|t| t.len(kept.room));
                kept.slot.region == Region::Arena && room.is_some_and(|len| fits(kept.slot, len))
            });
            let typed = typed(step.y, step.kernel.y_dtype());
            if !whole || !reads || !writes || !keeps || !typed || !fits(step.y, step.kernel.y_span()) {
                let what = format!("the plan's step {} does not fit its memory", step.label);
                return Err(Error::device(what));
            }
        }
        Ok(())
    }

    /// Position of the input of that name.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|p| p.name == name)
    }

    /// Position of the output of that name.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|p| p.name == name)
    }
}

impl Constant {
    /// The tensor's elements in a checkpoint, where they lie or read from it.
    ///
    /// # Errors
    /// `Weights` when it is missing or of another shape, or when load steps compute it.
    pub fn read<'a>(&self, weights: &'a dyn TensorStore) -> Result<Cow<'a, [f32]>> {
        let Some(name) = &self.name else {
            return Err(Error::weights("a computed tensor is in no checkpoint"));
        };
        match weights.shape(name) {
            None => return Err(Error::weights(format!("no tensor named {name} ({} wanted)", self.shape))),
            Some(shape) if shape != self.shape => {
                return Err(Error::weights(format!(
                    "tensor {name} is {shape}, the network takes {}",
                    self.shape
                )))
            }
            Some(_) => {}
        }
        if let Some(data) = weights.view(name).filter(|data| data.len() == self.shape.numel()) {
            return Ok(Cow::Borrowed(data));
        }
        let mut out = vec![0.0; self.shape.numel()];
        weights.read(name, &mut out)?;
        Ok(Cow::Owned(out))
    }
}
