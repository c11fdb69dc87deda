//! Runs the end of a network in bands of rows, so that its large images never exist as a whole.
//!
//! The tail is the chain of convolutions and element-wise operators before the output, each read by
//! the next one only. Each band takes the rows it needs of the tail's input and computes the same
//! pixels by the same sums; rows that two bands need are computed twice. Padding stays at the
//! image's edge: only the first band pads above, only the last below.

use std::ops::Range;

use super::rewrite::{fresh, Uses};
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::conv::BLOCK_PIXELS;
use crate::ops::{AxisReach, BandRows, Concat, Convolution, Op, Reach, Slice};
use crate::Result;

/// The graph with its tail in `bands` bands; `None` when the tail has no rows to divide or is no
/// chain of at least two nodes. Graphs with several outputs are left alone but for taps outside of
/// the tail.
///
/// # Errors
/// `Shape` when the rewrite made an illegal node, which would be a mistake of the pass.
pub fn band(graph: &Graph, bands: usize) -> Result<Option<Graph>> {
    let Some(&(_, output)) = graph.outputs.first() else { return Ok(None) };
    let tail = tail(graph, output);
    let rows = graph.value(output).spec.shape.get(2).copied().unwrap_or(0);
    if tail.len() < 2 || bands < 2 || bands > rows {
        return Ok(None);
    }
    let mut out = graph.clone();
    let nodes: Vec<Node> = tail.iter().map(|&k| graph.nodes[k].clone()).collect();
    out.nodes =
        graph.nodes.iter().enumerate().filter(|(k, _)| !tail.contains(k)).map(|(_, n)| n.clone()).collect();
    let mut parts = Vec::with_capacity(bands);
    for k in 0..bands {
        parts.push(one_band(&mut out, &nodes, k * rows / bands..(k + 1) * rows / bands)?);
    }
    let scope = nodes.last().map_or("", |n| &n.scope).to_string();
    out.nodes.push(Node { op: Concat { axis: 2 }.into(), ins: parts, out: output, scope });
    Ok(Some(out))
}

/// Positions of the nodes of the tail, in running order.
fn tail(graph: &Graph, output: ValueId) -> Vec<usize> {
    let uses = Uses::new(graph);
    let mut tail = Vec::new();
    let mut next = uses.sole(output);
    while let Some(k) = next.filter(|&k| divisible(graph, &graph.nodes[k])) {
        tail.push(k);
        next = uses.sole(graph.nodes[k].ins[0]);
    }
    tail.reverse();
    tail
}

/// Whether a node can compute some rows from some rows of its first input and constants alone.
fn divisible(graph: &Graph, node: &Node) -> bool {
    let constant = graph.constants();
    let images = graph.value(node.out).spec.shape.len() == 4 && !constant[node.ins[0].index()];
    let kind = match node.op {
        Op::Convolution(c) => c.conv.stride == [1; 2] && c.rows.is_none(),
        Op::Activate(_) | Op::Prelu(_) | Op::Bias(_) | Op::Scale(_) | Op::Affine(_) => true,
        _ => false,
    };
    images && kind && node.ins[1..].iter().all(|id| constant[id.index()])
}

/// Appends the nodes that compute rows `rows` of the output; gives the value that holds them.
fn one_band(graph: &mut Graph, tail: &[Node], rows: Range<usize>) -> Result<ValueId> {
    let needs = needed_rows(graph, tail, rows.clone());
    let mut have = needs[0].clone();
    let mut value = slice(graph, tail[0].ins[0], have.clone(), &tail[0].scope)?;
    for (node, need) in tail.iter().zip(&needs[1..]) {
        let op = match node.op {
            Op::Convolution(conv) => {
                let banded = banded(conv, &have, need);
                have = need.clone();
                Op::Convolution(banded)
            }
            other => other,
        };
        let ins = std::iter::once(value).chain(node.ins[1..].iter().copied()).collect();
        let node = fresh(graph, op, ins, &node.scope)?;
        value = node.out;
        graph.nodes.push(node);
    }
    let scope = &tail[tail.len() - 1].scope;
    slice(graph, value, rows.start - have.start..rows.end - have.start, scope)
}

/// Rows of the tail's input and of each node's result that rows of the output need. A convolution
/// computes whole blocks of rows, so that kernels that work in blocks find theirs where the whole
/// image has them.
fn needed_rows(graph: &Graph, tail: &[Node], rows: Range<usize>) -> Vec<Range<usize>> {
    let mut needs = vec![rows];
    for node in tail.iter().rev() {
        let reach = match node.op.reach(&graph.specs(&node.ins), &graph.value(node.out).spec) {
            Reach::Window([rows, _]) => rows,
            Reach::Global => AxisReach::SAME,
        };
        if let (Op::Convolution(_), Some(need)) = (&node.op, needs.last_mut()) {
            let height = graph.value(node.out).spec.shape[2];
            need.start = need.start / BLOCK_PIXELS * BLOCK_PIXELS;
            need.end = need.end.next_multiple_of(BLOCK_PIXELS).min(height);
        }
        let need = &needs[needs.len() - 1];
        let (from, to) = reach.needs(need.start as i64, need.end as i64);
        let height = graph.value(node.ins[0]).spec.shape[2];
        needs.push(from.max(0) as usize..(to.max(0) as usize).min(height));
    }
    needs.reverse();
    needs
}

/// A convolution of the rows `have` of its input that computes the rows `need`.
fn banded(conv: Convolution, have: &Range<usize>, need: &Range<usize>) -> Convolution {
    let first = (have.start * conv.upsample) as i64;
    let pad_above = conv.conv.padding[0] as i64 + first - need.start as i64;
    Convolution { rows: Some(BandRows { pad_above, count: need.len() }), ..conv }
}

fn slice(graph: &mut Graph, value: ValueId, rows: Range<usize>, scope: &str) -> Result<ValueId> {
    let node = fresh(graph, Slice { axis: 2, start: rows.start, len: rows.len() }, vec![value], scope)?;
    let out = node.out;
    graph.nodes.push(node);
    Ok(out)
}
