//! The CUDA device without a GPU: its PTX is what the sources make, its entries take what launches
//! hand them, and its launches, executed in the PTX machine, compute what the reference computes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../ops/cases.rs"]
mod cases;
mod chains;
#[path = "../ops/compare.rs"]
#[allow(dead_code, reason = "shared with the other devices' tests")]
mod compare;
#[path = "../ops/golden.rs"]
#[allow(dead_code, reason = "as above")]
mod golden;
mod layouts;
mod machine;
mod maps;
mod mutants;
mod proof;
mod ptx;
mod survivors;
