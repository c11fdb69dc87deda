//! Constants of a plan at load: computed on the device where the plan says so, packed, and laid out
//! as one image of everything that runs read.

use std::collections::HashMap;
use std::sync::Arc;

use super::gpu::{Gpu, Memory};
use super::launch::{Launch, Operands, MAX_OPERANDS};
use super::table::find;
use crate::plan::{Plan, Region, Slot, Step};
use crate::tensor::TensorStore;
use crate::{Error, Result};

/// Bytes that places in device memory are aligned to.
const ALIGNMENT: usize = 256;

/// Constants and tables that runs read, and where they lie in the image.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// The bytes to be uploaded.
    pub bytes: Vec<u8>,
    /// Where each constant begins; those that runs do not read are absent.
    pub constants: Vec<Option<usize>>,
    /// Where each step's packed weights or tables begin.
    pub prepared: Vec<usize>,
}

impl Image {
    /// Reads the weights, runs the plan's load steps and packs.
    pub fn new(plan: &Plan, weights: &dyn TensorStore, gpu: &Arc<dyn Gpu>) -> Result<Self> {
        let values = constants(plan, weights, gpu)?;
        let mut image = Self { constants: vec![None; plan.constants.len()], ..Self::default() };
        for constant in plan.steps.iter().flat_map(Step::plain_constants) {
            if image.constants[constant].is_none() {
                image.constants[constant] = Some(image.push(bytemuck::cast_slice(&values[constant])));
            }
        }
        // Steps that read the same weights in the same form share them.
        let mut places = HashMap::new();
        for step in &plan.steps {
            let packing = step.packing();
            let place = match packing.and_then(|packing| places.get(&packing)) {
                Some(place) => *place,
                None => image.push(&prepare(step, &values)?),
            };
            places.extend(packing.map(|packing| (packing, place)));
            image.prepared.push(place);
        }
        Ok(image)
    }

    fn push(&mut self, bytes: &[u8]) -> usize {
        let place = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(place, 0);
        self.bytes.extend_from_slice(bytes);
        place
    }
}

/// Launches of one step whose operands' addresses are known.
pub(super) fn launches(
    step: &Step,
    address: impl Fn(Slot) -> u64,
    prepared: u64,
    workspace: u64,
) -> Result<Vec<Launch>> {
    let mut operands = Operands { y: address(step.y), prepared, workspace, ..Operands::default() };
    if step.operands.len() > MAX_OPERANDS {
        return Err(Error::device(format!("{} operands for {}", step.operands.len(), step.choice.entry)));
    }
    for (x, slot) in operands.x.iter_mut().zip(&step.operands) {
        *x = address(*slot);
    }
    (find(step.choice.entry)?.launch)(&step.kernel, &operands).map_err(|e| e.while_doing(&step.label))
}

/// Packed weights or tables of one step.
fn prepare(step: &Step, values: &[Vec<f32>]) -> Result<Vec<u8>> {
    let weights = match (step.packing(), step.choice.packed) {
        (Some(packing), _) => &values[packing.constant][..],
        (None, None) => &[],
        (None, Some(_)) => {
            let what = format!("{}: the weights of {} change", step.label, step.kernel.name());
            return Err(Error::unsupported(what));
        }
    };
    (find(step.choice.entry)?.prepare)(&step.kernel, weights).map_err(|e| e.while_doing(&step.label))
}

/// Values of all constants; load steps run on the device.
fn constants(plan: &Plan, weights: &dyn TensorStore, gpu: &Arc<dyn Gpu>) -> Result<Vec<Vec<f32>>> {
    let read = |c: &crate::plan::Constant| match c.name {
        Some(_) => Ok(c.read(weights)?.into_owned()),
        None => Ok(vec![0.0; c.shape.numel()]),
    };
    let mut values = plan.constants.iter().map(read).collect::<Result<Vec<_>>>()?;
    for step in &plan.load_steps {
        let Region::Const(result) = step.y.region else {
            return Err(Error::device(format!("{}: a load step that writes no constant", step.label)));
        };
        let y = run_once(step, &values, result, gpu)?;
        values[result] = y;
    }
    Ok(values)
}

/// Runs one load step in memory of its own; gives the constant it writes to.
fn run_once(step: &Step, values: &[Vec<f32>], result: usize, gpu: &Arc<dyn Gpu>) -> Result<Vec<f32>> {
    let mut memory = Vec::new();
    let mut upload = |bytes: &[u8]| -> Result<u64> {
        let part = Memory::new(gpu, bytes.len())?;
        gpu.write(part.address(), bytes)?;
        memory.push(part);
        Ok(memory[memory.len() - 1].address())
    };
    let mut places = vec![0; values.len()];
    for constant in step.constants().map(|(_, constant)| constant).chain([result]) {
        if places[constant] == 0 {
            places[constant] = upload(bytemuck::cast_slice(&values[constant]))?;
        }
    }
    let prepared = upload(&prepare(step, values)?)?;
    let workspace = upload(&vec![0; step.choice.workspace * 4])?;
    let address = |slot: Slot| match slot.region {
        Region::Const(constant) => places[constant] + slot.offset as u64 * 4,
        _ => 0,
    };
    for launch in launches(step, address, prepared, workspace)? {
        gpu.launch(&launch, &step.label)?;
    }
    let mut y = vec![0.0; values[result].len()];
    gpu.read(places[result], bytemuck::cast_slice_mut(&mut y))?;
    Ok(y)
}
