// Attention within windows of a token map, in f32.
//
// A block works on one head of one window, a warp on one query at a time: lanes share its keys for the
// logits, which lie in shared memory, then its elements for the mixture of values.
#include "tokens.cuh"

extern __shared__ f32 all_logits[];

// Grid: windows of a map, heads, maps. `prepared` holds the factor of each head's products. Shared memory: one f32 per warp and token of a window.
ENTRY window_attention_fwd_f32__warps(Operands o, WindowAttentionParams p) {
    const u32 lane = thread_x() % 32, warps = threads_x() / 32;
    const u32 tokens = p.window * p.window, side = 2 * p.window - 1;
    f32* logits = all_logits + thread_x() / 32 * tokens;
    const f32* bias = o.x[ATTENTION_BIAS] + (u64)block_y() * side * side;
    const f32 factor = ((const f32*)o.prepared)[block_y()];
    for (u32 index = thread_x() / 32; index < tokens; index += warps) {
        const Token query = token(p, index);
        if (query.padding) continue;
        const f32* q = part(o, p, query, 0);
        f32 largest = -__builtin_inff();
        for (u32 j = lane; j < tokens; j += 32) {
            const Token key = token(p, j);
            const f32* k = part(o, p, key, 1);
            f32 product = 0.0f, qq = 0.0f, kk = 0.0f;
            for (u32 i = 0; i < p.head_dim; i++) {
                product = fma(q[i], k[i], product);
                if (p.cosine) qq = fma(q[i], q[i], qq), kk = fma(k[i], k[i], kk);
            }
            if (p.cosine) {
                f32 q_length = square_root(qq), k_length = square_root(kk);
                q_length = q_length < 1e-12f ? 1e-12f : q_length;
                k_length = k_length < 1e-12f ? 1e-12f : k_length;
                product = product / (q_length * k_length);
            }
            u32 at = (query.row + p.window - 1 - key.row) * side + query.column + p.window - 1 - key.column;
            f32 v = fma(product, factor, bias[at]) + (query.region == key.region ? 0.0f : MASKED);
            logits[j] = v;
            largest = v > largest ? v : largest;
        }
        largest = warp_max(largest);
        f32 sum = 0.0f;
        for (u32 j = lane; j < tokens; j += 32) {
            f32 e = exponential(logits[j] - largest);
            logits[j] = e;
            sum += e;
        }
        sum = warp_sum(sum);
        warp_barrier();
        f32* y = o.y + query.source * p.heads * p.head_dim + block_y() * p.head_dim;
        for (u32 i = lane; i < p.head_dim; i += 32) {
            f32 mixed = 0.0f;
            for (u32 j = 0; j < tokens; j++) mixed = fma(logits[j], part(o, p, token(p, j), 2)[i], mixed);
            y[i] = mixed / sum;
        }
        warp_barrier();
    }
}
