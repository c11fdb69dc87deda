//! The kernels, and what they stand on.

#[path = "../../../src/cpu/conv/mod.rs"]
pub mod conv;
#[path = "../../../src/cpu/isa.rs"]
pub mod isa;
#[path = "../../../src/cpu/lanes.rs"]
mod lanes;
#[path = "../../../src/cpu/pool/mod.rs"]
pub mod pool;
