// Layer norm: a warp per row, which takes the mean, then the variance, then writes.
#pragma once
#include "params.cuh"
#include "tensor_core.cuh"
#include "units.cuh"

enum { NORM_X, NORM_W, NORM_B, NORM_RESIDUAL };

// Grid: x over rows (striding); threads are whole warps. `store(row, i, value)` takes a row's elements.
template <class Store> DEVICE void layer_norm(const Operands& o, const LayerNormParams& p, Store store) {
    const u32 lane = thread_x() % 32, warps = threads_x() / 32;
    for (u64 row = (u64)block_x() * warps + thread_x() / 32; row < p.rows; row += (u64)blocks_x() * warps) {
        const f32* x = o.x[NORM_X] + row * p.n;
        f32 sum = 0.0f;
        for (u64 i = lane; i < p.n; i += 32) sum += x[i];
        const f32 mean = warp_sum(sum) / (f32)p.n;
        f32 squares = 0.0f;
        for (u64 i = lane; i < p.n; i += 32) squares = fma(x[i] - mean, x[i] - mean, squares);
        const f32 factor = 1.0f / square_root(warp_sum(squares) / (f32)p.n + p.eps);
        for (u64 i = lane; i < p.n; i += 32) {
            f32 v = fma((x[i] - mean) * factor, o.x[NORM_W][i], o.x[NORM_B][i]);
            if (p.residual) v += o.x[NORM_RESIDUAL][row * p.n + i];
            store(row, i, v);
        }
    }
}

// The same whose result is laid out, rounded, for products.
template <class E> DEVICE void lay_out(const Operands& o, const LayerNormParams& p) {
    layer_norm(o, p, [&](u64 row, u64 i, f32 v) {
        *(u16*)term_at(o.laid, row, (u32)i, (u32)p.n) = E::part(v);
        if (o.y) o.y[row * p.n + i] = v;
    });
}
