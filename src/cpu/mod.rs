//! The CPU device: SIMD kernels chosen at run time.

mod args;
mod attention;
mod blur;
mod boxes;
pub mod conv;
mod conv_transpose;
mod effort;
mod execute;
mod handed_on;
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
mod roi_align;
mod samples;
mod scales;
mod select;
mod session;
mod simd;
mod transpose;

pub use session::Cpu;
