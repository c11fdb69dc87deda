//! What follows a convolution (plain or transposed), a linear layer or a layer norm element by element moves into its
//! epilogue, and a nearest-neighbour enlargement before a convolution into its reading.

use super::rewrite::{node, Uses};
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::resize::ResizeMode;
use crate::ops::{Activate, Activation, Add, Convolution, LayerNorm, Linear, Op, TransposedConvolution};
use crate::Result;

/// Fuses until no epilogue can take more.
pub(super) fn run(graph: &mut Graph) -> Result<()> {
    enlargements(graph)?;
    while let Some((before, follower, fused)) = find(graph)? {
        // The fused node stands where the follower stood: all it reads is computed by then.
        graph.nodes[follower] = fused;
        graph.nodes.remove(before);
    }
    Ok(())
}

/// The next two nodes, one reading the other's result, that become one.
fn find(graph: &Graph) -> Result<Option<(usize, usize, Node)>> {
    let uses = Uses::new(graph);
    for (at, follower) in graph.nodes.iter().enumerate() {
        for (k, id) in follower.ins.iter().enumerate() {
            let Some(before) = uses.sole(*id) else { continue };
            let absorbed = match &graph.nodes[before].op {
                Op::Convolution(op) => {
                    convolution(op, follower, k, graph).map(|(op, extra)| (op.into(), extra))
                }
                Op::Linear(op) => linear(op, follower, k),
                Op::LayerNorm(op) => layer_norm(op, follower, k),
                Op::TransposedConvolution(op) => transposed_convolution(op, follower),
                _ => None,
            };
            let Some((op, extra)): Option<(Op, Vec<ValueId>)> = absorbed else { continue };
            let ins = [graph.nodes[before].ins.as_slice(), extra.as_slice()].concat();
            let fused = node(graph, op, ins, follower.out, &follower.scope)?;
            return Ok(Some((before, at, fused)));
        }
    }
    Ok(None)
}

/// The linear layer that also does what `follower` does to its result, its operand `k`; and the
/// inputs it takes in addition.
fn linear(op: &Linear, follower: &Node, k: usize) -> Option<(Op, Vec<ValueId>)> {
    match follower.op {
        Op::Activate(activate) if op.act.is_none() && !op.residual && Linear::takes(activate.0) => {
            Some((Linear { act: Some(activate.0), ..*op }.into(), vec![]))
        }
        Op::Add(add) if !op.residual => {
            Some((Linear { residual: true, ..*op }.into(), vec![plain_sum(add, follower, k)?]))
        }
        _ => None,
    }
}

/// The same for a transposed convolution.
fn transposed_convolution(op: &TransposedConvolution, follower: &Node) -> Option<(Op, Vec<ValueId>)> {
    let relu = follower.op == Activate(Activation::Relu).into() && !op.relu;
    relu.then(|| (TransposedConvolution { relu, ..*op }.into(), vec![]))
}

/// The same for a layer norm.
fn layer_norm(op: &LayerNorm, follower: &Node, k: usize) -> Option<(Op, Vec<ValueId>)> {
    match follower.op {
        Op::Add(add) if !op.residual => {
            Some((LayerNorm { residual: true, ..*op }.into(), vec![plain_sum(add, follower, k)?]))
        }
        _ => None,
    }
}

/// The other operand of a sum without factors.
fn plain_sum(add: Add, follower: &Node, k: usize) -> Option<ValueId> {
    let other = follower.ins[1 - k];
    (add.alpha == 1.0 && add.beta == 1.0 && other != follower.ins[k]).then_some(other)
}

/// The convolution that also does what `follower` does to its result, its operand `k`; and the
/// inputs it takes in addition.
fn convolution(
    conv: &Convolution,
    follower: &Node,
    k: usize,
    graph: &Graph,
) -> Option<(Convolution, Vec<ValueId>)> {
    let mut op = *conv;
    let e = &mut op.epilogue;
    if e.rectified {
        return None;
    }
    let linear = e.act.is_none() && e.slopes == 0;
    let untouched = e.scale == 1.0 && e.residuals == 0;
    match follower.op {
        Op::Bias(_) if k == 0 && !e.bias && linear && untouched => {
            e.bias = true;
            Some((op, vec![follower.ins[1]]))
        }
        Op::Activate(activate) if linear && untouched && Convolution::takes(activate.0) => {
            e.act = Some(activate.0);
            Some((op, vec![]))
        }
        Op::Activate(Activate(Activation::Relu)) => {
            e.rectified = true;
            Some((op, vec![]))
        }
        Op::Prelu(_) if k == 0 && linear && untouched => {
            e.slopes = graph.value(follower.ins[1]).spec.shape.numel();
            Some((op, vec![follower.ins[1]]))
        }
        Op::Scale(scale) => {
            multiply(e, scale.0);
            Some((op, vec![]))
        }
        Op::Add(add) => {
            let extra = residual(e, add, follower, k)?;
            Some((op, vec![extra]))
        }
        _ => None,
    }
}

fn multiply(e: &mut crate::ops::Epilogue, factor: f32) {
    e.scale *= factor;
    for scale in &mut e.residual_scale[..e.residuals] {
        *scale *= factor;
    }
}

/// Adds the other operand of a sum as a residual.
fn residual(e: &mut crate::ops::Epilogue, add: Add, follower: &Node, k: usize) -> Option<ValueId> {
    let other = follower.ins[1 - k];
    if e.residuals == 2 || other == follower.ins[k] {
        return None;
    }
    let (own, others) = if k == 0 { (add.alpha, add.beta) } else { (add.beta, add.alpha) };
    multiply(e, own);
    e.residual_scale[e.residuals] = others;
    e.residuals += 1;
    Some(other)
}

/// Convolutions that read an image enlarged by a whole factor read it as it was.
fn enlargements(graph: &mut Graph) -> Result<()> {
    let uses = Uses::new(graph);
    for at in 0..graph.nodes.len() {
        let Op::Convolution(op) = graph.nodes[at].op else { continue };
        let Some(before) = uses.producer(graph.nodes[at].ins[0]) else { continue };
        let Some(factor) = enlargement(graph, &graph.nodes[before]) else { continue };
        let old = &graph.nodes[at];
        let mut ins = old.ins.clone();
        ins[0] = graph.nodes[before].ins[0];
        let op = Convolution { upsample: op.upsample * factor, ..op };
        graph.nodes[at] = node(graph, op, ins, old.out, &old.scope)?;
    }
    Ok(())
}

/// The whole factor, the same on both axes, by which a node repeats pixels.
fn enlargement(graph: &Graph, node: &Node) -> Option<usize> {
    let Op::Resize(resize) = node.op else { return None };
    let x = graph.value(node.ins[0]).spec.shape;
    let [h, w] = [x[2], x[3]];
    let factor = resize.size[0] / h;
    let whole = resize.size == [h * factor, w * factor];
    (resize.mode == ResizeMode::Nearest && whole && factor > 0).then_some(factor)
}
