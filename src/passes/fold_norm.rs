//! Batch norm by running statistics becomes a factor and a shift, which a convolution before it
//! takes into its weights. Factor, shift and weights are constants computed at load.

use super::rewrite::{fresh, node, Uses};
use crate::graph::{Graph, Node, ValueId};
use crate::ops::{Affine, BatchNorm, Convolution, Epilogue, NormScale, NormShift, Op, Scale};
use crate::Result;

/// Rewrites every batch norm whose vectors are constants.
pub(super) fn run(graph: &mut Graph) -> Result<()> {
    let uses = Uses::new(graph);
    let constant = graph.constants();
    let old = std::mem::take(&mut graph.nodes);
    let mut folded = vec![false; old.len()];
    let mut nodes: Vec<Node> = Vec::with_capacity(old.len());
    // Which convolution each batch norm swallows is decided before any node is replaced.
    let swallowed: Vec<Option<usize>> = old
        .iter()
        .map(|n| {
            let Op::BatchNorm(_) = n.op else { return None };
            let conv = uses.sole(n.ins[0])?;
            let Op::Convolution(c) = old[conv].op else { return None };
            let plain = c.epilogue == Epilogue { bias: c.epilogue.bias, ..Epilogue::NONE };
            (plain && old[conv].ins[1..].iter().all(|id| constant[id.index()])).then_some(conv)
        })
        .collect();
    swallowed.iter().flatten().for_each(|&conv| folded[conv] = true);
    for (k, n) in old.iter().enumerate() {
        match n.op {
            Op::BatchNorm(norm) if n.ins[1..].iter().all(|id| constant[id.index()]) => {
                let conv = swallowed[k].map(|at| &old[at]);
                rewrite(graph, &mut nodes, n, norm, conv)?;
            }
            _ if folded[k] => {}
            _ => nodes.push(n.clone()),
        }
    }
    graph.nodes = nodes;
    Ok(())
}

/// Appends what a batch norm becomes, with or without the convolution before it.
fn rewrite(
    graph: &mut Graph,
    nodes: &mut Vec<Node>,
    n: &Node,
    norm: BatchNorm,
    conv: Option<&Node>,
) -> Result<()> {
    let &[x, weight, bias, mean, var] = &n.ins[..] else { return Ok(()) };
    let mut add = |graph: &mut Graph, op: Op, ins: Vec<ValueId>| -> Result<ValueId> {
        let node = fresh(graph, op, ins, &n.scope)?;
        let out = node.out;
        nodes.push(node);
        Ok(out)
    };
    let factor = add(graph, NormScale { eps: norm.eps }.into(), vec![weight, var])?;
    let conv = conv.and_then(|c| match c.op {
        Op::Convolution(op) => Some((c, op)),
        _ => None,
    });
    let old_bias = match conv {
        Some((c, op)) if op.epilogue.bias => c.ins[2],
        _ => add(graph, Scale(0.0).into(), vec![bias])?,
    };
    let shift = add(graph, NormShift.into(), vec![old_bias, mean, factor, bias])?;
    let Some((c, op)) = conv else {
        let affine = Affine { axis: 1, shift: true };
        nodes.push(node(graph, affine, vec![x, factor, shift], n.out, &n.scope)?);
        return Ok(());
    };
    let w = add(graph, Affine { axis: 0, shift: false }.into(), vec![c.ins[1], factor])?;
    let op = Convolution { epilogue: Epilogue { bias: true, ..op.epilogue }, ..op };
    nodes.push(node(graph, op, vec![c.ins[0], w, shift], n.out, &n.scope)?);
    Ok(())
}
