//! Some heads of one window.
//!
//! Queries, keys and values are gathered from the token map by index arithmetic, so the map is neither
//! rolled nor cut; keys are transposed on the way. Logits of some queries are then a product of small
//! matrices in the first-level cache, their softmax is taken in place, and their product with the values
//! is scattered back, as words (`simd::Factors`) where it is handed on.

use super::softmax::{softmax, Query};
use super::{Sizes, LINE, QUERIES};
use crate::cpu::args::Args;
use crate::cpu::matmul::accumulate;
use crate::cpu::scales::Scales;
use crate::cpu::simd::{Factors, Lanes, MOST};
use crate::kernel::attention::{WindowAttentionParams, MAX_LOGIT_SCALE};

/// Vectors of a product's panel.
const VECTORS: usize = 2;
/// The least length of a query or key.
const LEAST_LENGTH: f32 = 1e-12;

/// A window of a map.
pub(super) struct Window<'a> {
    pub p: &'a WindowAttentionParams,
    pub args: &'a Args,
    pub bias: &'a [f32],
    pub sizes: &'a Sizes,
    pub buffer: *mut f32,
    pub image: usize,
    pub at: [usize; 2],
}

/// A part's buffer, cut up. Rows of queries and keys are whole vectors apart.
struct Buffers {
    /// Each token's place in the map, counted from one; zero for padding.
    sources: *mut f32,
    /// Each token's mask region.
    regions: *mut f32,
    /// What each query, and each key, is multiplied by.
    factors: [*mut f32; 2],
    /// Queries and keys, token by token.
    rows: [*mut f32; 2],
    /// Keys in panels of tokens, element by element.
    k: *mut f32,
    /// Values in panels of elements, token by token.
    v: *mut f32,
    /// Logits of some queries.
    logits: *mut f32,
    /// Their results.
    mixed: *mut f32,
    /// A square of lanes and the same transposed.
    squares: [*mut f32; 2],
}

/// Computes heads `from..to`, `R` queries at a time.
///
/// # Safety
/// As [`super::run`]; the instruction set is there.
#[inline(always)]
pub(super) unsafe fn some_heads<F: Factors, const R: usize>(job: &Window, [from, to]: [usize; 2]) {
    let Sizes { tokens, keys, values } = *job.sizes;
    // SAFETY: the buffers follow each other as `Sizes::part` counts them.
    unsafe {
        let q = job.buffer.add(4 * keys);
        let logits = q.add(4 * keys * values);
        let squares = logits.add(QUERIES * (keys + values));
        let buffers = Buffers {
            sources: job.buffer,
            regions: job.buffer.add(keys),
            factors: [job.buffer.add(2 * keys), job.buffer.add(3 * keys)],
            rows: [q, q.add(keys * values)],
            k: q.add(2 * keys * values),
            v: q.add(3 * keys * values),
            logits,
            mixed: logits.add(QUERIES * keys),
            squares: [squares, squares.add(MOST * MOST)],
        };
        let masked = job.places(&buffers);
        job.expect::<F::Sums>(&buffers, from, [0, tokens]);
        if tokens < keys {
            // What queries and keys are filled up with.
            std::slice::from_raw_parts_mut(q, 2 * keys * values).fill(0.0);
        }
        for head in from..to {
            job.weigh::<F::Sums>(&buffers, head);
            job.gather::<F::Sums>(&buffers, head);
            job.gather_values::<F::Sums>(&buffers, head);
            job.attend::<F, R>(&buffers, head, (head + 1 < to).then_some(head + 1), masked);
        }
    }
}

