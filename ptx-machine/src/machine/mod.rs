//! Runs a grid: its blocks in parallel, each block's warps in lockstep, every step checked.

mod access;
mod barrier;
mod block;
mod exec;
mod fault;
mod launch;
mod warp;
mod warp_ops;

pub use fault::Fault;
pub use launch::{Launch, Report};
