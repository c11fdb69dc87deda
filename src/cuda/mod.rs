//! The CUDA device: a plan's calls as launches of the PTX under `kernels/ptx`.
//!
//! Everything up to a launch's grid, block and argument bytes is plain code (`table`, one file per
//! contract). What executes launches is behind [`gpu::Gpu`]: a GPU through the driver, or a machine
//! that runs PTX on the processor, as the tests do.

mod attention;
mod blur;
mod boxes;
pub mod chain;
mod conv;
mod conv_laid;
mod conv_matrix;
mod conv_transpose;
mod conv_units;
mod conv_warpgroup;
mod conv_windows;
pub mod driver;
pub mod gpu;
mod handed_on;
mod laid;
pub mod launch;
mod layer_norm;
mod layouts;
mod load;
mod map;
mod matmul;
mod matmul_warpgroup;
mod matrix_tiles;
pub mod modules;
mod pool;
mod reduce;
mod resize;
mod roi_align;
mod samples;
mod select;
mod session;
mod softmax;
mod stored;
mod table;
mod unread;

pub use crate::kernel::precision::Precision;
pub use session::Cuda;
pub use table::entries;
