//! The CPU device: SIMD kernels chosen at run time.

mod args;
mod blur;
pub mod conv;
mod execute;
pub mod isa;
mod load;
mod map;
mod matmul;
pub mod pool;
mod pooling;
mod reduce;
mod resize;
mod session;

pub use session::Cpu;
