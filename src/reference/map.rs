//! Element-wise maps.

use super::Element;
use crate::kernel::map::{MapOp, MapParams};
use crate::Result;

/// Computes y from the inputs.
pub(super) fn run<T: Element>(p: &MapParams, x: &[Vec<T>], y: &mut [T]) -> Result<()> {
    let op = p.map_op()?;
    let (a, b) = (T::from_f32(p.a), T::from_f32(p.b));
    for element in 0..p.numel() {
        let mut rest = element as u64;
        let mut index = [0; 6];
        for axis in (0..6).rev() {
            index[axis] = rest % p.dims[axis];
            rest /= p.dims[axis];
        }
        let at = |strides: &[u64; 6]| index.iter().zip(strides).map(|(i, s)| i * s).sum::<u64>() as usize;
        let v = |k: usize| x[k][at(&p.x_strides[k])];
        y[at(&p.y_strides)] = apply(op, a, b, &v);
    }
    Ok(())
}

fn apply<T: Element>(op: MapOp, a: T, b: T, v: &impl Fn(usize) -> T) -> T {
    let (zero, one) = (T::from_f32(0.0), T::from_f32(1.0));
    let below = |slope: T| if v(0) < zero { v(0) * slope } else { v(0) };
    match op {
        MapOp::Fill => a,
        MapOp::Copy => v(0),
        MapOp::Relu => {
            if v(0) < zero {
                zero
            } else {
                v(0)
            }
        }
        MapOp::LeakyRelu => below(a),
        MapOp::Sigmoid => one / (one + (zero - v(0)).exp()),
        MapOp::Scale => a * v(0),
        MapOp::Add => a * v(0) + b * v(1),
        MapOp::Mul => v(0) * v(1),
        MapOp::Prelu => below(v(1)),
        MapOp::Affine => v(0) * v(1) + v(2),
        MapOp::Norm => (v(0) - v(1)) / (v(2) + a).sqrt() * v(3) + v(4),
        MapOp::NormScale => v(0) / (v(1) + a).sqrt(),
        MapOp::NormShift => (v(0) - v(1)) * v(2) + v(3),
        MapOp::Gelu => v(0).gelu(),
        MapOp::Max if v(1) > v(0) || v(1) != v(1) => v(1),
        MapOp::Max => v(0),
    }
}
