//! Rewrites of a graph that keep what it computes: constants folded, convolutions fused.
//!
//! Values named as outputs are kept as they are; everything else may vanish, so taps are declared
//! before passes run.

mod band;
mod fold_norm;
mod fuse;
mod rewrite;
mod simplify;

pub use band::band;

use crate::graph::Graph;
use crate::Result;

/// All rewrites that pay on any device, in their order.
///
/// # Errors
/// `Shape` when a rewrite made an illegal node, which would be a mistake of the pass.
pub fn optimise(graph: &mut Graph) -> Result<()> {
    fold_norm::run(graph)?;
    simplify::run(graph)?;
    fuse::run(graph)?;
    simplify::run(graph)
}
