// Pooling, one window per thread.
#include "params.cuh"

// The rows or columns of x that an output index covers, cut at the image.
struct Window {
    u32 from, to;
};

DEVICE Window window(u32 at, u32 kernel, u32 stride, u32 pad, u32 extent) {
    u32 start = at * stride, end = start + kernel;
    Window w;
    w.to = end > pad ? end - pad : 0;
    w.to = w.to < extent ? w.to : extent;
    w.from = start > pad ? start - pad : 0;
    w.from = w.from < w.to ? w.from : w.to;
    return w;
}

// Grid: x over columns, y over the rows of all planes (striding).
template <bool MEAN> DEVICE void pool(const Operands& o, const PoolParams& p) {
    const u32 column = block_x() * threads_x() + thread_x();
    if (column >= p.w_out) return;
    const Window across = window(column, p.kernel[1], p.stride[1], p.pad[1], p.w_in);
    const u64 rows = (u64)p.batch * p.channels * p.h_out;
    for (u64 at = (u64)block_y() * threads_y() + thread_y(); at < rows; at += (u64)blocks_y() * threads_y()) {
        u64 plane = at / p.h_out;
        u32 row = (u32)(at - plane * p.h_out);
        u64 image = plane / p.channels, channel = plane - image * p.channels;
        const f32* x = o.x[0] + image * p.x_batch_stride + channel * p.h_in * p.w_in;
        const Window down = window(row, p.kernel[0], p.stride[0], p.pad[0], p.h_in);
        f32 value = 0.0f;
        bool first = true;
        for (u32 r = down.from; r < down.to; r++) {
            for (u32 c = across.from; c < across.to; c++) {
                f32 v = x[(u64)r * p.w_in + c];
                if (MEAN) value += v;
                else if (first || v > value) value = v;
                first = false;
            }
        }
        if (MEAN) {
            u32 inside = (down.to - down.from) * (across.to - across.from);
            value /= (f32)(p.count_pad ? p.kernel[0] * p.kernel[1] : inside);
        }
        o.y[image * p.y_batch_stride + (channel * p.h_out + row) * p.w_out + column] = value;
    }
}

ENTRY pool_fwd_f32__windows(Operands o, PoolParams p) {
    if (p.mean) pool<true>(o, p);
    else pool<false>(o, p);
}
