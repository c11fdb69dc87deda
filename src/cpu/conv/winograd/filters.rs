//! Winograd's filters: transformed and packed as frequency, block of output channels, word of input channels,
//! channel of the block.

use super::super::tile::Tile;
use super::{FREQUENCIES, IN, NO_LEVELS};
use crate::cpu::pool::Pool;
use crate::cpu::simd::{Factors, Lanes, MOST_PER_WORD};
use crate::kernel::conv::Conv2dParams;

/// Elements of packed weights.
pub(in crate::cpu::conv) fn packed_len(tile: &Tile, params: &Conv2dParams) -> usize {
    FREQUENCIES * tile.words(params.c_in as usize) * (params.c_out as usize).next_multiple_of(tile.rows)
}

/// Packs weights (c_out, c_in, 3, 3), a block of output channels on each thread.
pub(in crate::cpu::conv) fn pack(
    tile: &Tile,
    params: &Conv2dParams,
    weights: &[f32],
    pool: &Pool,
) -> Vec<f32> {
    let (c_in, len) = (params.c_in as usize, packed_len(tile, params));
    let (words, per_word) = (tile.words(c_in), tile.precision.per_word());
    let mut packed: Vec<f32> = Vec::with_capacity(len);
    let to = Packed { start: packed.as_mut_ptr(), per_frequency: len / FREQUENCIES };
    let blocks = weights.chunks(9 * c_in * tile.rows);
    pool.run(blocks.len(), |block| {
        let filters = blocks.clone().nth(block).unwrap_or_default();
        let (mut taps, mut numbers) = ([Taps::default(); MOST_PER_WORD], [[0.0; LANES]; IN]);
        for word in 0..words {
            for (i, taps) in taps.iter_mut().enumerate().take(per_word) {
                let channel = word * per_word + i;
                if channel == c_in {
                    *taps = Taps::default();
                    break;
                }
                for (o, filter) in filters.chunks_exact(9 * c_in).enumerate() {
                    let filter = &filter[9 * channel..][..9];
                    let taps = taps.as_flattened_mut();
                    taps.iter_mut().zip(filter).for_each(|(tap, g)| tap[o] = f64::from(*g));
                }
            }
            // SAFETY: a tile is chosen where its instruction set is available.
            unsafe { (tile.transform_filters)(&taps, &mut numbers) };
            for (k, numbers) in numbers.as_flattened().chunks_exact(ABREAST).enumerate() {
                let f = k % IN * IN + k / IN;
                // SAFETY: the elements lie in what was allocated, and no other block writes them.
                unsafe { to.write(f, (block * words + word) * tile.rows, &numbers[..tile.rows]) };
            }
        }
    });
    // SAFETY: the blocks' filters times the channels times the frequencies are all elements.
    unsafe { packed.set_len(len) };
    packed
}

/// Where blocks go that are packed at a time.
struct Packed {
    start: *mut f32,
    per_frequency: usize,
}

// SAFETY: it is only written to, by blocks that write disjoint elements.
unsafe impl Sync for Packed {}

impl Packed {
    /// # Safety
    /// The elements are allocated, and nobody else writes them.
    unsafe fn write(&self, frequency: usize, at: usize, numbers: &[f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.start.add(frequency * self.per_frequency + at);
            match numbers.first_chunk::<ABREAST>() {
                // Two moves where copying any number is a call.
                Some(all) => to.cast::<[f32; ABREAST]>().write_unaligned(*all),
                None => to.copy_from_nonoverlapping(numbers.as_ptr(), numbers.len()),
            }
        }
    }
}

/// Filters transformed together, one in each lane: at least as many as any tile has rows.
pub(in crate::cpu::conv) const ABREAST: usize = 8;

/// Lanes of the numbers of a column of taps.
const LANES: usize = IN * ABREAST;

/// Taps of filters: row, column, filter.
pub(in crate::cpu::conv) type Taps = [[[f64; ABREAST]; 3]; 3];

/// Words of their numbers: column, then row and filter.
pub(in crate::cpu::conv) type Numbers = [[f32; LANES]; IN];

/// What the rows of `G` are whole numbers over.
const OVER: [f64; IN] = [4.0, 6.0, 6.0, 24.0, 24.0, 1.0];

/// What `G g Gt` is of the whole numbers' products.
const SCALES: [[f64; LANES]; IN] = {
    let mut scales = [[0.0; LANES]; IN];
    let mut k = 0;
    while k < IN * LANES {
        scales[k / LANES][k % LANES] = 1.0 / (OVER[k / LANES] * OVER[k % LANES / ABREAST]);
        k += 1;
    }
    scales
};

/// Words of `G g Gt` of the 3x3 filters of a word's channels. Inlined into one copy per instruction set.
///
/// # Safety
/// The instruction set of `F` is available.
#[inline(always)]
pub(in crate::cpu::conv) unsafe fn transform_filters<F: Factors>(
    taps: &[Taps; MOST_PER_WORD],
    words: &mut Numbers,
) {
    let mut numbers = [[[0.0; LANES]; IN]; MOST_PER_WORD];
    for (taps, numbers) in taps.iter().zip(&mut numbers).take(F::PRECISION.per_word()) {
        transform(taps, numbers);
    }
    for (column, words) in words.iter_mut().enumerate() {
        for lane in (0..LANES).step_by(F::Sums::N) {
            // SAFETY: the caller's promise; whole vectors make up a column.
            unsafe {
                // A loop, as a closure would be a function without the instruction set.
                let mut vectors = [F::Sums::splat(0.0); MOST_PER_WORD];
                for (v, numbers) in vectors.iter_mut().zip(&numbers).take(F::PRECISION.per_word()) {
                    *v = F::Sums::load(numbers[column][lane..].as_ptr());
                }
                F::join(vectors, NO_LEVELS).write(words[lane..].as_mut_ptr());
            }
        }
    }
}

/// `G g Gt` of 3x3 filters: whole multiples of the taps, which f64 holds exactly unless they are far apart, and one
/// product. Its loops are over neighbours, so that they become vectors.
#[inline(always)]
fn transform(taps: &Taps, numbers: &mut Numbers) {
    let mut columns = [[0.0; LANES]; 3];
    for (c, column) in columns.iter_mut().enumerate() {
        for o in 0..ABREAST {
            for (row, v) in multiples(taps[0][c][o], taps[1][c][o], taps[2][c][o]).into_iter().enumerate() {
                column[row * ABREAST + o] = v;
            }
        }
    }
    for k in 0..LANES {
        let across = multiples(columns[0][k], columns[1][k], columns[2][k]);
        for (column, v) in across.into_iter().enumerate() {
            numbers[column][k] = (v * SCALES[column][k]) as f32;
        }
    }
}

/// The whole numbers of `G` times three numbers: rows (1, 0, 0), (-1, ∓1, -1), (1, ±2, 4) and (0, 0, 1).
#[inline(always)]
fn multiples(a: f64, b: f64, c: f64) -> [f64; IN] {
    let (near, far) = (a + c, a + 4.0 * c);
    [a, -near - b, b - near, far + 2.0 * b, far - 2.0 * b, c]
}
