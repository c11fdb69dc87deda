//! The CPU device: SIMD kernels chosen at run time.

pub mod conv;
pub mod isa;
pub mod pool;