impl Window<'_> {
    /// Fills in where the window's tokens come from and their mask regions; gives whether regions differ.
    ///
    /// # Safety
    /// As [`some_heads`].
    #[inline(always)]
    unsafe fn places(&self, buffers: &Buffers) -> bool {
        let (p, w) = (self.p, self.p.window as usize);
        let mut masked = false;
        for token in 0..self.sizes.tokens {
            let row = self.at[0] * w + token / w;
            let column = self.at[1] * w + token % w;
            let place = p.source(0, row).zip(p.source(1, column));
            let source = place.map_or(0, |(row, column)| (row * p.size[1] as usize + column + 1) as u32);
            let region = p.region(0, row) * 3 + p.region(1, column);
            // SAFETY: `token` is below `keys`. A place's bits are kept in a float that nobody computes with.
            unsafe {
                *buffers.sources.add(token).cast::<u32>() = source;
                *buffers.regions.add(token) = region as f32;
                masked |= region as f32 != *buffers.regions;
            }
        }
        for token in self.sizes.tokens..self.sizes.keys {
            // SAFETY: as above.
            unsafe { *buffers.regions.add(token) = *buffers.regions };
        }
        masked
    }

    /// The token's place in the map; `None` for padding.
    ///
    /// # Safety
    /// `places` was called, `token` is below the window's tokens.
    #[inline(always)]
    unsafe fn source(&self, buffers: &Buffers, token: usize) -> Option<usize> {
        // SAFETY: the caller's promise.
        let source = unsafe { *buffers.sources.add(token).cast::<u32>() } as usize;
        let map = self.p.size[0] as usize * self.p.size[1] as usize;
        (source > 0).then(|| self.image * map + source - 1)
    }

    /// A head's query of a token, in x or the padding; its key and its value lie as many elements further on as there
    /// are channels, and twice as many.
    ///
    /// # Safety
    /// As [`Window::source`].
    #[inline(always)]
    unsafe fn query(&self, buffers: &Buffers, token: usize, head: usize) -> *const f32 {
        // SAFETY: the caller's promise; tokens of the map lie in x.
        unsafe {
            let from = match self.source(buffers, token) {
                Some(source) => self.args.x[0].add(source * 3 * self.p.channels()),
                None => self.args.x[1],
            };
            from.add(head * self.p.head_dim as usize)
        }
    }

    /// Asks for what a head reads of tokens `from..to`: they lie where no prefetcher of the processor looks.
    ///
    /// # Safety
    /// As [`Window::source`], for all of them.
    #[inline(always)]
    unsafe fn expect<L: Lanes>(&self, buffers: &Buffers, head: usize, [from, to]: [usize; 2]) {
        let (c, d) = (self.p.channels(), self.p.head_dim as usize);
        for token in from..to {
            // SAFETY: the caller's promise; an address is all that is needed.
            let q = unsafe { self.query(buffers, token, head) };
            for i in (0..d).step_by(LINE) {
                (0..3).for_each(|part| L::prefetch(q.wrapping_add(part * c + i)));
            }
        }
    }

    /// Fills in what a head's queries and keys are multiplied by: queries by the head's own factor, both by their
    /// inverse lengths in cosine attention.
    ///
    /// # Safety
    /// As [`some_heads`].
    #[inline(always)]
    unsafe fn weigh<L: Lanes>(&self, buffers: &Buffers, head: usize) {
        let (c, d, keys) = (self.p.channels(), self.p.head_dim as usize, self.sizes.keys);
        // SAFETY: places in the buffers are below their lengths; tokens lie in x or in the padding's.
        unsafe {
            let [q, k] = buffers.factors.map(|at| std::slice::from_raw_parts_mut(at, keys));
            if self.p.cosine == 0 {
                q.fill(1.0 / (d as f32).sqrt());
                return k.fill(1.0);
            }
            let factor = (*self.args.x[3].add(head)).min(MAX_LOGIT_SCALE as f32).exp();
            for (factors, part, factor) in [(q, 0, factor), (k, c, 1.0)] {
                for (block, factors) in factors.chunks_exact_mut(L::N).enumerate() {
                    for lane in 0..L::N {
                        let token = (block * L::N + lane).min(self.sizes.tokens - 1);
                        let from = self.query(buffers, token, head).add(part);
                        squares::<L>(from, d).store(buffers.squares[0].add(lane * L::N));
                    }
                    sums_of_rows::<L>(buffers.squares).store(factors.as_mut_ptr());
                }
                for v in factors.iter_mut() {
                    let length = v.sqrt();
                    *v = factor / if length < LEAST_LENGTH { LEAST_LENGTH } else { length };
                }
            }
        }
    }

    /// Gathers a head's queries and keys, scaled as logits want them, and transposes keys.
    ///
    /// # Safety
    /// As [`some_heads`]; the head was weighed.
    #[inline(always)]
    unsafe fn gather<L: Lanes>(&self, buffers: &Buffers, head: usize) {
        let (c, d) = (self.p.channels(), self.p.head_dim as usize);
        let (columns, row, whole) = (VECTORS * L::N, d.next_multiple_of(L::N), d - d % L::N);
        // SAFETY: tokens lie in x or in the padding's; places in the buffers are below their lengths.
        unsafe {
            for token in 0..self.sizes.tokens {
                let q = self.query(buffers, token, head);
                for part in 0..2 {
                    let (from, to) = (q.add(part * c), buffers.rows[part].add(token * row));
                    let factor = *buffers.factors[part].add(token);
                    for i in (0..whole).step_by(L::N) {
                        L::load(from.add(i)).mul(L::splat(factor)).store(to.add(i));
                    }
                    for i in whole..d {
                        *to.add(i) = *from.add(i) * factor;
                    }
                }
            }
            for token in (0..self.sizes.keys).step_by(L::N) {
                let from = buffers.rows[1].add(token * row);
                let panel = buffers.k.add(token / columns * row * columns + token % columns);
                for i in (0..row).step_by(L::N) {
                    L::transpose(from.add(i), row, panel.add(i * columns), columns);
                }
            }
        }
    }

    /// Gathers a head's values.
    ///
    /// # Safety
    /// As [`some_heads`].
    #[inline(always)]
    unsafe fn gather_values<L: Lanes>(&self, buffers: &Buffers, head: usize) {
        let (c, d, tokens) = (self.p.channels(), self.p.head_dim as usize, self.sizes.tokens);
        let columns = VECTORS * L::N;
        for token in 0..tokens {
            for i in (0..d).step_by(L::N) {
                // SAFETY: as for queries and keys.
                unsafe {
                    let value: L = some(self.query(buffers, token, head).add(2 * c + i), d - i);
                    let at = (i / columns * tokens + token) * columns + i % columns;
                    value.store(buffers.v.add(at));
                }
            }
        }
    }

    /// Attention of all queries of a head, `R` at a time; asks for what the next head reads meanwhile.
    ///
    /// # Safety
    /// As [`some_heads`]; the head was gathered.
    #[inline(always)]
    unsafe fn attend<F: Factors, const R: usize>(
        &self,
        buffers: &Buffers,
        head: usize,
        next: Option<usize>,
        masked: bool,
    ) {
        let (c, d) = (self.p.channels(), self.p.head_dim as usize);
        let Sizes { tokens, keys, values } = *self.sizes;
        let lanes = F::Sums::N;
        let (columns, row) = (VECTORS * lanes, d.next_multiple_of(lanes));
        for first in (0..tokens).step_by(R) {
            // SAFETY: rows up to the next multiple of `R` exist in the buffers; the last may hold anything,
            // which is not stored.
            unsafe {
                if let Some(next) = next {
                    self.expect::<F::Sums>(buffers, next, [first, tokens.min(first + R)]);
                }
                for panel in 0..keys / columns {
                    let q = buffers.rows[0].add(first * row);
                    let k = buffers.k.add(panel * row * columns);
                    let logits = buffers.logits.add(panel * columns);
                    accumulate::<F::Sums, R, VECTORS>(q, row, k, logits, keys, d, true);
                }
                let mut queries: [Query; R] = std::array::from_fn(|r| {
                    let token = (first + r).min(tokens - 1);
                    Query {
                        bias: self.bias[(head * tokens + token) * keys..].as_ptr(),
                        region: masked.then(|| *buffers.regions.add(token)),
                        share: 0.0,
                    }
                });
                softmax::<F::Sums>(buffers.logits, keys, buffers.regions, &mut queries);
                for panel in 0..d.div_ceil(columns) {
                    let v = buffers.v.add(panel * tokens * columns);
                    let mixed = buffers.mixed.add(panel * columns);
                    accumulate::<F::Sums, R, VECTORS>(buffers.logits, keys, v, mixed, values, tokens, true);
                }
                for (r, query) in queries.iter().take(tokens - first).enumerate() {
                    let Some(source) = self.source(buffers, first + r) else { continue };
                    let (from, at) = (buffers.mixed.add(r * values), source * c + head * d);
                    for i in (0..d).step_by(lanes) {
                        F::Sums::load(from.add(i)).mul(F::Sums::splat(query.share)).store(from.add(i));
                    }
                    F::round(from, self.args.y.add(at / F::PRECISION.per_word()), d, &Scales::NONE);
                }
            }
        }
    }
}

