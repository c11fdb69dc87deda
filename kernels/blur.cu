// Separable Gaussian blur with mirrored borders in two launches: along rows into the workspace, then along
// columns. `prepared` holds the weights of the vertical axis, then those of the horizontal one.
#include "params.cuh"

DEVICE u32 mirrored(i32 at, i32 extent) {
    at = at < 0 ? -at : at;
    return (u32)(at >= extent ? 2 * (extent - 1) - at : at);
}

// Grid: x over columns, y over the rows of all planes (striding). One axis of the blur, from x to y.
template <bool ALONG_ROWS> DEVICE void blur(const f32* x, f32* y, const f32* weights, const BlurParams& p) {
    const u32 column = block_x() * threads_x() + thread_x();
    if (column >= p.w) return;
    const u64 rows = (u64)p.planes * p.h;
    const u32 taps = p.taps[ALONG_ROWS];
    for (u64 at = (u64)block_y() * threads_y() + thread_y(); at < rows; at += (u64)blocks_y() * threads_y()) {
        u64 plane = at / p.h;
        u32 row = (u32)(at - plane * p.h);
        f32 sum = 0.0f;
        for (u32 k = 0; k < taps; k++) {
            i32 shift = (i32)k - (i32)(taps / 2);
            u32 r = ALONG_ROWS ? row : mirrored((i32)row + shift, (i32)p.h);
            u32 c = ALONG_ROWS ? mirrored((i32)column + shift, (i32)p.w) : column;
            sum = fma(weights[k], x[(plane * p.h + r) * p.w + c], sum);
        }
        y[at * p.w + column] = sum;
    }
}

ENTRY blur_fwd_f32__separable_rows(Operands o, BlurParams p) {
    blur<true>(o.x[0], o.workspace, (const f32*)o.prepared + p.taps[0], p);
}

ENTRY blur_fwd_f32__separable_columns(Operands o, BlurParams p) {
    blur<false>(o.workspace, o.y, (const f32*)o.prepared, p);
}
