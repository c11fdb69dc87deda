//! Writing named tensors: safetensors and `.pth`. The final name appears only once the file is whole.

mod atomic;
mod pickle;
mod pth;
mod safetensors;

use std::borrow::Cow;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::state_dict::StateDict;

pub use pth::{write_pth, TensorSet};
pub use safetensors::write_safetensors;

/// A tensor to be written: little-endian elements, row-major.
#[derive(Debug, Clone)]
pub struct NamedTensor<'a> {
    /// The network's own name for it.
    pub name: Cow<'a, str>,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Cow<'a, [usize]>,
    /// The elements.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> NamedTensor<'a> {
    /// A tensor of `f32`.
    pub fn f32(name: &'a str, shape: &'a [usize], data: &'a [f32]) -> Self {
        let bytes = if cfg!(target_endian = "little") {
            Cow::Borrowed(bytemuck::cast_slice(data))
        } else {
            Cow::Owned(data.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        Self { name: Cow::Borrowed(name), dtype: DType::F32, shape: Cow::Borrowed(shape), bytes }
    }

    fn check(&self) -> Result<()> {
        let bytes = self.shape.iter().try_fold(self.dtype.size(), |n, &d| n.checked_mul(d));
        if bytes != Some(self.bytes.len()) {
            return Err(Error::format(format!(
                "tensor {} has {} bytes, not those of shape {:?}",
                self.name,
                self.bytes.len(),
                self.shape
            )));
        }
        Ok(())
    }
}

impl StateDict<'_> {
    /// All tensors, ready to be written. Gapless ones stay in the mapped file until then.
    ///
    /// # Errors
    /// `Format` for a storage outside the file.
    pub fn named_tensors(&self) -> Result<Vec<NamedTensor<'_>>> {
        let named = |info: &'_ crate::TensorInfo| self.checkpoint().bytes_of(info);
        self.tensors()
            .map(|info| {
                Ok(NamedTensor {
                    name: Cow::Borrowed(info.name.as_str()),
                    dtype: info.dtype,
                    shape: Cow::Borrowed(info.shape.as_slice()),
                    bytes: named(info)?,
                })
            })
            .collect()
    }
}

/// Checks sizes and that names are distinct.
fn check_all(tensors: &[NamedTensor<'_>]) -> Result<()> {
    let mut seen = std::collections::HashSet::with_capacity(tensors.len());
    for tensor in tensors {
        tensor.check()?;
        if !seen.insert(tensor.name.as_ref()) {
            return Err(Error::format(format!("two tensors are called {}", tensor.name)));
        }
    }
    Ok(())
}
