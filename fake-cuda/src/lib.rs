//! A CUDA driver without a GPU: the functions of libcuda that the program calls, over `ptx-machine`.
//!
//! A program that finds the shared object under the driver's name runs as on a GPU. What a driver checks is
//! checked (handles, contexts, sizes, what may not happen during a capture), errors of kernels are sticky, memory
//! runs out, and work is put off until somebody waits for it, so that a missing event shows. What a driver would
//! let pass is kept as a complaint: memory that is never given back, copies from memory that is not pinned.
//!
//! [`Fake`] steers the driver of the same process; other processes are given the line of [`Settings`] in their
//! environment, and end with status 97 after complaints.

mod abi;
mod fake;
mod module;
mod settings;
mod status;
mod stream;
mod world;

pub use abi::*;
pub use fake::{Census, Fake};
pub use settings::{Settings, VARIABLE};