/// A vector of at most `n` elements, the others zero.
///
/// # Safety
/// As many elements, no more than there are lanes, are readable at `from`; the instruction set is there.
#[inline(always)]
unsafe fn some<L: Lanes>(from: *const f32, n: usize) -> L {
    // SAFETY: the caller's promise.
    unsafe {
        if n >= L::N {
            return L::load(from);
        }
        let mut all = [0.0; MOST];
        all.iter_mut().take(n).enumerate().for_each(|(i, v)| *v = *from.add(i));
        L::load(all.as_ptr())
    }
}

/// The squares of `n` elements, added into a vector.
///
/// # Safety
/// They are readable at `from`; the instruction set is there.
#[inline(always)]
unsafe fn squares<L: Lanes>(from: *const f32, n: usize) -> L {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = L::splat(0.0);
        for i in (0..n).step_by(L::N) {
            let v: L = some(from.add(i), n - i);
            sums = v.fma(v, sums);
        }
        sums
    }
}

/// The sum of each row of a square, which is transposed into the other.
///
/// # Safety
/// Both squares have as many rows and columns as there are lanes; the instruction set is there.
#[inline(always)]
unsafe fn sums_of_rows<L: Lanes>([square, transposed]: [*mut f32; 2]) -> L {
    // SAFETY: the caller's promise.
    unsafe {
        L::transpose(square, L::N, transposed, L::N);
        let mut sums = L::load(transposed);
        for i in 1..L::N {
            sums = sums.add(L::load(transposed.add(i * L::N)));
        }
        sums
    }
}
