//! A pickle machine that can only build data: containers, numbers, text, and tensors as claims about storages.
//!
//! It has no way to call anything. A stream that names a class or function outside the list in
//! [`globals`] is refused with that name at the opcode that asks for it.

mod globals;
mod machine;
mod node;
mod rebuild;
mod stream;

pub(crate) use machine::Machine;
pub(crate) use node::{StorageClaim, TensorClaim};
