//! Which values share memory: views, slabs of concatenations, results written over dead operands.

use super::offsets::{Block, Piece};
use super::Region;
use crate::graph::{Graph, Node, Role, ValueId};
use crate::ops::{Lie, Op};
use crate::tensor::{Layout, Shape};

/// Most images whose parts of a slab are told apart; larger batches free a slab as a whole.
const MAX_RUNS: usize = 8;

/// Memory that one or more values lie in.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// Placed in the arena.
    Arena(Block),
    /// A region of its own.
    Own(Region),
}

/// Where a value lies: offset and strides within a storage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home {
    pub storage: usize,
    pub layout: Layout,
}

/// Memory of a graph's values.
pub(super) struct Homes {
    pub storages: Vec<Storage>,
    /// By value index; constants have a home of their own, unused values none.
    pub homes: Vec<Option<Home>>,
    /// Whether a node's result is a view of its operand, by node index.
    pub views: Vec<bool>,
}

/// When each value is computed and last read, counting aliases; by value index.
pub(super) struct Lives {
    constant: Vec<bool>,
    last_use: Vec<usize>,
    is_output: Vec<bool>,
}

impl Lives {
    pub fn new(graph: &Graph) -> Self {
        let mut last_use = vec![0; graph.values.len()];
        for (step, node) in graph.nodes.iter().enumerate() {
            last_use[node.out.index()] = last_use[node.out.index()].max(step);
            node.ins.iter().for_each(|id| last_use[id.index()] = step);
        }
        let mut is_output = vec![false; graph.values.len()];
        for (_, id) in &graph.outputs {
            is_output[id.index()] = true;
            last_use[id.index()] = graph.nodes.len();
        }
        Self { constant: graph.constants(), last_use, is_output }
    }

    pub fn is_constant(&self, id: ValueId) -> bool {
        self.constant[id.index()]
    }
}

/// Whether a tensor that lies so satisfies an operator.
pub(super) fn suits(layout: &Layout, lie: Lie) -> bool {
    match lie {
        Lie::Any => true,
        Lie::Batched => layout.is_dense_from(1),
        Lie::Dense => layout.is_dense(),
    }
}

/// The slabs of a graph: concatenations whose inputs are computed in place.
#[derive(Default)]
struct Slabs {
    /// Extents of each slab.
    shapes: Vec<Shape>,
    /// Slab and layout of a value that lies in one, by value index.
    member: Vec<Option<(usize, Layout)>>,
}

impl Slabs {
    fn new(graph: &Graph, lives: &Lives) -> Self {
        let mut slabs = Self { shapes: Vec::new(), member: vec![None; graph.values.len()] };
        let producers = graph.producers();
        let joins = |node: &&Node| matches!(node.op, Op::Concat(_)) && !lives.is_constant(node.out);
        let mut concats: Vec<&Node> = graph.nodes.iter().filter(joins).collect();
        concats.sort_by_key(|n| std::cmp::Reverse(graph.value(n.out).spec.shape.numel()));
        for node in concats.into_iter().filter(|n| !lives.is_output[n.out.index()]) {
            if let Some(whole) = slabs.already_joined(graph, node) {
                slabs.member[node.out.index()].get_or_insert(whole);
            } else if slabs.member[node.out.index()].is_none() {
                slabs.open(graph, lives, &producers, node);
            }
        }
        slabs
    }

    /// The part of a slab in which the inputs of a concatenation already lie in order.
    fn already_joined(&self, graph: &Graph, node: &Node) -> Option<(usize, Layout)> {
        let Op::Concat(concat) = node.op else { return None };
        let (slab, first) = self.member[node.ins[0].index()]?;
        let slab_layout = Layout::dense(*self.shapes.get(slab)?);
        let mut offset = first.offset;
        for id in &node.ins {
            let (other, layout) = self.member[id.index()]?;
            if other != slab || layout.offset != offset || layout.strides() != slab_layout.strides() {
                return None;
            }
            offset += layout.shape[concat.axis] * layout.strides()[concat.axis];
        }
        let shape = graph.value(node.out).spec.shape;
        let fits = shape.len() == slab_layout.shape.len();
        fits.then(|| (slab, slab_layout.narrow(concat.axis, 0, shape[concat.axis]).shifted(first.offset)))
            .filter(|(_, l)| l.shape == shape)
    }

    /// Makes a concatenation's result a slab; inputs that can be computed in place become members.
    fn open(&mut self, graph: &Graph, lives: &Lives, producers: &[Option<usize>], node: &Node) {
        let Op::Concat(concat) = node.op else { return };
        let shape = graph.value(node.out).spec.shape;
        let slab = self.shapes.len();
        let whole = Layout::dense(shape);
        let mut start = 0;
        for id in &node.ins {
            let extent = graph.value(*id).spec.shape[concat.axis];
            let part = whole.narrow(concat.axis, start, extent);
            start += extent;
            let producer = producers[id.index()].map(|k| &graph.nodes[k]);
            let in_place = producer.is_some_and(|p| {
                !lives.is_constant(*id)
                    && !lives.is_output[id.index()]
                    && self.member[id.index()].is_none()
                    && p.op.view(&Layout::dense(graph.value(p.ins[0]).spec.shape)).is_none()
                    && suits(&part, p.op.lie())
            });
            if in_place {
                self.member[id.index()] = Some((slab, part));
            }
        }
        self.shapes.push(shape);
        self.member[node.out.index()] = Some((slab, whole));
    }
}

