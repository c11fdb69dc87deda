//! The CPU device: SIMD kernels chosen at run time.

mod args;
mod attention;
mod blur;
pub mod conv;
mod conv_transpose;
mod effort;
mod execute;
pub mod isa;
mod load;
mod map;
mod matmul;
mod norm;
mod planes;
pub mod pool;
mod pooling;
mod reduce;
mod resize;
mod session;
mod simd;

pub use session::Cpu;
