//! Named tensors as a network asks for them, wherever they come from.

use std::collections::HashMap;

use super::shape::Shape;
use crate::error::{Error, Result};

/// Named tensors. Implemented by checkpoints; [`MemoryStore`] keeps them in memory.
pub trait TensorStore: Send + Sync {
    /// Extents of the tensor of that name; `None` when there is none.
    fn shape(&self, name: &str) -> Option<Shape>;

    /// Writes the tensor's elements, row-major and converted to f32, into `out`, which is as long
    /// as its shape says.
    ///
    /// # Errors
    /// `Weights` when there is no such tensor or its length differs; `Format` or `Io` from a file.
    fn read(&self, name: &str, out: &mut [f32]) -> Result<()>;

    /// The same elements where they lie, where they lie so in memory.
    fn view(&self, _name: &str) -> Option<&[f32]> {
        None
    }

    /// Says that nobody will read the tensor soon: a mapped file's part of memory can be taken back.
    fn let_go(&self, _name: &str) {}
}

/// Tensors kept in memory.
#[derive(Debug, Default, Clone)]
pub struct MemoryStore {
    tensors: HashMap<String, (Shape, Vec<f32>)>,
}

impl MemoryStore {
    /// Without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a tensor.
    ///
    /// # Errors
    /// `Shape` when `data` is not as long as `dims` say.
    pub fn insert(&mut self, name: impl Into<String>, dims: &[usize], data: Vec<f32>) -> Result<()> {
        let (name, shape) = (name.into(), Shape::new(dims)?);
        if data.len() != shape.numel() {
            return Err(Error::shape(format!("tensor {name} {shape}: {} elements given", data.len())));
        }
        self.tensors.insert(name, (shape, data));
        Ok(())
    }
}

impl TensorStore for MemoryStore {
    fn view(&self, name: &str) -> Option<&[f32]> {
        self.tensors.get(name).map(|(_, data)| data.as_slice())
    }

    fn shape(&self, name: &str) -> Option<Shape> {
        self.tensors.get(name).map(|(shape, _)| *shape)
    }

    fn read(&self, name: &str, out: &mut [f32]) -> Result<()> {
        match self.tensors.get(name) {
            Some((_, data)) if data.len() == out.len() => out.copy_from_slice(data),
            Some((shape, _)) => {
                return Err(Error::weights(format!(
                    "tensor {name} is {shape}, {} elements wanted",
                    out.len()
                )))
            }
            None => return Err(Error::weights(format!("no tensor named {name}"))),
        }
        Ok(())
    }
}
