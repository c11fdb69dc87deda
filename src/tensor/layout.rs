//! How a tensor lies in memory: shape, strides and offset, all in elements.

use super::shape::{Shape, MAX_RANK};

/// Where the elements of a tensor lie: element `i` is at `offset + Σ i[k]·strides[k]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Extents, outermost first.
    pub shape: Shape,
    strides: [usize; MAX_RANK],
    /// Position of the first element.
    pub offset: usize,
}

impl Layout {
    /// Row-major without gaps, from element 0.
    pub fn dense(shape: Shape) -> Self {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..shape.len()).rev() {
            strides[axis] = step;
            step *= shape[axis];
        }
        Self { shape, strides, offset: 0 }
    }

    /// Elements to step per axis.
    pub fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.len()]
    }

    /// The same layout, moved by `elements`.
    #[must_use]
    pub fn shifted(mut self, elements: usize) -> Self {
        self.offset += elements;
        self
    }

    /// Whether the axes from `axis` on lie row-major without gaps (axes of extent 1 lie anyhow).
    pub fn is_dense_from(&self, axis: usize) -> bool {
        let mut step = 1;
        for k in (axis..self.shape.len()).rev() {
            if self.shape[k] != 1 && self.strides[k] != step {
                return false;
            }
            step *= self.shape[k];
        }
        true
    }

    /// Whether the whole tensor lies row-major without gaps.
    pub fn is_dense(&self) -> bool {
        self.is_dense_from(0)
    }

    /// Elements from the first to one past the last.
    pub fn span(&self) -> usize {
        if self.shape.numel() == 0 {
            return 0;
        }
        1 + self.shape.iter().zip(self.strides()).map(|(d, s)| (d - 1) * s).sum::<usize>()
    }

    /// The part `start..start + len` of one axis.
    #[must_use]
    pub fn narrow(mut self, axis: usize, start: usize, len: usize) -> Self {
        self.offset += start * self.strides[axis];
        self.shape = self.shape.with(axis, len);
        self
    }

    /// The axes in another order: axis `k` of the result is axis `order[k]` of this.
    #[must_use]
    pub fn permuted(&self, order: &[usize]) -> Self {
        let mut out = *self;
        for (k, &axis) in order.iter().enumerate() {
            out.shape = out.shape.with(k, self.shape[axis]);
            out.strides[k] = self.strides[axis];
        }
        out
    }

    /// The same elements in the same order under other extents; `None` where strides cannot express it.
    pub fn reshaped(&self, shape: Shape) -> Option<Self> {
        if shape.numel() != self.shape.numel() {
            return None;
        }
        let mut out = Self { shape, strides: [0; MAX_RANK], offset: self.offset };
        let (mut old, mut new) = (self.shape.len(), shape.len());
        // Match groups of axes of equal product, innermost first; each old group must be one run.
        while old > 0 || new > 0 {
            let (old_end, new_end) = (old, new);
            let (mut old_numel, mut new_numel) = (1, 1);
            if old > 0 {
                old -= 1;
                old_numel = self.shape[old];
            }
            if new > 0 {
                new -= 1;
                new_numel = shape[new];
            }
            while old_numel != new_numel {
                if old_numel < new_numel {
                    old = old.checked_sub(1)?;
                    old_numel *= self.shape[old];
                } else {
                    new = new.checked_sub(1)?;
                    new_numel *= shape[new];
                }
            }
            let mut step = self.run_stride(old, old_end)?;
            for k in (new..new_end).rev() {
                out.strides[k] = step;
                step *= shape[k];
            }
        }
        Some(out)
    }

    /// The stride of the innermost of axes `from..to` if together they are one evenly spaced run.
    fn run_stride(&self, from: usize, to: usize) -> Option<usize> {
        let mut inner = None;
        let mut expected = 0;
        for k in (from..to).rev().filter(|&k| self.shape[k] != 1) {
            match inner {
                None => inner = Some(self.strides[k]),
                Some(_) if self.strides[k] != expected => return None,
                Some(_) => {}
            }
            expected = self.strides[k] * self.shape[k];
        }
        Some(inner.unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    #[test]
    fn a_channel_slice_is_dense_within_a_batch_item() {
        let slab = Layout::dense(shape(&[2, 8, 3, 3]));
        let part = slab.narrow(1, 2, 4);
        assert_eq!((part.offset, part.strides()[0]), (18, 72));
        assert!(part.is_dense_from(1) && !part.is_dense());
        assert_eq!(part.span(), 72 + 36);
    }

    #[test]
    fn reshape_keeps_the_order_or_refuses() {
        let part = Layout::dense(shape(&[2, 8, 3, 3])).narrow(1, 2, 4);
        let flat = part.reshaped(shape(&[2, 36])).unwrap();
        assert_eq!((flat.strides(), flat.offset), (&[72, 1][..], 18));
        assert!(part.reshaped(shape(&[72])).is_none());
        let split = part.reshaped(shape(&[1, 2, 2, 2, 9])).unwrap();
        assert_eq!(&split.strides()[1..], &[72, 18, 9, 1]);
    }

    #[test]
    fn permuting_moves_strides() {
        let t = Layout::dense(shape(&[2, 3, 4])).permuted(&[2, 0, 1]);
        assert_eq!((&*t.shape, t.strides()), (&[4, 2, 3][..], &[1, 12, 4][..]));
    }
}
