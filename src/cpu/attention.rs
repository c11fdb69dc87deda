//! Window attention: one window and head at a time, a few queries' logits at a time.
//!
//! Queries, keys and values of a window are gathered from the token map by index arithmetic, so the
//! map is neither rolled nor cut; keys are transposed on the way. Logits of some queries are then a
//! product of small matrices in the first-level cache, their softmax is taken in place, and their
//! product with the values is scattered back. Which window a thread computes changes no bit.

use super::args::Args;
use super::isa::Isa;
use super::matmul::accumulate;
use super::pool::Pool;
use super::simd::{exp, per_isa, Lanes};
use crate::kernel::attention::{WindowAttentionParams, MASKED, MAX_LOGIT_SCALE};
use crate::{Error, Result};

/// Floats of a cache line.
const LINE: usize = 16;
/// Most queries whose logits are held at a time.
const QUERIES: usize = 8;
/// Most columns of a product's panel: two vectors of any instruction set.
const PANEL: usize = 32;
/// Units of work per thread from which on heads of a window are not divided.
const UNITS: usize = 4;

/// A head's position bias for every query and key, a row of [`Sizes::keys`] per query; keys beyond
/// the window's last are never looked at.
pub(super) struct WindowBias(Vec<f32>);

/// Lengths of a part's buffers.
struct Sizes {
    tokens: usize,
    /// Tokens rounded up to whole panels.
    keys: usize,
    /// Elements of a head, rounded up to whole panels.
    values: usize,
}

impl Sizes {
    fn new(p: &WindowAttentionParams) -> Self {
        let tokens = p.tokens();
        let values = (p.head_dim as usize).next_multiple_of(PANEL);
        Self { tokens, keys: tokens.next_multiple_of(PANEL), values }
    }

    fn part(&self, p: &WindowAttentionParams) -> usize {
        let d = p.head_dim as usize;
        let rows = self.tokens.next_multiple_of(QUERIES);
        (2 * self.keys
            + self.keys * d
            + rows * d
            + self.keys * d
            + self.keys * self.values
            + QUERIES * (self.keys + self.values))
            .next_multiple_of(LINE)
    }
}

/// Elements of scratch on so many threads.
pub(super) fn scratch_len(p: &WindowAttentionParams, threads: usize) -> usize {
    LINE + Cut::new(p, threads).parts * Sizes::new(p).part(p)
}

impl WindowBias {
    /// Elements of a bias.
    pub fn len(p: &WindowAttentionParams) -> usize {
        let sizes = Sizes::new(p);
        p.heads as usize * sizes.tokens * sizes.keys
    }

    /// Spreads `table` (heads, (2w - 1)²) over queries and keys.
    ///
    /// # Errors
    /// `Shape` when it is not as long.
    pub fn new(p: &WindowAttentionParams, table: &[f32]) -> Result<Self> {
        let (sizes, w) = (Sizes::new(p), p.window as usize);
        if table.len() != p.heads as usize * p.bias_len() {
            return Err(Error::shape(format!("window attention: a bias of {} elements", table.len())));
        }
        let mut spread = Vec::with_capacity(Self::len(p));
        for head in table.chunks_exact(p.bias_len()) {
            for query in 0..sizes.tokens {
                let at = |key: usize| p.bias_at([query / w, query % w], [key / w, key % w]);
                spread.extend((0..sizes.tokens).map(|key| head[at(key)]));
                spread.resize(spread.len().next_multiple_of(sizes.keys), f32::NEG_INFINITY);
            }
        }
        Ok(Self(spread))
    }
}

/// Units of work, each some heads of a window, and their partition.
struct Cut {
    groups: usize,
    units: usize,
    parts: usize,
}

impl Cut {
    fn new(p: &WindowAttentionParams, threads: usize) -> Self {
        let [rows, columns] = p.windows();
        let windows = p.batch as usize * rows * columns;
        let groups = (UNITS * threads).div_ceil(windows.max(1)).clamp(1, p.heads as usize);
        let units = windows * groups;
        Self { groups, units, parts: threads.max(1).min(units) }
    }
}

/// Computes y.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of an operand; scratch overlaps nothing; `bias` was
/// made for `p`.
pub(super) unsafe fn run(
    p: &WindowAttentionParams,
    bias: &WindowBias,
    args: &Args,
    scratch: &mut [f32],
    pool: &Pool,
) -> Result<()> {
    let isa = Isa::current()?;
    let (cut, sizes) = (Cut::new(p, pool.threads()), Sizes::new(p));
    let part_len = sizes.part(p);
    let start = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
    if scratch.len() < start + cut.parts * part_len {
        return Err(Error::shape(format!("window attention: {} elements of scratch", scratch.len())));
    }
    let [rows, columns] = p.windows();
    pool.run_with(cut.parts, &mut scratch[start..], part_len, |part, buffer| {
        for unit in cut.units * part / cut.parts..cut.units * (part + 1) / cut.parts {
            let (window, group) = (unit / cut.groups, unit % cut.groups);
            let (image, window) = (window / (rows * columns), window % (rows * columns));
            let heads = p.heads as usize;
            // SAFETY: the buffer has the length `sizes` says; units write disjoint elements of y.
            unsafe {
                let job = Job {
                    p,
                    args,
                    bias,
                    sizes: &sizes,
                    buffer: buffer.as_mut_ptr(),
                    image,
                    window: [window / columns, window % columns],
                };
                run_window(isa, &job, [heads * group / cut.groups, heads * (group + 1) / cut.groups]);
            }
        }
    });
    Ok(())
}

