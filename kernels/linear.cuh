// What happens to a linear layer's sum before it is stored.
#pragma once
#include "params.cuh"
#include "units.cuh"

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

// Sums of some tokens and channels on their way to y: `channel` looks at a channel, `store` takes sums of it. Where
// products take words of two numbers, y can be laid out for the next one.
template <class E> struct LinearSums {
    static constexpr bool LAYS_OUT = E::WORD == 2;
    const Operands& o;
    const MatmulParams& p;
    u64 first_channel, first_token;
    // The current channel.
    u64 y_channel;
    f32 bias;

    DEVICE_MEMBER bool channel(u32 i) {
        y_channel = first_channel + i;
        if (y_channel >= p.n) return false;
        bias = linear_bias(p, o, y_channel);
        return true;
    }

    template <u32 N> DEVICE_MEMBER void store(const u32 (&tokens)[N], f32 (&v)[N]) const {
        UNROLL for (u32 i = 0; i < N; i++) v[i] += bias;
        linear_activate(p, v);
        UNROLL for (u32 i = 0; i < N; i++) {
            const u64 token = first_token + tokens[i], at = token * p.n + y_channel;
            if (token >= p.m) continue;
            const f32 sum = p.residual ? v[i] + o.x[MATMUL_RESIDUAL][at] : v[i];
            if constexpr (LAYS_OUT) {
                if (o.laid) *(u16*)term_at(o.laid, token, (u32)y_channel, (u32)p.n) = E::part(sum);
            }
            if (!LAYS_OUT || o.y) o.y[at] = sum;
        }
    }
};
