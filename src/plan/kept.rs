//! Which steps share the transformed channels of what they read.
//!
//! The convolutions of a dense block read the block's input and growing parts of its slab; what an
//! implementation makes of a channel before it multiplies is the same for all of them. It is made by
//! the first that reads the channel and kept in the arena for those that follow.

use super::{Slot, Transform};
use crate::graph::{Graph, ValueId};
use crate::ops::Op;

/// Fewest steps that read a channel for which it is kept: the fewer, the more memory for a transform
/// saved.
const READERS: usize = 5;
/// Most elements that one group of steps keeps: 48 MiB.
const MOST: usize = 12 << 20;

/// How a step takes part: the first `room` channels of its operand are kept, of which it finds `made`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Where they lie; as long as the step's transform says for `room` channels.
    pub slot: Slot,
    /// Channels there is room for.
    pub room: usize,
    /// Channels that steps before it made.
    pub made: usize,
}

/// A step that could share: its index, its node's, and its first operand as values along the channels.
pub(super) struct Reader {
    pub step: usize,
    pub node: usize,
    pub transform: Transform,
    pub parts: Vec<(ValueId, usize)>,
}

/// Steps that share, by index with the channels each finds, and what they share.
pub(super) struct Sharing {
    pub steps: Vec<(usize, usize)>,
    pub room: usize,
    pub len: usize,
    /// The first and the last of their nodes.
    pub nodes: [usize; 2],
}

/// The values that a concatenation along the channels is made of, with their channels.
pub(super) fn parts(graph: &Graph, producers: &[Option<usize>], id: ValueId) -> Vec<(ValueId, usize)> {
    let mut parts = Vec::new();
    let mut left = vec![id];
    while let Some(id) = left.pop() {
        let node = producers[id.index()].map(|k| &graph.nodes[k]);
        match node {
            Some(node) if matches!(node.op, Op::Concat(concat) if concat.axis == 1) => {
                left.extend(node.ins.iter().rev());
            }
            _ => parts.push((id, graph.value(id).spec.shape.get(1).copied().unwrap_or(0))),
        }
    }
    parts
}

/// Groups readers, given in running order, of which each reads the first values of the same list.
pub(super) fn share(readers: &[Reader]) -> Vec<Sharing> {
    let mut groups: Vec<Vec<&Reader>> = Vec::new();
    for reader in readers {
        let joins = |group: &&mut Vec<&Reader>| {
            let n = group[0].parts.len().min(reader.parts.len());
            group[0].transform.kind == reader.transform.kind
                && longest(group).iter().zip(&reader.parts).all(|(a, b)| a == b)
                && n > 0
        };
        match groups.iter_mut().find(joins) {
            Some(group) => group.push(reader),
            None => groups.push(vec![reader]),
        }
    }
    groups.iter().filter_map(|group| sharing(group)).collect()
}

fn longest<'r>(group: &[&'r Reader]) -> &'r [(ValueId, usize)] {
    group.iter().map(|r| r.parts.as_slice()).max_by_key(|parts| parts.len()).unwrap_or_default()
}

fn sharing(group: &[&Reader]) -> Option<Sharing> {
    let (first, last) = (group.first()?, group.last()?);
    let (mut room, mut len) = (0, 0);
    for (k, (_, channels)) in longest(group).iter().enumerate() {
        let readers = group.iter().filter(|r| r.parts.len() > k).count();
        let longer = first.transform.len(room + channels).filter(|&len| len <= MOST);
        let (true, Some(longer)) = (readers >= READERS, longer) else { break };
        (room, len) = (room + channels, longer);
    }
    let mut made = 0;
    let steps = group.iter().map(|reader| {
        let own: usize = reader.parts.iter().map(|(_, channels)| channels).sum();
        let found = made.min(own);
        made = made.max(room.min(own));
        (reader.step, found)
    });
    let steps = steps.collect();
    (room > 0).then_some(Sharing { steps, room, len, nodes: [first.node, last.node] })
}
