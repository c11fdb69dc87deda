//! What the kernels tell plans.

#[path = "../../../src/plan/transform.rs"]
mod transform;

pub use transform::Transform;
