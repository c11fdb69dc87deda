//! Operators that choose: the largest values, and entries by index.

use super::boxes::triples;
use super::{f32_of, Call, Lie, OpDef, Reach};
use crate::kernel::select::{GatherParams, TopKParams, MAX_INDEX};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// Of (n, m), the k largest with their indices, (n, k, 2), largest first; all when there are fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK(
    /// How many, k.
    pub usize,
);

/// The entries of (n or 1, m, width) that the last numbers of (n, k, …) name, (n, k, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather;

impl OpDef for TopK {
    const NAME: &'static str = "top_k";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let [rows, m] = match ins {
            [x] => <[usize; 2]>::try_from(&*x.shape).ok(),
            _ => None,
        }
        .ok_or_else(|| Error::shape("the largest of one tensor of rank two"))?;
        if m as u64 > MAX_INDEX || self.0 == 0 {
            return Err(Error::shape(format!("the largest {} of {m} values (at most {MAX_INDEX})", self.0)));
        }
        f32_of(&[rows, self.0.min(m), 2])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
        let [rows, m] = [ins[0].shape[0], ins[0].shape[1]].map(|v| v as u64);
        Ok(vec![Call::of(Kernel::TopK(TopKParams { rows, m, k: y.shape[1] as u64 }), [0])])
    }
}

impl Gather {
    fn params(ins: &[[usize; 3]; 2]) -> Result<GatherParams> {
        let [x, index] = *ins;
        let shared = x[0] == 1 && index[0] != 1;
        if !(shared || x[0] == index[0]) || x[1] == 0 || x[1] as u64 > MAX_INDEX || index[2] == 0 {
            return Err(Error::shape(format!("entries of {x:?} named by {index:?}")));
        }
        let [m, width, batch, k, index_width] = [x[1], x[2], index[0], index[1], index[2]].map(|v| v as u64);
        Ok(GatherParams { batch, m, k, width, index_width, shared: u64::from(shared) })
    }
}

impl OpDef for Gather {
    const NAME: &'static str = "gather";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let shapes: Vec<&[usize]> = ins.iter().map(|s| &*s.shape).collect();
        let shapes = triples::<2>(&shapes)?;
        Self::params(&shapes)?;
        f32_of(&[shapes[1][0], shapes[1][1], shapes[0][2]])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let shapes: Vec<&[usize]> = ins.iter().map(|l| &*l.shape).collect();
        Ok(vec![Call::of(Kernel::Gather(Self::params(&triples::<2>(&shapes)?)?), 0..2)])
    }
}
