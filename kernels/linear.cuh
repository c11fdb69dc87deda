// What happens to a linear layer's sum before it is stored.
#pragma once
#include "params.cuh"

// Operands as launches order them; those that are absent are not read.
enum { MATMUL_X, MATMUL_W, MATMUL_BIAS, MATMUL_RESIDUAL };

DEVICE f32 linear_bias(const MatmulParams& p, const Operands& o, u64 column) {
    return p.has_bias ? o.x[MATMUL_BIAS][column] : 0.0f;
}

// act(sum + bias) of several columns or rows.
template <u32 N> DEVICE void linear_activate(const MatmulParams& p, f32 (&v)[N]) {
    if (p.act == MATMUL_RELU) {
        UNROLL for (u32 i = 0; i < N; i++) v[i] = v[i] < 0.0f ? 0.0f : v[i];
    }
    if (p.act == MATMUL_GELU) {
        UNROLL for (u32 i = 0; i < N; i++) v[i] = gelu(v[i]);
    }
}
