//! Layer norm: each row's mean, then its variance, then the result, while the row is in the cache.

use super::args::Args;
use super::isa::Isa;
use super::pool::Pool;
use super::simd::{per_isa, Lanes};
use crate::kernel::norm::LayerNormParams;
use crate::Result;

/// Elements a part works on, about.
const PART: usize = 1 << 14;

/// Computes y.
///
/// # Safety
/// As [`Args`] says.
pub(super) unsafe fn run(p: &LayerNormParams, args: &Args, pool: &Pool) -> Result<()> {
    let isa = Isa::current()?;
    let (rows, n) = (p.rows as usize, p.n as usize);
    let each = (PART / n.max(1)).max(1);
    pool.run(rows.div_ceil(each), |part| {
        let rows = [part * each, ((part + 1) * each).min(rows)];
        // SAFETY: the rows lie within the spans; parts have rows of their own.
        unsafe { run_rows(isa, p, args, rows) }
    });
    Ok(())
}

per_isa!(unsafe fn run_rows = norm_rows(p: &LayerNormParams, args: &Args, rows: [usize; 2]));

/// # Safety
/// The rows are readable and writable, the instruction set is there.
#[inline(always)]
unsafe fn norm_rows<L: Lanes>(p: &LayerNormParams, args: &Args, [from, to]: [usize; 2]) {
    let n = p.n as usize;
    let whole = n - n % L::N;
    for row in from..to {
        // SAFETY: the caller's promise; an element of y is written after x and r were read there.
        unsafe {
            let x = args.x[0].add(row * n);
            let mean = total(x, n, |v: L| v, |v| v) / n as f32;
            let centre = L::splat(mean);
            let squares = total(
                x,
                n,
                |v: L| {
                    let d = v.sub(centre);
                    d.mul(d)
                },
                |v| (v - mean) * (v - mean),
            );
            let factor = 1.0 / (squares / n as f32 + p.eps).sqrt();
            let job = Row { args, at: row * n, residual: p.residual == 1, mean, factor };
            for i in (0..whole).step_by(L::N) {
                job.store::<L>(i);
            }
            for i in whole..n {
                job.store::<f32>(i);
            }
        }
    }
}

/// Σ f(v) over a row, in four vectors of partial sums.
///
/// # Safety
/// `n` elements are readable at `x`.
#[inline(always)]
unsafe fn total<L: Lanes>(
    x: *const f32,
    n: usize,
    vector: impl Fn(L) -> L,
    scalar: impl Fn(f32) -> f32,
) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [L::splat(0.0); 4];
        let mut at = 0;
        while n - at >= 4 * L::N {
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add(vector(L::load(x.add(at + k * L::N))));
            }
            at += 4 * L::N;
        }
        while n - at >= L::N {
            sums[0] = sums[0].add(vector(L::load(x.add(at))));
            at += L::N;
        }
        let mut sum = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
        for i in at..n {
            sum += scalar(*x.add(i));
        }
        sum
    }
}

/// What the elements of one row share.
struct Row<'a> {
    args: &'a Args,
    at: usize,
    residual: bool,
    mean: f32,
    factor: f32,
}

impl Row<'_> {
    /// Computes elements `i..i + L::N` of the row.
    ///
    /// # Safety
    /// As [`norm_rows`].
    #[inline(always)]
    unsafe fn store<L: Lanes>(&self, i: usize) {
        let args = self.args;
        // SAFETY: the caller's promise.
        unsafe {
            let x = L::load(args.x[0].add(self.at + i)).sub(L::splat(self.mean)).mul(L::splat(self.factor));
            let mut y = x.fma(L::load(args.x[1].add(i)), L::load(args.x[2].add(i)));
            if self.residual {
                y = y.add(L::load(args.x[3].add(self.at + i)));
            }
            y.store(args.y.add(self.at + i));
        }
    }
}
