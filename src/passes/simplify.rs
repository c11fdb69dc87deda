//! Drops nodes that change nothing and nodes whose results nobody reads.

use crate::graph::{Graph, Node, ValueId};
use crate::ops::Op;
use crate::Result;

/// Runs until nothing is left to drop.
pub(super) fn run(graph: &mut Graph) -> Result<()> {
    let outputs: Vec<ValueId> = graph.outputs.iter().map(|(_, id)| *id).collect();
    let mut same: Vec<ValueId> = (0..graph.values.len()).map(|k| ValueId(k as u32)).collect();
    let mut kept: Vec<Node> = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        node.ins.iter_mut().for_each(|id| *id = same[id.index()]);
        match unchanged(graph, &node) {
            Some(input) if !outputs.contains(&node.out) => same[node.out.index()] = input,
            _ => {
                if let Some(merged) = merged_slice(&kept, &node) {
                    node = merged;
                }
                kept.push(node);
            }
        }
    }
    let mut live = vec![false; graph.values.len()];
    outputs.iter().for_each(|id| live[id.index()] = true);
    for node in kept.iter().rev() {
        if live[node.out.index()] {
            node.ins.iter().for_each(|id| live[id.index()] = true);
        }
    }
    kept.retain(|n| live[n.out.index()]);
    graph.nodes = kept;
    Ok(())
}

/// The input a node only repeats.
fn unchanged(graph: &Graph, node: &Node) -> Option<ValueId> {
    let x = *node.ins.first()?;
    let (before, after) = (graph.value(x).spec.shape, graph.value(node.out).spec.shape);
    let same = match node.op {
        Op::Scale(scale) => scale.0 == 1.0,
        Op::Reshape(_) | Op::Slice(_) | Op::Resize(_) => before == after,
        Op::Concat(_) => node.ins.len() == 1,
        Op::PadAxis(pad) => pad.before == 0 && pad.after == 0,
        Op::PixelShuffle(r) => r.0 == 1,
        Op::PixelUnshuffle(r) => r.0 == 1,
        _ => false,
    };
    same.then_some(x)
}

/// A slice of a slice along one axis as one slice.
fn merged_slice(before: &[Node], node: &Node) -> Option<Node> {
    let Op::Slice(outer) = node.op else { return None };
    let source = before.iter().rev().find(|n| n.out == node.ins[0])?;
    let Op::Slice(inner) = source.op else { return None };
    let joined = crate::ops::Slice { start: inner.start + outer.start, ..outer };
    (inner.axis == outer.axis).then(|| Node { op: joined.into(), ins: source.ins.clone(), ..node.clone() })
}
