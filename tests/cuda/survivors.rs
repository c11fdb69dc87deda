//! Mutants that change no result and break no rule, and why that is right.

use ptx_machine::mutate::SiteKind;

/// Mutants of one line of a kernel's source.
pub struct Survivor {
    /// The source under `kernels`.
    pub file: &'static str,
    /// The line as it stands there.
    pub line: &'static str,
    /// What is left out.
    pub kind: SiteKind,
    /// How many of the line's mutants survive, over all entries.
    pub mutants: usize,
    /// Why nothing misses it.
    pub why: &'static str,
}

/// All of them.
pub const SURVIVORS: &[Survivor] = &[
    Survivor {
        file: "attention_tiles.cuh",
        line: "for (u32 first = 0; first < tokens; first += KEYS) {",
        kind: SiteKind::Bounds,
        mutants: 3,
        why: "the loop is entered, since a window has a token",
    },
    Survivor {
        file: "attention_tiles.cuh",
        line: "for (u32 group = warp * 16; group < (tokens + 63) / 64 * 64; group += WARPS * 16) {",
        kind: SiteKind::Bounds,
        mutants: 3,
        why: "the loop is entered by every warp, since a window has a token",
    },
    Survivor {
        file: "blur.cu",
        line: "for (u32 k = 0; k < taps; k++) {",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "passes over pairs of taps where there is one tap; a blur has three or more",
    },
    Survivor {
        file: "boxes.cu",
        line: "for (u32 place = 0; place < p.capacity; place++) {",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "passes over the loop where there is room for nothing; there is for one row",
    },
    Survivor {
        file: "boxes.cu",
        line: "if (p.width != 4) held = reference[4] > NO_BOX;",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "reads the next row's first side, which is finite; behind the last row lies another operand",
    },
    Survivor {
        file: "boxes.cu",
        line: "if (place > 0 && (r == last || (r[5] == last[5] && overlap(last, r) > p.iou))) {",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "a box overlaps itself by one, which is above every threshold; only boxes without area need the test",
    },
    Survivor {
        file: "conv.cu",
        line: "right = (i32)(tap % p.kernel[1] * p.dilation[1]);",
        kind: SiteKind::Bounds,
        mutants: 2,
        why: "terms beyond the last have zero weights: without the test a pixel of an earlier term is multiplied by zero",
    },
    Survivor {
        file: "conv_chain_sm80.cu",
        line: "if (row >= down || column >= across) return;",
        kind: SiteKind::Bounds,
        mutants: 2,
        why: "makes ready what is waited for, which is not looked at where there is no unit",
    },
    Survivor {
        file: "conv_laid.cuh",
        line: "if (first + THREADS_OF_BLOCK > P::PIXELS && first + thread_x() >= P::PIXELS) break;",
        kind: SiteKind::Bounds,
        mutants: 2,
        why: "the first stage's last copies run on into the place of the next one's, which come behind them",
    },
    Survivor {
        file: "conv_laid.cuh",
        line: "if (unit / units_across(p) * ROWS + top < p.h_out) block.run(stages);",
        kind: SiteKind::Bounds,
        mutants: 4,
        why: "below the image all that is laid out is zero, and so are the sums",
    },
    Survivor {
        file: "conv_laid.cuh",
        line: "for (u32 stage = 0; stage < stages; stage++) {",
        kind: SiteKind::Bounds,
        mutants: 8,
        why: "the loop is entered, since x has a channel",
    },
    Survivor {
        file: "conv_sm80.cu",
        line: "if (more && slot < H::SLOTS) load(stage + 1, slot, v[i]);",
        kind: SiteKind::Bounds,
        mutants: 24,
        why: "loading looks at the channels itself and reads none beyond the last stage",
    },
    Survivor {
        file: "conv_sm80.cu",
        line: "if (pixel >= H::PIXELS) return;",
        kind: SiteKind::Bounds,
        mutants: 24,
        why: "only a thread's last pixel can lie beyond the halo, and there it is missed",
    },
    Survivor {
        file: "conv_sm90a.cu",
        line: "for (u32 stage = 0; stage < stages; stage++) {",
        kind: SiteKind::Bounds,
        mutants: 6,
        why: "the loop is entered, since x has a channel",
    },
    Survivor {
        file: "conv_sm90a.cu",
        line: "if (own >= units_across(p) * units_down(p)) return;",
        kind: SiteKind::Bounds,
        mutants: 4,
        why: "a block for 64 channels has one unit, and the grid no more blocks than there are units",
    },
    Survivor {
        file: "conv_taps.cuh",
        line: "if (first + THREADS_OF_BLOCK * 4 > WEIGHTS && i >= WEIGHTS) break;",
        kind: SiteKind::Bounds,
        mutants: 3,
        why: "before the first step the next one's weights are copied as well, to where they go next",
    },
    Survivor {
        file: "matmul.cu",
        line: "for (u64 row = (u64)block_y() * ROWS; row < p.m; row += (u64)blocks_y() * ROWS) {",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "the loop is entered: the grid has no more blocks than there are blocks of rows",
    },
    Survivor {
        file: "matmul.cu",
        line: "for (u64 start = 0; start < p.k; start += TERMS) {",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "the loop is entered, since a product has a term",
    },
    Survivor {
        file: "matrix_tiles.cuh",
        line: "if (more) bring(stage + 1, held);",
        kind: SiteKind::Bounds,
        mutants: 25,
        why: "beyond the last stage there are no terms, and nothing is read",
    },
    Survivor {
        file: "matrix_tiles.cuh",
        line: "if (stage < stages) {",
        kind: SiteKind::Bounds,
        mutants: 32,
        why: "the first stage's weights are brought, since a product has a term",
    },
    Survivor {
        file: "resize.cu",
        line: "if (p.mode == RESIZE_NEAREST) resize<1>(o, p);",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "sends bilinear taps to the code for four, whose third and fourth weights are zero",
    },
    Survivor {
        file: "select.cu",
        line: "for (u64 row = block_x(); row < p.rows; row += blocks_x()) {",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "the loop is entered: the grid has no more blocks than rows",
    },
    Survivor {
        file: "softmax.cu",
        line: "for (u64 k = 0; k < l.n; k++) sum += exponential(l.at(k) - largest);",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "the loop is entered, since a line has a value",
    },
    Survivor {
        file: "softmax.cu",
        line: "for (u64 k = lane; k < l.n; k += 32) largest = l.at(k) > largest ? l.at(k) : largest;",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "the loop is entered: lines of a warp have 32 values or more",
    },
    Survivor {
        file: "softmax.cu",
        line: "for (u64 k = lane; k < l.n; k += 32) sum += exponential(l.at(k) - largest);",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "the loop is entered: lines of a warp have 32 values or more",
    },
    Survivor {
        file: "tiles.cuh",
        line: "UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) pixels[t][lane_pixel(j)] = inside ? job.value(j) : 0.0f;",
        kind: SiteKind::Bounds,
        mutants: 2,
        why: "terms beyond the last have zero weights: without the test a pixel of an earlier term is multiplied by zero",
    },
    Survivor {
        file: "tiles.cuh",
        line: "for (u32 t = warp; t < TERMS; t += WARPS) {",
        kind: SiteKind::Bounds,
        mutants: 3,
        why: "the loop is entered: a block has no more warps than there are terms of a stage",
    },
    Survivor {
        file: "tokens.cuh",
        line: "const f32* all = t.padding ? o.x[ATTENTION_PAD] : o.x[ATTENTION_X] + t.source * 3 * channels;",
        kind: SiteKind::Bounds,
        mutants: 1,
        why: "passes over the product where a head has no elements, and every head has",
    },
    Survivor {
        file: "windows.cuh",
        line: "if (from >= 1u << 2 * halved) return;",
        kind: SiteKind::Bounds,
        mutants: 12,
        why: "makes terms for corners that no window begins with; of half as many terms there would be corners beyond the last",
    },
];
