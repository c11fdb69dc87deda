//! The contracts the kernels fulfil.

#[path = "../../../src/kernel/conv.rs"]
pub mod conv;
