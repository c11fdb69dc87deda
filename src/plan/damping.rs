//! How much of an error in what a node computes reaches an output.
//!
//! Residual networks add a branch's sums, scaled down, to a trunk; an RRDB does so twice, by 0.2 each time. An error of
//! such a sum is scaled down with it, so an implementation may be coarser there than in the trunk.

use crate::graph::{Graph, Node};
use crate::ops::Op;

/// By node: the largest product of the factors on any way from the node's sums to an output. Convolutions, whatever
/// their weights, and all else that does not say a factor count as 1: what is asked for is the error relative to the
/// values it meets, in a network whose layers keep the size of what they read.
pub(super) fn dampings(graph: &Graph) -> Vec<f32> {
    let mut of_value = vec![0.0f32; graph.values.len()];
    graph.outputs.iter().for_each(|(_, id)| of_value[id.index()] = 1.0);
    let mut of_node = vec![0.0; graph.nodes.len()];
    for (step, node) in graph.nodes.iter().enumerate().rev() {
        let behind = of_value[node.out.index()];
        for (input, id) in node.ins.iter().enumerate() {
            let value = &mut of_value[id.index()];
            *value = value.max(behind * factor(node, input));
        }
        of_node[step] = behind * factor(node, 0);
    }
    of_node
}

/// What a node multiplies an error of one of its inputs by.
fn factor(node: &Node, input: usize) -> f32 {
    match &node.op {
        Op::Scale(scale) => scale.0.abs(),
        Op::Add(add) => {
            if input == 0 {
                add.alpha.abs()
            } else {
                add.beta.abs()
            }
        }
        Op::Convolution(c) => match input.checked_sub(c.first_residual()) {
            Some(residual) => c.epilogue.residual_scale.get(residual).map_or(1.0, |scale| scale.abs()),
            None => c.epilogue.scale.abs(),
        },
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Mode, ValueId, Var};
    use crate::ops::Conv2d;
    use crate::passes;

    /// Two dense blocks of an RRDB: the second's sums reach the trunk by 0.2 of 0.2 alone, those of the first as a part
    /// of what the second adds to, by 0.2 of 0.2 too.
    #[test]
    fn a_branch_is_damped_by_its_scales_and_a_trunk_is_not() {
        let b = Builder::new(Mode::Infer);
        fn conv<'b>(b: &'b Builder, x: Var<'b>, name: &str, c_in: usize) -> Var<'b> {
            x.conv2d(b.param(name, &[4, c_in, 3, 3]), None, Conv2d::same(3))
        }
        let trunk = conv(&b, b.input("x", &[1, 4, 8, 8]), "first", 4);
        let mut x = trunk;
        for block in ["a", "b"] {
            let grown = conv(&b, x, &format!("{block}1"), 4).leaky_relu(0.2);
            x = conv(&b, x.concat(&[grown], 1), &format!("{block}2"), 8).scale(0.2).add(x);
        }
        b.output("y", conv(&b, x.scale(0.2).add(trunk), "last", 4));
        let mut graph = b.finish().unwrap();
        let of = |graph: &Graph, name: &str| {
            let reads = |id: &ValueId| graph.value(*id).name.as_deref() == Some(name);
            let found = graph.nodes.iter().position(|n| n.ins.iter().any(reads)).unwrap();
            dampings(graph)[found]
        };
        for fused in [false, true] {
            if fused {
                passes::optimise(&mut graph).unwrap();
            }
            for name in ["a1", "a2", "b1", "b2"] {
                let damping = of(&graph, name);
                assert!((damping - 0.04).abs() < 1e-6, "{name}: {damping}, fused: {fused}");
            }
            assert_eq!([of(&graph, "first"), of(&graph, "last")], [1.0; 2]);
        }
    }
}
