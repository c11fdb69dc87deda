//! The contracts the kernels fulfil.

#[path = "../../../src/kernel/conv.rs"]
pub mod conv;
#[path = "../../../src/kernel/levels.rs"]
pub mod levels;
#[path = "../../../src/kernel/precision.rs"]
pub mod precision;
