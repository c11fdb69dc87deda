//! From a graph to a plan: kernel calls in node order, with every operand's place.

use std::collections::HashMap;
use std::sync::Arc;

use super::damping::dampings;
use super::device::{Choice, Kernels, Rounding};
use super::kept::{self, Kept, Reader};
use super::offsets::{place, Block, Piece};
use super::storage::{assign, suits, Home, Homes, Lives, Storage};
use super::{Constant, Plan, Port, Region, Slot, Step};
use crate::graph::{Graph, Node, Role, ValueId};
use crate::kernel::levels::Levels;
use crate::kernel::map::{MapOp, MapParams};
use crate::kernel::Kernel;
use crate::ops::Call;
use crate::passes;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// Rows of the output that a band has at least.
const MIN_BAND_ROWS: usize = 64;

/// Makes the plan of a graph with a device's kernels. What no output depends on is left out. The
/// network's end runs in bands of rows while each doubling of their number still saves a twentieth of
/// the arena.
///
/// # Errors
/// `Shape`, `Unsupported` or `Limit` when a kernel refuses its parameters.
pub fn compile(graph: &Graph, kernels: &dyn Kernels) -> Result<Plan> {
    let mut plan = compile_whole(graph, kernels)?;
    let rows = graph.outputs.first().and_then(|(_, id)| graph.value(*id).spec.shape.get(2).copied());
    let mut bands = 2;
    while rows.unwrap_or(0) / bands >= MIN_BAND_ROWS {
        let Some(banded) = passes::band(graph, bands)? else { break };
        let smaller = compile_whole(&banded, kernels)?;
        if smaller.arena > plan.arena - plan.arena / 20 {
            break;
        }
        plan = smaller;
        bands *= 2;
    }
    Ok(plan)
}

fn compile_whole(graph: &Graph, kernels: &dyn Kernels) -> Result<Plan> {
    let graph = &live_part(graph);
    let lives = Lives::new(graph);
    let homes = assign(graph, &lives);
    let (producers, constants, constant_of) = (graph.producers(), Vec::new(), HashMap::new());
    let dampings = dampings(graph);
    let mut c = Compiler { graph, lives, homes, kernels, producers, dampings, constants, constant_of };
    let load = c.load_calls()?;
    let run = c.run_calls()?;
    c.finish(load, run)
}

/// The graph without nodes that no output depends on.
fn live_part(graph: &Graph) -> Graph {
    let mut live = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|(_, id)| live[id.index()] = true);
    for node in graph.nodes.iter().rev() {
        if live[node.out.index()] {
            node.ins.iter().for_each(|id| live[id.index()] = true);
        }
    }
    let mut out = graph.clone();
    out.nodes.retain(|n| live[n.out.index()]);
    out
}

/// A place before storages have offsets.
#[derive(Clone, Copy)]
struct Spot {
    storage: Option<usize>,
    constant: usize,
    offset: usize,
}

/// A kernel call with places before storages have offsets.
struct Draft {
    kernel: Kernel,
    operands: Vec<Spot>,
    y: Spot,
    label: String,
    /// The node, and the value that its first operand is.
    reads: Option<(usize, ValueId)>,
    /// What an error of the result is multiplied by at most on its way to an output.
    damping: f32,
}

/// What a call shares, before storages have offsets.
#[derive(Clone, Copy)]
struct KeptSpot {
    storage: usize,
    room: usize,
    made: usize,
}

struct Compiler<'g> {
    graph: &'g Graph,
    lives: Lives,
    homes: Homes,
    kernels: &'g dyn Kernels,
    /// The node that computes each value.
    producers: Vec<Option<usize>>,
    /// By node, of a draft's `damping`.
    dampings: Vec<f32>,
    constants: Vec<Constant>,
    constant_of: HashMap<ValueId, usize>,
}

