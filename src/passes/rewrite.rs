//! What passes share: who computes and reads a value, and replacing nodes.

use crate::graph::{Graph, Node, ValueId};
use crate::ops::Op;
use crate::Result;

/// Producers and uses of a graph's values, as they were when this was made.
pub(super) struct Uses {
    producer: Vec<Option<usize>>,
    count: Vec<usize>,
}

impl Uses {
    pub fn new(graph: &Graph) -> Self {
        Self { producer: graph.producers(), count: graph.uses() }
    }

    /// The node that computes a value.
    pub fn producer(&self, id: ValueId) -> Option<usize> {
        self.producer.get(id.index()).copied().flatten()
    }

    /// The node that computes a value which nothing else reads and which is no output.
    pub fn sole(&self, id: ValueId) -> Option<usize> {
        self.producer(id).filter(|_| self.count[id.index()] == 1)
    }
}

/// A node that computes an existing value anew.
pub(super) fn node(
    graph: &Graph,
    op: impl Into<Op>,
    ins: Vec<ValueId>,
    out: ValueId,
    scope: &str,
) -> Result<Node> {
    let op = op.into();
    let spec = op.infer(&graph.specs(&ins)).map_err(|e| e.while_doing(format!("{scope}: {}", op.name())))?;
    debug_assert_eq!(spec, graph.value(out).spec);
    Ok(Node { op, ins, out, scope: scope.to_string() })
}

/// A node that computes a new value.
pub(super) fn fresh(graph: &mut Graph, op: impl Into<Op>, ins: Vec<ValueId>, scope: &str) -> Result<Node> {
    let op = op.into();
    let spec = op.infer(&graph.specs(&ins)).map_err(|e| e.while_doing(format!("{scope}: {}", op.name())))?;
    let out = graph.push_value(spec);
    Ok(Node { op, ins, out, scope: scope.to_string() })
}
