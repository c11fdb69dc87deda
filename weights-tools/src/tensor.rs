//! One tensor of a checkpoint: its name, type and layout within a storage, and gathering of strided elements.

use std::borrow::Cow;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::limits::{within, Limits};

/// Name, type and layout of one tensor. `shape`, `strides` and `offset` count elements.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Path within the file, parts joined by dots (`params_ema.conv_first.weight`).
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension.
    pub strides: Vec<usize>,
    /// Index of the storage in the checkpoint; tensors with equal indices share memory.
    pub storage: usize,
    /// The storage's own name in the file (`17`; a tensor's name for safetensors).
    pub storage_key: String,
    /// First element within the storage.
    pub offset: usize,
}

impl TensorInfo {
    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the tensor when laid out without gaps.
    pub fn bytes(&self) -> usize {
        self.numel() * self.dtype.size()
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        is_contiguous(&self.shape, &self.strides)
    }
}

/// A tensor's layout as a file claims it, not yet believed.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
}

impl Layout {
    /// Checks rank, overflow, and that every element lies within `storage_bytes`.
    /// Errors name the shape, then the bound.
    pub fn check(&self, storage_bytes: u64, limits: &Limits) -> Result<()> {
        within("a tensor of rank", self.shape.len() as u64, limits.rank as u64)?;
        if self.shape.len() != self.strides.len() {
            return Err(Error::format(format!("{} has strides {:?}", self.describe(), self.strides)));
        }
        let bytes = self.shape.iter().try_fold(self.dtype.size(), |n, &d| n.checked_mul(d));
        let Some(bytes) = bytes.filter(|&b| b <= isize::MAX as usize) else {
            return Err(Error::limit(format!("{} is larger than memory can address", self.describe())));
        };
        let end = if bytes == 0 { Some(self.offset) } else { self.end() };
        let end_bytes = end.and_then(|e| e.checked_mul(self.dtype.size()));
        match end_bytes {
            Some(end) if end as u64 <= storage_bytes => Ok(()),
            _ => Err(Error::format(format!(
                "{} with strides {:?} at offset {} reaches outside its storage of {storage_bytes} bytes",
                self.describe(),
                self.strides,
                self.offset
            ))),
        }
    }

    /// One past the last element, for a tensor that has elements.
    fn end(&self) -> Option<usize> {
        let mut last = self.offset;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add(extent.saturating_sub(1).checked_mul(stride)?)?;
        }
        last.checked_add(1)
    }

    fn describe(&self) -> String {
        format!("a tensor of {} with shape {:?}", self.dtype, self.shape)
    }
}

/// Row-major strides of a shape.
pub fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    let mut step = 1usize;
    for (stride, &extent) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(extent.max(1));
    }
    strides
}

fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let expected = row_major(shape);
    shape.iter().zip(strides).zip(&expected).all(|((&n, s), e)| n == 1 || s == e)
}

/// The tensor's elements in row-major order, borrowed where they already lie so.
/// `storage` is the whole storage; a tensor that reaches outside it is an error.
pub(crate) fn gather<'a>(info: &TensorInfo, storage: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let size = info.dtype.size();
    let outside = || Error::format(format!("tensor {} reaches outside its storage", info.name));
    if info.numel() == 0 {
        return Ok(Cow::Borrowed(&[]));
    }
    if info.is_contiguous() {
        let start = info.offset * size;
        return storage.get(start..start + info.bytes()).map(Cow::Borrowed).ok_or_else(outside);
    }
    let mut out = Vec::with_capacity(info.bytes());
    let mut index = vec![0usize; info.shape.len()];
    let mut at = info.offset;
    for _ in 0..info.numel() {
        let start = at * size;
        out.extend_from_slice(storage.get(start..start + size).ok_or_else(outside)?);
        at = advance(&mut index, &info.shape, &info.strides, at);
    }
    Ok(Cow::Owned(out))
}

/// Moves `index` to the next element in row-major order and returns its place in the storage.
/// Wrapping, because the stride of a dimension of extent 1 may be any number.
fn advance(index: &mut [usize], shape: &[usize], strides: &[usize], mut at: usize) -> usize {
    for ((i, &extent), &stride) in index.iter_mut().zip(shape).zip(strides).rev() {
        *i += 1;
        at = at.wrapping_add(stride);
        if *i < extent {
            return at;
        }
        at = at.wrapping_sub(stride.wrapping_mul(extent));
        *i = 0;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(shape: &[usize], strides: &[usize], offset: usize) -> TensorInfo {
        TensorInfo {
            name: "t".into(),
            dtype: DType::U8,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            storage: 0,
            storage_key: "0".into(),
            offset,
        }
    }

    #[test]
    fn strided_views_gather_in_row_major_order() {
        let storage: Vec<u8> = (0..24).collect();
        assert_eq!(*gather(&info(&[2, 3], &[6, 1], 8), &storage).unwrap(), [8, 9, 10, 14, 15, 16]);
        assert_eq!(*gather(&info(&[3, 2], &[1, 6], 0), &storage).unwrap(), [0, 6, 1, 7, 2, 8]);
        assert_eq!(*gather(&info(&[2, 2], &[0, 1], 5), &storage).unwrap(), [5, 6, 5, 6]);
        assert_eq!(*gather(&info(&[], &[], 23), &storage).unwrap(), [23]);
        assert!(gather(&info(&[0, 4], &[4, 1], 0), &[]).unwrap().is_empty());
    }

    #[test]
    fn contiguous_tensors_are_borrowed() {
        let storage = [0u8; 24];
        assert!(matches!(gather(&info(&[4, 1, 6], &[6, 99, 1], 0), &storage), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn layouts_outside_the_storage_or_absurd_are_refused() {
        let check = |shape: &[usize], strides: &[usize], offset| {
            Layout { dtype: DType::F32, shape: shape.to_vec(), strides: strides.to_vec(), offset }
                .check(96, &Limits::default())
        };
        check(&[4, 6], &[6, 1], 0).unwrap();
        check(&[0, 4], &[4, 1], 24).unwrap();
        assert!(check(&[4, 6], &[6, 1], 1)
            .unwrap_err()
            .to_string()
            .contains("outside its storage of 96 bytes"));
        assert!(check(&[0, 4], &[4, 1], 25).is_err());
        assert!(check(&[usize::MAX, 2], &[0, 0], 0).unwrap_err().to_string().contains("larger than memory"));
        assert!(check(&[2, 2], &[usize::MAX, 1], 0).is_err());
        assert!(check(&[1; 17], &[1; 17], 0).unwrap_err().to_string().contains("rank 17"));
    }
}
