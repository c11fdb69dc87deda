// The largest of many values, and entries by index.
#include "order.cuh"
#include "params.cuh"

#define WARPS 8

// A block per row (striding): k times, the largest that is below the one before.
ENTRY THREADS(WARPS * 32) top_k_fwd_f32__rounds(Operands o, TopKParams p) {
    for (u64 row = block_x(); row < p.rows; row += blocks_x()) {
        const f32* x = o.x[0] + row * p.m;
        u64 last = ~0ull;
        for (u64 place = 0; place < p.k; place++) {
            u64 best = 0;
            for (u32 i = thread_x(); i < p.m; i += WARPS * 32) {
                const u64 key = key_of(x[i], i);
                if (key < last && key > best) best = key;
            }
            last = block_max<WARPS>(best);
            if (thread_x() == 0) {
                f32* y = o.y + (row * p.k + place) * 2;
                y[0] = x[index_of(last)];
                y[1] = (f32)index_of(last);
            }
        }
    }
}

// A thread per number (striding).
ENTRY gather_fwd_f32__threads(Operands o, GatherParams p) {
    const u64 all = p.batch * p.k * p.width;
    for (u64 at = (u64)block_x() * threads_x() + thread_x(); at < all; at += (u64)blocks_x() * threads_x()) {
        const u64 place = at / p.width, item = p.shared ? 0 : place / p.k;
        const f32 index = o.x[1][(place + 1) * p.index_width - 1];
        u64 entry = index > 0.0f ? (u64)index : 0;
        entry = entry < p.m ? entry : p.m - 1;
        o.y[at] = o.x[0][(item * p.m + entry) * p.width + (at - place * p.width)];
    }
}
