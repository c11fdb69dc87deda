//! The exact halo of a graph: how far outside of a tile's core its output looks.

use super::{Graph, ValueId};
use crate::ops::Reach;
use crate::{Error, Result};

/// What an output needs of an input around a core that lies on the alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halo {
    /// Input pixels needed beyond the core, on the side that needs most.
    pub radius: usize,
    /// Cores begin and end on multiples of this many input pixels.
    pub alignment: usize,
    /// Output pixels per input pixel, as a fraction.
    pub scale: (usize, usize),
}

/// Alignments from here on are as good as none: no tile would be that large.
const MAX_ALIGNMENT: i64 = 1 << 24;

/// A value's pixels per input pixel (a fraction), and the pixels an aligned core needs of it.
#[derive(Clone, Copy)]
struct Axis {
    scale: (i64, i64),
    need: Option<(i64, i64)>,
}

/// Derives the halo that makes tiles of `output` equal the whole image's. `None` when an operator on
/// the way needs the whole image, or scales that only huge tiles could be aligned to.
///
/// # Errors
/// `Usage` when there is no such output or input, or the output does not depend on the input.
pub fn halo(graph: &Graph, output: &str, input: &str) -> Result<Option<Halo>> {
    let out = graph.outputs.iter().find(|(name, _)| name == output).map(|(_, id)| *id);
    let input = graph.inputs.iter().copied().find(|&id| graph.value(id).name.as_deref() == Some(input));
    let (Some(out), Some(input)) = (out, input) else {
        return Err(Error::usage(format!("no output {output}, or no such input")));
    };
    let Some(relevant) = between(graph, out, input) else {
        return Err(Error::usage(format!("output {output} does not depend on that input")));
    };
    let mut axes = [None; 2];
    for (k, axis) in axes.iter_mut().enumerate() {
        *axis = axis_halo(graph, &relevant, out, input, k);
    }
    let (Some(rows), Some(columns)) = (axes[0], axes[1]) else { return Ok(None) };
    if rows.scale != columns.scale {
        return Ok(None);
    }
    Ok(Some(Halo {
        radius: rows.radius.max(columns.radius),
        alignment: lcm(rows.alignment as i64, columns.alignment as i64).unwrap_or(1) as usize,
        scale: rows.scale,
    }))
}

/// Values that lie on a path from the input to the output, by index; `None` when there is no path.
fn between(graph: &Graph, out: ValueId, input: ValueId) -> Option<Vec<bool>> {
    let mut below = vec![false; graph.values.len()];
    below[input.index()] = true;
    for node in &graph.nodes {
        if node.ins.iter().any(|id| below[id.index()]) {
            below[node.out.index()] = true;
        }
    }
    let mut above = vec![false; graph.values.len()];
    above[out.index()] = true;
    for node in graph.nodes.iter().rev() {
        if above[node.out.index()] {
            node.ins.iter().for_each(|id| above[id.index()] = true);
        }
    }
    below[out.index()].then(|| below.iter().zip(above).map(|(a, b)| *a && b).collect())
}

/// One axis (0 rows, 1 columns) of the halo.
fn axis_halo(graph: &Graph, relevant: &[bool], out: ValueId, input: ValueId, k: usize) -> Option<Halo> {
    let mut axes = vec![Axis { scale: (1, 1), need: None }; graph.values.len()];
    let mut alignment = 1;
    for node in graph.nodes.iter().filter(|n| relevant[n.out.index()]) {
        let Reach::Window(reach) = node.op.reach(&graph.specs(&node.ins), &graph.value(node.out).spec) else {
            return None;
        };
        for id in node.ins.iter().filter(|id| relevant[id.index()]) {
            let (num, den) = axes[id.index()].scale;
            let scale = reduced(num.checked_mul(reach[k].div)?, den.checked_mul(reach[k].step)?);
            axes[node.out.index()].scale = scale;
            alignment = lcm(alignment, scale.1).filter(|a| *a < MAX_ALIGNMENT)?;
        }
    }
    // A core far from zero, so that no rounding hides; as long as two alignments.
    let core = (alignment * (1 << 12), alignment * ((1 << 12) + 2));
    let (num, den) = axes[out.index()].scale;
    axes[out.index()].need = Some((core.0 * num / den, core.1 * num / den));
    for node in graph.nodes.iter().rev().filter(|n| relevant[n.out.index()]) {
        let Reach::Window(reach) = node.op.reach(&graph.specs(&node.ins), &graph.value(node.out).spec) else {
            return None;
        };
        let Some((from, to)) = axes[node.out.index()].need else { continue };
        let (first, end) = reach[k].needs(from, to);
        for id in node.ins.iter().filter(|id| relevant[id.index()]) {
            let need = &mut axes[id.index()].need;
            *need = Some(need.map_or((first, end), |(a, b)| (a.min(first), b.max(end))));
        }
    }
    let (first, end) = axes[input.index()].need?;
    let radius = (core.0 - first).max(end - core.1).max(0) as usize;
    Some(Halo { radius, alignment: alignment as usize, scale: (num as usize, den as usize) })
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 {
        a.max(1)
    } else {
        gcd(b, a % b)
    }
}

fn lcm(a: i64, b: i64) -> Option<i64> {
    (a / gcd(a, b)).checked_mul(b)
}

fn reduced(num: i64, den: i64) -> (i64, i64) {
    let common = gcd(num, den);
    (num / common, den / common)
}