per_isa!(unsafe fn run_window = some_heads(job: &Job, heads: [usize; 2]));

/// Some heads of one window of one map.
struct Job<'a> {
    p: &'a WindowAttentionParams,
    args: &'a Args,
    bias: &'a WindowBias,
    sizes: &'a Sizes,
    buffer: *mut f32,
    image: usize,
    window: [usize; 2],
}

/// A part's buffer, cut up.
struct Buffers {
    /// Each token's place in the map, counted from one; zero for padding.
    sources: *mut f32,
    /// Each token's mask region.
    regions: *mut f32,
    /// Queries, token by token.
    q: *mut f32,
    /// Keys, token by token.
    rows: *mut f32,
    /// Keys in panels of tokens, element by element.
    k: *mut f32,
    /// Values in panels of elements, token by token.
    v: *mut f32,
    /// Logits of some queries.
    logits: *mut f32,
    /// Their results.
    mixed: *mut f32,
}

/// # Safety
/// As [`run`]; the instruction set is there.
#[inline(always)]
unsafe fn some_heads<L: Lanes>(job: &Job, [from, to]: [usize; 2]) {
    let (d, keys) = (job.p.head_dim as usize, job.sizes.keys);
    let rows = job.sizes.tokens.next_multiple_of(QUERIES);
    // SAFETY: the buffers follow each other as `Sizes::part` counts them.
    unsafe {
        let q = job.buffer.add(2 * keys);
        let keys_by_token = q.add(rows * d);
        let k = keys_by_token.add(keys * d);
        let v = k.add(keys * d);
        let logits = v.add(keys * job.sizes.values);
        let buffers = Buffers {
            sources: job.buffer,
            regions: job.buffer.add(keys),
            q,
            rows: keys_by_token,
            k,
            v,
            logits,
            mixed: logits.add(QUERIES * keys),
        };
        let masked = job.places(&buffers);
        if job.sizes.tokens < keys {
            std::slice::from_raw_parts_mut(buffers.rows, keys * d).fill(0.0);
        }
        for head in from..to {
            job.gather::<L>(&buffers, head);
            // Wide registers hold more queries.
            if L::N == 16 {
                job.attend::<L, 8, 2>(&buffers, head, masked);
            } else {
                job.attend::<L, 4, 2>(&buffers, head, masked);
            }
        }
    }
}

