//! Window attention: one window and head at a time, a few queries' logits at a time.
//!
//! A unit of work is some heads of a window. Which window a thread computes changes no bit.

mod softmax;
mod window;

use super::args::Args;
use super::isa::Isa;
use super::pool::Pool;
use super::simd::{self, MOST};
use crate::kernel::attention::WindowAttentionParams;
use crate::kernel::precision::Precision;
use crate::{Error, Result};
use window::{some_heads, Window};

/// Floats of a cache line.
const LINE: usize = 16;
/// Most queries whose logits are held at a time.
const QUERIES: usize = 8;
/// Most columns of a product's panel: two vectors of any instruction set.
const PANEL: usize = 32;
/// Units of work per thread from which on heads of a window are not divided.
const UNITS: usize = 4;

/// Computes some heads of a window, from one up to another.
type HeadsFn = unsafe fn(&Window, [usize; 2]);

/// The code of an instruction set. All is computed in f32; what differs is the words that a result that is handed on
/// is stored as.
struct Form {
    isa: Isa,
    words: Precision,
    heads: HeadsFn,
}

/// The form of an instruction set: words, the queries whose logits are held at a time, target features.
macro_rules! form {
    ($name:ident, $isa:expr, $factors:ty, $queries:literal $(, $feature:literal)?) => {
        const $name: Form = {
            $(#[target_feature(enable = $feature)])?
            unsafe fn heads(job: &Window, heads: [usize; 2]) {
                // SAFETY: the caller's promise.
                unsafe { some_heads::<$factors, $queries>(job, heads) }
            }
            Form { isa: $isa, words: <$factors as simd::Factors>::PRECISION, heads }
        };
    };
}

// Wide registers hold more queries.
#[cfg(target_arch = "x86_64")]
form!(AVX512_BF16, Isa::Avx512, simd::Bf16Pairs, 8, "avx512f,avx512bw,avx512bf16");
#[cfg(target_arch = "x86_64")]
form!(AVX512, Isa::Avx512, simd::Avx512, 8, "avx512f");
#[cfg(target_arch = "x86_64")]
form!(AVX2, Isa::Avx2, simd::Avx2, 4, "avx2,fma");
#[cfg(target_arch = "aarch64")]
form!(NEON, Isa::Neon, simd::Neon, 4);
form!(PORTABLE, Isa::Portable, simd::Portable, 4);

#[cfg(target_arch = "x86_64")]
const FORMS: &[Form] = &[AVX512_BF16, AVX512, AVX2, PORTABLE];
#[cfg(target_arch = "aarch64")]
const FORMS: &[Form] = &[NEON, PORTABLE];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FORMS: &[Form] = &[PORTABLE];

impl Form {
    /// The form of an instruction set that stores such words.
    fn of(isa: Isa, words: Precision) -> Result<&'static Self> {
        let fits = |f: &&Form| f.isa == isa && f.words == words && isa.multiplies(words);
        FORMS.iter().find(fits).ok_or_else(|| {
            Error::device(format!("no window attention to {words} for {} on this machine", isa.name()))
        })
    }
}

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

    fn part(&self) -> usize {
        let Self { keys, values, .. } = *self;
        4 * keys + 4 * keys * values + QUERIES * (keys + values) + 2 * MOST * MOST
    }
}

/// Elements of scratch on so many threads.
pub(super) fn scratch_len(p: &WindowAttentionParams, threads: usize) -> usize {
    LINE + Cut::new(p, threads).parts * Sizes::new(p).part()
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
    let words = if args.as_words.y { Precision::Bf16 } else { Precision::F32 };
    let form = Form::of(Isa::current()?, words)?;
    let (cut, sizes) = (Cut::new(p, pool.threads()), Sizes::new(p));
    let part_len = sizes.part();
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
            let job = Window {
                p,
                args,
                bias: &bias.0,
                sizes: &sizes,
                buffer: buffer.as_mut_ptr(),
                image,
                at: [window / columns, window % columns],
            };
            // SAFETY: the buffer has the length `sizes` says; units write disjoint elements of y; forms are only
            // made of what the machine has.
            unsafe {
                (form.heads)(&job, [heads * group / cut.groups, heads * (group + 1) / cut.groups]);
            }
        }
    });
    Ok(())
}
