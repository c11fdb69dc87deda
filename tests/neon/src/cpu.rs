//! The kernels, and what they stand on.

#[path = "../../../src/cpu/conv/mod.rs"]
pub mod conv;
#[path = "../../../src/cpu/isa.rs"]
pub mod isa;
#[path = "../../../src/cpu/pool/mod.rs"]
pub mod pool;
#[path = "../../../src/cpu/scales.rs"]
mod scales;
#[path = "../../../src/cpu/simd/mod.rs"]
mod simd;