impl Compiler<'_> {
    /// Calls that compute constants from parameters.
    fn load_calls(&mut self) -> Result<Vec<Draft>> {
        let (graph, mut drafts) = (self.graph, Vec::new());
        for node in &graph.nodes {
            if !self.lives.is_constant(node.out) {
                continue;
            }
            let shape = self.graph.value(node.out).spec.shape;
            let layouts: Vec<Layout> = node.ins.iter().map(|&id| self.dense(id)).collect();
            let y = self.constant(node.out);
            let ins: Vec<Spot> = node.ins.iter().map(|&id| self.constant(id)).collect();
            for call in node.op.lower(&layouts, &Layout::dense(shape))? {
                drafts.push(draft(call, &ins, y, label(self.graph, node)));
            }
        }
        Ok(drafts)
    }

    /// Calls of each run.
    fn run_calls(&mut self) -> Result<Vec<Draft>> {
        let mut drafts = Vec::new();
        for (step, node) in self.graph.nodes.iter().enumerate() {
            if !self.lives.is_constant(node.out) && !self.homes.views[step] {
                self.node(step, node, &mut drafts)?;
            }
        }
        for (k, (name, id)) in self.graph.outputs.iter().enumerate() {
            let (spot, layout) = self.place_of(*id)?;
            let region = spot.storage.map(|s| &self.homes.storages[s]);
            if !matches!(region, Some(Storage::Own(Region::Output(at))) if *at == k) {
                let y = self.own(Region::Output(k));
                drafts.push(copy(&layout, spot, &Layout::dense(layout.shape), y, format!("output {name}"))?);
            }
        }
        Ok(drafts)
    }

    fn node(&mut self, step: usize, node: &Node, drafts: &mut Vec<Draft>) -> Result<()> {
        let label = label(self.graph, node);
        let mut spots = Vec::with_capacity(node.ins.len());
        let mut layouts = Vec::with_capacity(node.ins.len());
        for &id in &node.ins {
            let (mut spot, mut layout) = self.place_of(id)?;
            if !suits(&layout, node.op.lie()) {
                let dense = Layout::dense(layout.shape);
                let temporary = self.temporary(layout.shape.numel(), step);
                drafts.push(copy(&layout, spot, &dense, temporary, label.clone())?);
                (spot, layout) = (temporary, dense);
            }
            spots.push(spot);
            layouts.push(layout);
        }
        let (y, y_layout) = self.place_of(node.out)?;
        for call in node.op.lower(&layouts, &y_layout)? {
            let whole = call.operands.first().is_some_and(|o| o.input == 0 && o.offset == 0);
            let reads = whole.then(|| (step, node.ins[0]));
            let damping = self.dampings[step];
            let draft = Draft { reads, damping, ..draft(call, &spots, y, label.clone()) };
            if !onto_itself(&draft) {
                drafts.push(draft);
            }
        }
        Ok(())
    }

    /// Where a value lies, and how; the layout's offset is within the spot's storage.
    fn place_of(&mut self, id: ValueId) -> Result<(Spot, Layout)> {
        if self.lives.is_constant(id) {
            return Ok((self.constant(id), self.dense(id)));
        }
        let Some(Home { storage, layout }) = self.homes.homes[id.index()] else {
            return Err(Error::shape(format!("value {} is read before it is computed", id.index())));
        };
        Ok((Spot { storage: Some(storage), constant: 0, offset: layout.offset }, layout))
    }

    fn dense(&self, id: ValueId) -> Layout {
        Layout::dense(self.graph.value(id).spec.shape)
    }

    fn constant(&mut self, id: ValueId) -> Spot {
        let value = self.graph.value(id);
        let next = self.constants.len();
        let constant = *self.constant_of.entry(id).or_insert(next);
        if constant == next {
            let name = if value.role == Role::Temp { None } else { value.name.clone() };
            let (shape, origin) = (value.spec.shape, self.origin(id));
            self.constants.push(Constant { shape, name, origin });
        }
        Spot { storage: None, constant, offset: 0 }
    }

    /// Name of the parameter that a constant is, or is made from by its first operand.
    fn origin(&self, id: ValueId) -> Option<String> {
        let value = self.graph.value(id);
        match value.role {
            Role::Temp => self.origin(*self.graph.nodes[self.producers[id.index()]?].ins.first()?),
            _ => value.name.clone(),
        }
    }

    fn own(&mut self, region: Region) -> Spot {
        self.homes.storages.push(Storage::Own(region));
        Spot { storage: Some(self.homes.storages.len() - 1), constant: 0, offset: 0 }
    }

    fn temporary(&mut self, len: usize, step: usize) -> Spot {
        let piece = Piece { start: 0, end: len, from: step, to: step };
        self.homes.storages.push(Storage::Arena(Block { pieces: vec![piece] }));
        Spot { storage: Some(self.homes.storages.len() - 1), constant: 0, offset: 0 }
    }

    /// The implementations of calls; what is computed at load is not rounded.
    fn choices(&self, drafts: &[Draft], at_load: bool) -> Result<Vec<Choice>> {
        let choice = |d: &Draft| {
            let asked = || Rounding::AsAsked { levels: self.levels(d), damping: d.damping };
            let rounding = if at_load { Rounding::None } else { asked() };
            self.kernels.choose(&d.kernel, rounding).map_err(|e| e.while_doing(&d.label))
        };
        drafts.iter().map(choice).collect()
    }

    /// Levels of what a call multiplies its weights with.
    fn levels(&self, draft: &Draft) -> Option<&'_ Arc<Levels>> {
        let weights = draft.operands.get(1).filter(|w| w.storage.is_none())?;
        self.graph.calibration.get(self.constants.get(weights.constant)?.origin.as_ref()?)
    }

    /// Gives steps that share transformed channels memory for them.
    fn keep(&mut self, drafts: &[Draft], choices: &[Choice]) -> Vec<Option<KeptSpot>> {
        let producers = &self.producers;
        let reader = |(step, (draft, choice)): (usize, (&Draft, &Choice))| {
            let ((node, id), transform) = (draft.reads?, choice.transform?);
            Some(Reader { step, node, transform, parts: kept::parts(self.graph, producers, id) })
        };
        let readers: Vec<Reader> = drafts.iter().zip(choices).enumerate().filter_map(reader).collect();
        let mut spots = vec![None; drafts.len()];
        for sharing in kept::share(&readers) {
            let [from, to] = sharing.nodes;
            let piece = Piece { start: 0, end: sharing.len, from, to };
            self.homes.storages.push(Storage::Arena(Block { pieces: vec![piece] }));
            let storage = self.homes.storages.len() - 1;
            for (step, made) in sharing.steps {
                spots[step] = Some(KeptSpot { storage, room: sharing.room, made });
            }
        }
        spots
    }

    fn finish(mut self, load: Vec<Draft>, run: Vec<Draft>) -> Result<Plan> {
        let (load_choices, run_choices) = (self.choices(&load, true)?, self.choices(&run, false)?);
        let kept = self.keep(&run, &run_choices);
        let blocks: Vec<Block> = self
            .homes
            .storages
            .iter()
            .map(|s| match s {
                Storage::Arena(block) => block.clone(),
                Storage::Own(_) => Block::default(),
            })
            .collect();
        let (starts, arena) = place(&blocks);
        let slot = |spot: &Spot| match spot.storage.map(|s| (s, &self.homes.storages[s])) {
            None => Slot { region: Region::Const(spot.constant), offset: spot.offset },
            Some((_, Storage::Own(region))) => Slot { region: *region, offset: spot.offset },
            Some((s, Storage::Arena(_))) => Slot { region: Region::Arena, offset: starts[s] + spot.offset },
        };
        let step = |((d, choice), kept): ((Draft, Choice), Option<KeptSpot>)| {
            let kept = kept.map(|k| Kept {
                slot: Slot { region: Region::Arena, offset: starts[k.storage] },
                room: k.room,
                made: k.made,
            });
            let operands = d.operands.iter().map(slot).collect();
            Step { kernel: d.kernel, operands, y: slot(&d.y), choice, kept, label: d.label }
        };
        let steps: Vec<Step> = run.into_iter().zip(run_choices).zip(kept).map(step).collect();
        let nothing = std::iter::repeat(None);
        let load_steps = load.into_iter().zip(load_choices).zip(nothing).map(step).collect();
        let port = |name: &str, id: ValueId| {
            let TensorSpec { shape, dtype } = self.graph.value(id).spec;
            Port { name: name.to_string(), shape, dtype }
        };
        let inputs = self.graph.inputs.iter();
        Ok(Plan {
            workspace: steps.iter().map(|s| s.choice.workspace).max().unwrap_or(0),
            steps,
            load_steps,
            constants: self.constants,
            inputs: inputs.map(|&id| port(self.graph.value(id).name.as_deref().unwrap_or(""), id)).collect(),
            outputs: self.graph.outputs.iter().map(|(name, id)| port(name, *id)).collect(),
            arena,
        })
    }
}

