//! Runs a grid: its blocks in parallel, each block's warps in lockstep, every step checked.

mod access;
mod barrier;
mod block;
mod copies;
mod exec;
mod fault;
mod launch;
mod mbarrier;
mod mma;
mod tensor;
mod warp;
mod warp_ops;
mod wgmma;

pub use fault::Fault;
pub use launch::{Launch, Report};
pub use mma::per_register;
pub use tensor::TensorMap;
