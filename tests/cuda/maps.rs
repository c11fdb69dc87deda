//! Every map over every number of axes, more than networks need: calls of their own, against the reference.

use std::collections::BTreeSet;
use std::sync::Arc;

use swath::cuda::Cuda;
use swath::engine::tolerance::difference;
use swath::kernel::map::MapParams;
use swath::kernel::Kernel;
use swath::plan::{Device, Plan, Port, Region, Rounding, Slot, Step};
use swath::reference::Reference;
use swath::tensor::{DType, MemoryStore, Shape, MAX_RANK};

use crate::machine::{Machine, OnMachine};

/// Calls whose operands lie in different orders, some spread along the first axis.
pub fn all() -> Vec<MapParams> {
    let mut all = Vec::new();
    for rank in 1..=MAX_RANK {
        let mut dims = [1; MAX_RANK];
        dims[..rank].copy_from_slice(&[5, 2, 3, 2, 3, 7][..rank]);
        let strides = |forward: bool, spread: bool| {
            let (mut strides, mut step) = ([0; MAX_RANK], 1);
            for k in 0..rank {
                let axis = if forward { rank - 1 - k } else { k };
                strides[axis] = step;
                step *= dims[axis];
            }
            strides[0] *= u64::from(!spread);
            strides
        };
        let orders = [(true, false), (false, false), (true, true), (false, true), (true, false)];
        let x_strides = orders.map(|(forward, spread)| strides(forward, spread));
        let y_strides = strides(rank % 2 == 0, false);
        // Variances stay positive when 3 is added.
        let params = |op| MapParams { op, rank: rank as u32, a: 3.0, b: -0.5, dims, y_strides, x_strides };
        all.extend((0..).map(params).take_while(|p| p.map_op().is_ok()));
    }
    all
}

/// Compares a call on a machine with the reference; the implementation chosen, or how results differ.
pub fn agree(machine: &Arc<Machine>, map: &MapParams) -> Result<BTreeSet<&'static str>, String> {
    let cuda = Cuda::on(Arc::new(OnMachine(machine.clone())));
    let (ours, entry) = run(&cuda, map).map_err(|e| e.to_string())?;
    let (exact, _) = run(&Reference::<f64>::new(), map).map_err(|e| e.to_string())?;
    match difference(&ours, &exact) {
        d if d <= 8.0 * f32::EPSILON => Ok([entry].into()),
        d => Err(format!("{:?} of {} axes: {d} of range", map.map_op(), map.rank)),
    }
}

/// The result of a plan of one call, from inputs to an output.
fn run(device: &dyn Device, map: &MapParams) -> swath::Result<(Vec<f32>, &'static str)> {
    let kernel = Kernel::Map(*map);
    let port = |name: String, len| Ok(Port { name, shape: Shape::new(&[len])?, dtype: DType::F32 });
    let slot = |region| Slot { region, offset: 0 };
    let (choice, operands) = (
        device.kernels().choose(&kernel, Rounding::AsAsked { levels: None, damping: 1.0 })?,
        0..kernel.operands(),
    );
    let entry = choice.entry;
    let inputs = operands.clone().map(|k| port(format!("x{k}"), kernel.x_span(k)));
    let plan = Plan {
        inputs: inputs.collect::<swath::Result<_>>()?,
        outputs: vec![port("y".into(), kernel.y_span())?],
        steps: vec![Step {
            kernel,
            operands: operands.clone().map(|k| slot(Region::Input(k))).collect(),
            y: slot(Region::Output(0)),
            label: entry.into(),
            choice,
            kept: None,
        }],
        load_steps: Vec::new(),
        constants: Vec::new(),
        arena: 0,
        workspace: 0,
    };
    let mut session = device.load(Arc::new(plan), &MemoryStore::new())?;
    for k in operands {
        let x = session.input(k).iter_mut().enumerate();
        x.for_each(|(at, x)| *x = ((at * 37 + k * 11) % 64) as f32 / 16.0 - 2.0);
    }
    session.run()?;
    session.wait()?;
    Ok((session.output(0).to_vec(), entry))
}
