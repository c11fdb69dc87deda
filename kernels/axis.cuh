// Lines along one axis of a gap-free tensor seen as (outer, n, inner).
#pragma once
#include "params.cuh"

// The n values at one place of the other axes.
struct Line {
    const f32* x;
    u64 start, step, n;

    __device__ f32 at(u64 k) const { return x[start + k * step]; }
};

DEVICE Line line(const AxisParams& p, const f32* x, u64 index) {
    u64 outer = index / p.inner, inner = index - outer * p.inner;
    return Line{x, outer * p.n * p.inner + inner, p.inner, p.n};
}

DEVICE u64 lines(const AxisParams& p) { return p.outer * p.inner; }

// This thread's first line, and how far its next one is.
DEVICE u64 own_line() { return (u64)block_x() * threads_x() + thread_x(); }
DEVICE u64 next_line() { return (u64)blocks_x() * threads_x(); }
