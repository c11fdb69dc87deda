// Detectors' boxes: anchors, decoding, and suppression of those that overlap.
#include "order.cuh"
#include "params.cuh"

#define ROW 6
#define NO_BOX (-__builtin_inff())
#define MAX_LOG_SIDE 4.135166556742356f
#define WARPS 8

// A thread per anchor (striding).
ENTRY anchors_fwd_f32__threads(Operands o, AnchorsParams p) {
    const u32 all = p.rows * p.columns * p.count;
    for (u32 at = block_x() * threads_x() + thread_x(); at < all; at += blocks_x() * threads_x()) {
        const u32 place = at / p.count, which = at - place * p.count;
        const f32 x = (f32)(place % p.columns * p.stride[1]), y = (f32)(place / p.columns * p.stride[0]);
        UNROLL for (u32 i = 0; i < 4; i++) {
            const f32 corner = which == 0 ? p.cell[0][i] : which == 1 ? p.cell[1][i] : p.cell[2][i];
            o.y[(u64)at * 4 + i] = corner + (i % 2 == 0 ? x : y);
        }
    }
}

DEVICE f32 inside(f32 v, f32 most) {
    v = v < 0.0f ? 0.0f : v;
    return v > most ? most : v;
}

// Half of a side's factor.
DEVICE f32 half_side(f32 delta) { return exponential(delta > MAX_LOG_SIDE ? MAX_LOG_SIDE : delta) * 0.5f; }

// A thread per row of y (striding); operands are references, deltas, scores.
ENTRY box_decode_fwd_f32__threads(Operands o, BoxDecodeParams p) {
    const u32 each = p.classes - p.first;
    const u64 all = (u64)p.batch * p.k * each;
    for (u64 at = (u64)block_x() * threads_x() + thread_x(); at < all; at += (u64)blocks_x() * threads_x()) {
        const u64 box = at / each, said = box * p.classes + p.first + (at - box * each);
        const f32* reference = o.x[0] + (p.shared ? box % p.k : box) * p.width;
        const f32* delta = o.x[1] + said * 4;
        const f32 w = reference[2] - reference[0], h = reference[3] - reference[1];
        const f32 x = fma(delta[0] / p.weights[0], w, reference[0] + 0.5f * w);
        const f32 y = fma(delta[1] / p.weights[1], h, reference[1] + 0.5f * h);
        const f32 half_w = half_side(delta[2] / p.weights[2]) * w, half_h = half_side(delta[3] / p.weights[3]) * h;
        bool held = true;
        if (p.width != 4) held = reference[4] > NO_BOX;
        f32* row = o.y + at * ROW;
        row[0] = inside(x - half_w, p.size[1]);
        row[1] = inside(y - half_h, p.size[0]);
        row[2] = inside(x + half_w, p.size[1]);
        row[3] = inside(y + half_h, p.size[0]);
        row[4] = held ? o.x[2][said] : NO_BOX;
        row[5] = (f32)(p.label + p.first + (u32)(at - box * each));
    }
}

// Intersection over union.
DEVICE f32 overlap(const f32* a, const f32* b) {
    const f32 w = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
    const f32 h = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
    if (!(w > 0.0f) || !(h > 0.0f)) return 0.0f;
    const f32 shared = w * h, both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
    return shared / (both - shared);
}

// A block per item: again and again the best row left, which then hides those it overlaps. The workspace holds a
// number per row, 1 while it is left; each belongs to one thread.
ENTRY THREADS(WARPS * 32) nms_fwd_f32__rounds(Operands o, NmsParams p) {
    const f32* x = o.x[0] + (u64)block_x() * p.rows * ROW;
    f32* y = o.y + (u64)block_x() * p.capacity * ROW;
    f32* left = o.workspace + (u64)block_x() * p.rows;
    for (u32 i = thread_x(); i < p.rows; i += WARPS * 32) {
        const f32* r = x + (u64)i * ROW;
        left[i] = r[4] > p.score_above && r[2] - r[0] >= p.min_side && r[3] - r[1] >= p.min_side ? 1.0f : 0.0f;
    }
    const f32* last = x;
    for (u32 place = 0; place < p.capacity; place++) {
        u64 best = 0;
        for (u32 i = thread_x(); i < p.rows; i += WARPS * 32) {
            const f32* r = x + (u64)i * ROW;
            if (left[i] == 0.0f) continue;
            if (place > 0 && (r == last || (r[5] == last[5] && overlap(last, r) > p.iou))) {
                left[i] = 0.0f;
                continue;
            }
            const u64 key = key_of(r[4], i);
            best = key > best ? key : best;
        }
        best = block_max<WARPS>(best);
        if (best == 0) {
            for (u32 i = place * ROW + thread_x(); i < p.capacity * ROW; i += WARPS * 32) y[i] = i % ROW == 4 ? NO_BOX : 0.0f;
            break;
        }
        last = x + (u64)index_of(best) * ROW;
        if (thread_x() < ROW) y[place * ROW + thread_x()] = last[thread_x()];
    }
}
