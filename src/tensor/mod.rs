//! Element types, shapes and the description of one tensor.

mod dtype;
mod layout;
mod shape;
mod store;

pub use dtype::DType;
pub use layout::Layout;
pub use shape::{Shape, MAX_RANK};
pub use store::{MemoryStore, TensorStore};

/// What a tensor is, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorSpec {
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Shape,
}

impl TensorSpec {
    /// An f32 tensor of the given extents.
    pub fn f32(shape: Shape) -> Self {
        Self { dtype: DType::F32, shape }
    }

    /// Bytes of the densely packed tensor; `None` on overflow.
    pub fn bytes(&self) -> Option<usize> {
        self.shape.numel().checked_mul(self.dtype.size())
    }
}