/// Decides where every value of the graph lies.
pub(super) fn assign(graph: &Graph, lives: &Lives) -> Homes {
    let slabs = Slabs::new(graph, lives);
    let mut a = Assign {
        graph,
        lives,
        slab_storage: vec![None; slabs.shapes.len()],
        slabs,
        out: Homes {
            storages: Vec::new(),
            homes: vec![None; graph.values.len()],
            views: vec![false; graph.nodes.len()],
        },
    };
    a.ports_and_constants();
    for step in 0..graph.nodes.len() {
        let node = &graph.nodes[step];
        if !lives.is_constant(node.out) {
            a.node(step, node);
        }
    }
    a.out
}

struct Assign<'g> {
    graph: &'g Graph,
    lives: &'g Lives,
    slabs: Slabs,
    slab_storage: Vec<Option<usize>>,
    out: Homes,
}

impl Assign<'_> {
    fn add(&mut self, storage: Storage) -> usize {
        self.out.storages.push(storage);
        self.out.storages.len() - 1
    }

    fn own(&mut self, id: ValueId, region: Region) {
        let layout = Layout::dense(self.graph.value(id).spec.shape);
        let storage = self.add(Storage::Own(region));
        self.out.homes[id.index()] = Some(Home { storage, layout });
    }

    fn ports_and_constants(&mut self) {
        for (k, &id) in self.graph.inputs.iter().enumerate() {
            self.own(id, Region::Input(k));
        }
        for (k, (_, id)) in self.graph.outputs.iter().enumerate() {
            let computed = self.graph.value(*id).role == Role::Temp && !self.lives.is_constant(*id);
            if computed && self.out.homes[id.index()].is_none() {
                self.own(*id, Region::Output(k));
            }
        }
    }

    fn node(&mut self, step: usize, node: &Node) {
        if self.out.homes[node.out.index()].is_some() {
            return; // An output with a region of its own.
        }
        let home = self
            .slab_member(node)
            .or_else(|| self.view(step, node))
            .or_else(|| self.over_operand(step, node));
        let home = home.unwrap_or_else(|| {
            let layout = Layout::dense(self.graph.value(node.out).spec.shape);
            let storage = self.add(Storage::Arena(Block::default()));
            Home { storage, layout }
        });
        self.out.homes[node.out.index()] = Some(home);
        let last = self.lives.last_use[node.out.index()];
        self.occupy(home, step, last);
    }

    fn slab_member(&mut self, node: &Node) -> Option<Home> {
        let (slab, layout) = self.slabs.member[node.out.index()]?;
        let storage = match self.slab_storage[slab] {
            Some(storage) => storage,
            None => {
                let storage = self.add(Storage::Arena(Block::default()));
                self.slab_storage[slab] = Some(storage);
                storage
            }
        };
        Some(Home { storage, layout })
    }

    fn view(&mut self, step: usize, node: &Node) -> Option<Home> {
        let home = self.out.homes[node.ins.first()?.index()]?;
        let layout = node.op.view(&home.layout)?;
        self.out.views[step] = true;
        Some(Home { layout, ..home })
    }

    /// The memory of an operand that is not needed afterwards.
    fn over_operand(&self, step: usize, node: &Node) -> Option<Home> {
        let shape = self.graph.value(node.out).spec.shape;
        node.ins.iter().enumerate().find_map(|(k, id)| {
            let home = self.out.homes[id.index()]?;
            let Storage::Arena(block) = &self.out.storages[home.storage] else { return None };
            let dies = self.lives.last_use[id.index()] == step && block.pieces.iter().all(|p| p.to <= step);
            let others = node.ins.iter().enumerate().filter(|(other, _)| *other != k);
            let apart =
                others.filter_map(|(_, o)| self.out.homes[o.index()]).all(|o| o.storage != home.storage);
            let alike = home.layout == Layout::dense(shape);
            (node.op.may_overwrite(k) && dies && apart && alike).then_some(home)
        })
    }

    /// Records that a part of a storage is in use between two steps.
    fn occupy(&mut self, home: Home, from: usize, to: usize) {
        let Storage::Arena(block) = &mut self.out.storages[home.storage] else { return };
        for (start, end) in runs(&home.layout) {
            let mut met = false;
            for piece in block.pieces.iter_mut().filter(|p| p.start < end && start < p.end) {
                piece.from = piece.from.min(from);
                piece.to = piece.to.max(to);
                met |= piece.start <= start && end <= piece.end;
            }
            if !met {
                block.pieces.push(Piece { start, end, from, to });
            }
        }
    }
}

/// The gap-free runs of elements a layout covers, or the span as one run where they are many.
fn runs(layout: &Layout) -> Vec<(usize, usize)> {
    let at = layout.offset;
    let images = layout.shape.first().copied().unwrap_or(1);
    if layout.is_dense() || !layout.is_dense_from(1) || images > MAX_RUNS {
        return vec![(at, at + layout.span())];
    }
    let len = layout.shape.numel() / images.max(1);
    (0..images).map(|n| at + n * layout.strides()[0]).map(|start| (start, start + len)).collect()
}
