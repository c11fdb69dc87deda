//! Reductions and softmax over one axis.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::reduce::{AxisParams, ReduceMode};
use crate::Result;

/// Elements of the result a part works on.
const PART: usize = 4096;

/// Computes a reduction.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of x.
pub(super) unsafe fn run(p: &AxisParams, args: &Args, pool: &Pool) -> Result<()> {
    let mode = p.reduce_mode()?;
    // SAFETY: as this function's; a line writes its own elements, each after reading it.
    unsafe {
        for_lines(p, args, pool, |line, y| {
            let value = match mode {
                ReduceMode::Max => {
                    line.values().fold(line.at(0), |a, b| if b.total_cmp(&a).is_gt() { b } else { a })
                }
                ReduceMode::Mean => line.values().sum::<f32>() / line.n as f32,
                ReduceMode::LowerMedian => line.lower_median(),
            };
            *y.add(line.outer * line.inner + line.i) = value;
        });
    }
    Ok(())
}

/// Computes a softmax.
///
/// # Safety
/// As [`Args`] says.
pub(super) unsafe fn softmax(p: &AxisParams, args: &Args, pool: &Pool) {
    // SAFETY: as this function's; a line writes its own elements, each after reading it.
    unsafe {
        for_lines(p, args, pool, |line, y| {
            let largest = line.values().fold(line.at(0), |a, b| if b > a { b } else { a });
            let sum: f32 = line.values().map(|v| (v - largest).exp()).sum();
            for k in 0..line.n {
                *y.add(line.offset(k)) = (line.at(k) - largest).exp() / sum;
            }
        });
    }
}

/// The n values at one place of the other axes.
struct Line {
    x: *const f32,
    outer: usize,
    i: usize,
    n: usize,
    inner: usize,
}

impl Line {
    fn offset(&self, k: usize) -> usize {
        (self.outer * self.n + k) * self.inner + self.i
    }

    fn at(&self, k: usize) -> f32 {
        // SAFETY: `for_lines` makes lines within the span of x, and `k` is below n.
        unsafe { *self.x.add(self.offset(k)) }
    }

    fn values(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.n).map(|k| self.at(k))
    }

    /// The value that (n - 1) / 2 others come before, in the total order, earlier of equals first.
    fn lower_median(&self) -> f32 {
        let before = |k: usize| {
            let v = self.at(k);
            let smaller =
                |(j, o): &(usize, f32)| o.total_cmp(&v).is_lt() || (o.total_cmp(&v).is_eq() && *j < k);
            self.values().enumerate().filter(smaller).count()
        };
        let middle = (0..self.n).find(|&k| before(k) == (self.n - 1) / 2);
        self.at(middle.unwrap_or(0))
    }
}

/// Calls `f` with every line and the start of y.
///
/// # Safety
/// x is readable for its span; `f` writes elements of y that belong to its line only.
unsafe fn for_lines(p: &AxisParams, args: &Args, pool: &Pool, f: impl Fn(&Line, *mut f32) + Sync) {
    let (outer, n, inner) = (p.outer as usize, p.n as usize, p.inner as usize);
    let lines = outer * inner;
    pool.run(lines.div_ceil(PART), |part| {
        let args = *args;
        for index in part * PART..((part + 1) * PART).min(lines) {
            let line = Line { x: args.x[0], outer: index / inner, i: index % inner, n, inner };
            f(&line, args.y);
        }
    });
}
