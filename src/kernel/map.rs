//! Contract of element-wise maps over strided tensors: activations, sums, products, copies.
//!
//! Each element of y depends on one element of every input. Broadcasting is a stride of zero, a
//! permutation an order of strides, so one contract also covers bias, PReLU, normalisation by
//! running statistics, transposition and the copies of concatenation.

use bytemuck::{Pod, Zeroable};

use crate::tensor::{Layout, MAX_RANK};
use crate::{Error, Result};

/// Most inputs of a map.
pub const MAX_INPUTS: usize = 5;

/// What a map computes from its inputs x0, x1, … and its numbers a, b.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapOp {
    /// a (no inputs).
    Fill = 0,
    /// x0.
    Copy = 1,
    /// max(x0, 0).
    Relu = 2,
    /// x0, or a·x0 below zero.
    LeakyRelu = 3,
    /// 1 / (1 + exp(-x0)).
    Sigmoid = 4,
    /// a·x0.
    Scale = 5,
    /// a·x0 + b·x1.
    Add = 6,
    /// x0·x1.
    Mul = 7,
    /// x0, or x1·x0 below zero.
    Prelu = 8,
    /// x0·x1 + x2.
    Affine = 9,
    /// (x0 - x1) / sqrt(x2 + a) · x3 + x4: mean, variance, weight, bias.
    Norm = 10,
    /// x0 / sqrt(x1 + a): the factor batch norm's weight and variance amount to.
    NormScale = 11,
    /// (x0 - x1)·x2 + x3: the bias batch norm leaves behind; mean, factor, bias.
    NormShift = 12,
    /// x0·Φ(x0), Φ the normal distribution: the Gaussian error linear unit.
    Gelu = 13,
    /// The larger of x0 and x1.
    Max = 14,
}

impl MapOp {
    const ALL: [MapOp; 15] = [
        MapOp::Fill,
        MapOp::Copy,
        MapOp::Relu,
        MapOp::LeakyRelu,
        MapOp::Sigmoid,
        MapOp::Scale,
        MapOp::Add,
        MapOp::Mul,
        MapOp::Prelu,
        MapOp::Affine,
        MapOp::Norm,
        MapOp::NormScale,
        MapOp::NormShift,
        MapOp::Gelu,
        MapOp::Max,
    ];

    /// Number of inputs.
    pub fn inputs(self) -> usize {
        match self {
            MapOp::Fill => 0,
            MapOp::Copy | MapOp::Relu | MapOp::LeakyRelu | MapOp::Sigmoid | MapOp::Scale | MapOp::Gelu => 1,
            MapOp::Add | MapOp::Mul | MapOp::Prelu | MapOp::NormScale | MapOp::Max => 2,
            MapOp::Affine => 3,
            MapOp::NormShift => 4,
            MapOp::Norm => 5,
        }
    }
}

/// Parameters of one map: extents and strides in elements, outermost first, unused axes of extent 1.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct MapParams {
    /// A [`MapOp`] as its number.
    pub op: u32,
    /// Used axes, after neighbouring axes that lie alike were merged.
    pub rank: u32,
    /// First number of the operation.
    pub a: f32,
    /// Second number of the operation.
    pub b: f32,
    /// Extents.
    pub dims: [u64; MAX_RANK],
    /// Strides of y.
    pub y_strides: [u64; MAX_RANK],
    /// Strides of each input.
    pub x_strides: [[u64; MAX_RANK]; MAX_INPUTS],
}

impl MapParams {
    /// A map of `inputs`, given by their strides along the axes of `y`.
    ///
    /// # Errors
    /// `Shape` when the number of inputs or of strides does not fit.
    pub fn new(op: MapOp, numbers: [f32; 2], y: &Layout, inputs: &[&[usize]]) -> Result<Self> {
        if inputs.len() != op.inputs() || inputs.iter().any(|s| s.len() != y.shape.len()) {
            return Err(Error::shape(format!("map {op:?} of {} inputs over {}", inputs.len(), y.shape)));
        }
        let mut p = Self {
            op: op as u32,
            rank: 0,
            a: numbers[0],
            b: numbers[1],
            dims: [1; MAX_RANK],
            y_strides: [0; MAX_RANK],
            x_strides: [[0; MAX_RANK]; MAX_INPUTS],
        };
        for axis in 0..y.shape.len() {
            let mut x = [0; MAX_INPUTS];
            for (to, from) in x.iter_mut().zip(inputs) {
                *to = from[axis] as u64;
            }
            p.push_axis(y.shape[axis] as u64, y.strides()[axis] as u64, x);
        }
        Ok(p)
    }

    /// Appends an inner axis, merged into the one before where every operand continues evenly.
    fn push_axis(&mut self, dim: u64, y: u64, x: [u64; MAX_INPUTS]) {
        if dim == 1 {
            return;
        }
        let rank = self.rank as usize;
        let last = rank.wrapping_sub(1);
        let continues = rank > 0
            && self.y_strides[last] == y * dim
            && x.iter().enumerate().all(|(i, s)| self.x_strides[i][last] == s * dim);
        let at = if continues {
            self.dims[last] *= dim;
            last
        } else {
            self.dims[rank] = dim;
            self.rank += 1;
            rank
        };
        self.y_strides[at] = y;
        for (i, s) in x.iter().enumerate() {
            self.x_strides[i][at] = *s;
        }
    }

    /// The operation, or an error if the number names none.
    pub fn map_op(&self) -> Result<MapOp> {
        MapOp::ALL
            .get(self.op as usize)
            .copied()
            .ok_or_else(|| Error::unsupported(format!("map: operation {}, known are 0 to 14", self.op)))
    }

    /// Elements of y.
    pub fn numel(&self) -> usize {
        self.dims.iter().product::<u64>() as usize
    }

    /// Elements of y from the first to one past the last.
    pub fn y_span(&self) -> usize {
        span(&self.dims, &self.y_strides)
    }

    /// Elements of an input from the first to one past the last.
    pub fn x_span(&self, input: usize) -> usize {
        span(&self.dims, &self.x_strides[input])
    }
}

fn span(dims: &[u64; MAX_RANK], strides: &[u64; MAX_RANK]) -> usize {
    if dims.contains(&0) {
        return 0;
    }
    1 + dims.iter().zip(strides).map(|(d, s)| (d - 1) * s).sum::<u64>() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    #[test]
    fn axes_that_lie_alike_merge() {
        let dense = Layout::dense(Shape::new(&[2, 3, 4, 5]).unwrap());
        let p = MapParams::new(MapOp::Copy, [0.0; 2], &dense, &[dense.strides()]).unwrap();
        assert_eq!((p.rank, p.dims[0], p.numel()), (1, 120, 120));
        let bias = [0, 1, 0, 0];
        let p = MapParams::new(MapOp::Add, [1.0; 2], &dense, &[dense.strides(), &bias]).unwrap();
        assert_eq!((p.rank, &p.dims[..3], p.x_span(1)), (3, &[2, 3, 20][..], 3));
    }

    #[test]
    fn numbers_name_operations() {
        for (i, op) in MapOp::ALL.iter().enumerate() {
            assert_eq!(*op as usize, i);
        }
    }
}