impl Job<'_> {
    /// Fills in where the window's tokens come from and their mask regions; gives whether regions differ.
    ///
    /// # Safety
    /// As [`some_heads`].
    #[inline(always)]
    unsafe fn places(&self, buffers: &Buffers) -> bool {
        let (p, w) = (self.p, self.p.window as usize);
        let mut masked = false;
        for token in 0..self.sizes.tokens {
            let row = self.window[0] * w + token / w;
            let column = self.window[1] * w + token % w;
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

    /// Gathers a head's queries, keys and values, scaled as the logits want them.
    ///
    /// # Safety
    /// As [`some_heads`].
    #[inline(always)]
    unsafe fn gather<L: Lanes>(&self, buffers: &Buffers, head: usize) {
        let (c, d, columns) = (self.p.channels(), self.p.head_dim as usize, 2 * L::N);
        // SAFETY: tokens lie in x or in the padding's; places in the buffers are below their lengths.
        unsafe {
            let factor = match self.p.cosine {
                0 => 1.0 / (d as f32).sqrt(),
                _ => (*self.args.x[3].add(head)).min(MAX_LOGIT_SCALE as f32).exp(),
            };
            for token in 0..self.sizes.tokens {
                let from = match self.source(buffers, token) {
                    Some(source) => self.args.x[0].add(source * 3 * c),
                    None => self.args.x[1],
                };
                let q = from.add(head * d);
                let (k, v) = (q.add(c), q.add(2 * c));
                let (mut q_factor, mut k_factor) = (factor, 1.0);
                if self.p.cosine == 1 {
                    q_factor /= length::<L>(q, d);
                    k_factor /= length::<L>(k, d);
                }
                let own = buffers.q.add(token * d);
                let key = buffers.rows.add(token * d);
                let value = |i: usize| {
                    buffers.v.add((i / columns * self.sizes.tokens + token) * columns + i % columns)
                };
                let whole = d - d % L::N;
                for i in (0..whole).step_by(L::N) {
                    L::load(q.add(i)).mul(L::splat(q_factor)).store(own.add(i));
                    L::load(k.add(i)).mul(L::splat(k_factor)).store(key.add(i));
                    L::load(v.add(i)).store(value(i));
                }
                for i in whole..d {
                    *own.add(i) = *q.add(i) * q_factor;
                    *key.add(i) = *k.add(i) * k_factor;
                    *value(i) = *v.add(i);
                }
            }
            for token in (0..self.sizes.keys).step_by(L::N) {
                let from = buffers.rows.add(token * d);
                let panel = buffers.k.add(token / columns * d * columns + token % columns);
                let whole = d - d % L::N;
                for i in (0..whole).step_by(L::N) {
                    L::transpose(from.add(i), d, panel.add(i * columns), columns);
                }
                for (i, t) in (whole..d).flat_map(|i| (0..L::N).map(move |t| (i, t))) {
                    *panel.add(i * columns + t) = *from.add(t * d + i);
                }
            }
        }
    }

    /// Attention of all queries of a head, `R` at a time, in panels of `V` vectors.
    ///
    /// # Safety
    /// As [`some_heads`]; the head was gathered.
    #[inline(always)]
    unsafe fn attend<L: Lanes, const R: usize, const V: usize>(
        &self,
        buffers: &Buffers,
        head: usize,
        masked: bool,
    ) {
        let (c, d) = (self.p.channels(), self.p.head_dim as usize);
        let Sizes { tokens, keys, values } = *self.sizes;
        let columns = V * L::N;
        for first in (0..tokens).step_by(R) {
            // SAFETY: rows up to the next multiple of `R` exist in the buffers; the last may hold anything,
            // which is not stored.
            unsafe {
                for panel in 0..keys.div_ceil(columns) {
                    let k = buffers.k.add(panel * d * columns);
                    let logits = buffers.logits.add(panel * columns);
                    accumulate::<L, R, V>(buffers.q.add(first * d), d, k, logits, keys, d, true);
                }
                let mut factors = [0.0; R];
                let queries = R.min(tokens - first);
                for (r, factor) in factors[..queries].iter_mut().enumerate() {
                    let bias = self.bias.0[(head * tokens + first + r) * keys..].as_ptr();
                    let region = masked.then(|| *buffers.regions.add(first + r));
                    *factor =
                        1.0 / softmax::<L>(buffers.logits.add(r * keys), bias, buffers.regions, region, keys);
                }
                for panel in 0..d.div_ceil(columns) {
                    let v = buffers.v.add(panel * tokens * columns);
                    let mixed = buffers.mixed.add(panel * columns);
                    accumulate::<L, R, V>(buffers.logits, keys, v, mixed, values, tokens, true);
                }
                for (r, factor) in factors[..queries].iter().enumerate() {
                    let Some(source) = self.source(buffers, first + r) else { continue };
                    let y = self.args.y.add(source * c + head * d);
                    for i in 0..d {
                        *y.add(i) = *buffers.mixed.add(r * values + i) * factor;
                    }
                }
            }
        }
    }
}

/// The length of a vector, at least 1e-12.
///
/// # Safety
/// `d` elements are readable at `v`.
#[inline(always)]
unsafe fn length<L: Lanes>(v: *const f32, d: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = L::splat(0.0);
        let whole = d - d % L::N;
        for i in (0..whole).step_by(L::N) {
            let v = L::load(v.add(i));
            sum = v.fma(v, sum);
        }
        let rest: f32 = (whole..d).map(|i| *v.add(i) * *v.add(i)).sum();
        let length = (sum.sum() + rest).sqrt();
        if length < 1e-12 {
            1e-12
        } else {
            length
        }
    }
}

/// Adds bias and mask to a row of logits, takes exp(v - largest) of it and gives the sum.
///
/// # Safety
/// `keys`, a multiple of the lanes, elements are readable at `bias` and `regions`, writable at `logits`.
#[inline(always)]
unsafe fn softmax<L: Lanes>(
    logits: *mut f32,
    bias: *const f32,
    regions: *const f32,
    region: Option<f32>,
    keys: usize,
) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut largest = L::splat(f32::NEG_INFINITY);
        for i in (0..keys).step_by(L::N) {
            let mut v = L::load(logits.add(i)).add(L::load(bias.add(i)));
            if let Some(region) = region {
                let apart = L::load(regions.add(i)).sub(L::splat(region));
                let apart = apart.max(L::splat(0.0).sub(apart));
                v = v.add(apart.if_below(L::splat(0.5), L::splat(0.0), L::splat(MASKED)));
            }
            v.store(logits.add(i));
            largest = largest.max(v);
        }
        let largest = L::splat(largest.largest());
        let mut sum = L::splat(0.0);
        for i in (0..keys).step_by(L::N) {
            let e = exp(L::load(logits.add(i)).sub(largest));
            e.store(logits.add(i));
            sum = sum.add(e);
        }
        sum.sum()
    }
}
