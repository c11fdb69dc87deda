//! A graph as text, one node per line.

use std::fmt;

use super::{Graph, ValueId};

impl Graph {
    fn label(&self, id: ValueId) -> String {
        match &self.value(id).name {
            Some(name) => name.clone(),
            None => format!("%{}", id.index()),
        }
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &id in &self.inputs {
            writeln!(f, "{} = input {}", self.label(id), self.value(id).spec.shape)?;
        }
        for node in &self.nodes {
            let ins: Vec<String> = node.ins.iter().map(|&id| self.label(id)).collect();
            let out = self.value(node.out).spec.shape;
            writeln!(f, "{} = {:?}({}) {out}", self.label(node.out), node.op, ins.join(", "))?;
        }
        for (name, id) in &self.outputs {
            writeln!(f, "output {name} = {}", self.label(*id))?;
        }
        Ok(())
    }
}