fn label(graph: &Graph, node: &Node) -> String {
    match &graph.value(node.out).name {
        Some(name) => name.clone(),
        None => node.scope.clone(),
    }
}

fn draft(call: Call, ins: &[Spot], y: Spot, label: String) -> Draft {
    let moved = |spot: Spot, by: usize| Spot { offset: spot.offset + by, ..spot };
    let operands = call.operands.iter().map(|o| moved(ins[o.input], o.offset)).collect();
    Draft { kernel: call.kernel, operands, y: moved(y, call.y_offset), label, reads: None, damping: 1.0 }
}

fn copy(x: &Layout, from: Spot, y: &Layout, to: Spot, label: String) -> Result<Draft> {
    let kernel = Kernel::Map(MapParams::new(MapOp::Copy, [0.0; 2], y, &[x.strides()])?);
    Ok(Draft { kernel, operands: vec![from], y: to, label, reads: None, damping: 1.0 })
}

/// Whether a call copies elements to where they already lie.
fn onto_itself(draft: &Draft) -> bool {
    let Kernel::Map(p) = draft.kernel else { return false };
    let [x] = draft.operands[..] else { return false };
    p.op == MapOp::Copy as u32
        && p.x_strides[0] == p.y_strides
        && x.storage.is_some()
        && x.storage == draft.y.storage
        && x.offset == draft.y.offset
}
