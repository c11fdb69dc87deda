// Element-wise maps over strided tensors.
#include "params.cuh"

template <u32 INPUTS> DEVICE f32 apply(const MapParams& p, const f32 (&v)[MAX_INPUTS]) {
    auto below = [&](f32 slope) { return v[0] < 0.0f ? v[0] * slope : v[0]; };
    if constexpr (INPUTS == 0) return p.a;
    if constexpr (INPUTS == 1) {
        if (p.op == MAP_COPY) return v[0];
        if (p.op == MAP_RELU) return v[0] < 0.0f ? 0.0f : v[0];
        if (p.op == MAP_LEAKY_RELU) return below(p.a);
        if (p.op == MAP_SIGMOID) return sigmoid(v[0]);
        if (p.op == MAP_GELU) return gelu(v[0]);
        return p.a * v[0];
    }
    if constexpr (INPUTS == 2) {
        if (p.op == MAP_ADD) return fma(p.a, v[0], p.b * v[1]);
        if (p.op == MAP_MUL) return v[0] * v[1];
        if (p.op == MAP_PRELU) return below(v[1]);
        if (p.op == MAP_MAX) return v[1] > v[0] || v[1] != v[1] ? v[1] : v[0];
        return v[0] / square_root(v[1] + p.a);
    }
    if constexpr (INPUTS == 3) return fma(v[0], v[1], v[2]);
    if constexpr (INPUTS == 4) return fma(v[0] - v[1], v[2], v[3]);
    if constexpr (INPUTS == 5) return fma((v[0] - v[1]) / square_root(v[2] + p.a), v[3], v[4]);
}

// Grid and block: x over the innermost used axis, y over all others together; both stride.
template <u32 INPUTS> DEVICE void map(const Operands& o, const MapParams& p) {
    u64 inner = p.dims[0], outer = 1, y_step = p.y_strides[0];
    u64 x_step[MAX_INPUTS];
    UNROLL for (u32 k = 0; k < INPUTS; k++) x_step[k] = p.x_strides[k][0];
    UNROLL for (u32 axis = 1; axis < MAX_RANK; axis++) {
        if (axis >= p.rank) continue;
        outer *= inner;
        inner = p.dims[axis], y_step = p.y_strides[axis];
        UNROLL for (u32 k = 0; k < INPUTS; k++) x_step[k] = p.x_strides[k][axis];
    }
    for (u64 row = (u64)block_y() * threads_y() + thread_y(); row < outer; row += (u64)blocks_y() * threads_y()) {
        u64 rest = row, y_at = 0, x_at[MAX_INPUTS] = {};
        UNROLL for (i32 axis = MAX_RANK - 2; axis >= 0; axis--) {
            if (axis + 1 >= (i32)p.rank) continue;
            u64 index = rest % p.dims[axis];
            rest /= p.dims[axis];
            y_at += index * p.y_strides[axis];
            UNROLL for (u32 k = 0; k < INPUTS; k++) x_at[k] += index * p.x_strides[k][axis];
        }
        for (u64 i = (u64)block_x() * threads_x() + thread_x(); i < inner; i += (u64)blocks_x() * threads_x()) {
            f32 v[MAX_INPUTS] = {};
            UNROLL for (u32 k = 0; k < INPUTS; k++) v[k] = o.x[k][x_at[k] + i * x_step[k]];
            o.y[y_at + i * y_step] = apply<INPUTS>(p, v);
        }
    }
}

ENTRY map_fwd_f32__strided(Operands o, MapParams p) {
    const u32 op = p.op;
    if (op == MAP_FILL) map<0>(o, p);
    else if (op == MAP_ADD || op == MAP_MUL || op == MAP_PRELU || op == MAP_NORM_SCALE || op == MAP_MAX) map<2>(o, p);
    else if (op == MAP_AFFINE) map<3>(o, p);
    else if (op == MAP_NORM_SHIFT) map<4>(o, p);
    else if (op == MAP_NORM) map<5>(o, p);
    else map<1>(o, p);
}
