// Resizing of images: sums along columns first, then along rows. `prepared` holds the taps of all rows
// of y, then those of all its columns.
#include "params.cuh"

// Grid: x over columns, y over the rows of all planes (striding).
template <u32 TAPS> DEVICE void resize(const Operands& o, const ResizeParams& p) {
    const u32 column = block_x() * threads_x() + thread_x();
    if (column >= p.w_out) return;
    const Tap* taps = (const Tap*)o.prepared;
    const Tap along = taps[p.h_out + column];
    const u64 rows = (u64)p.batch * p.channels * p.h_out;
    for (u64 at = (u64)block_y() * threads_y() + thread_y(); at < rows; at += (u64)blocks_y() * threads_y()) {
        u64 plane = at / p.h_out;
        u32 row = (u32)(at - plane * p.h_out);
        u64 image = plane / p.channels, channel = plane - image * p.channels;
        const f32* x = o.x[0] + image * p.x_batch_stride + channel * p.h_in * p.w_in;
        const Tap down = taps[row];
        f32 sum = 0.0f;
        if (TAPS == 1) sum = x[(u64)down.index[0] * p.w_in + along.index[0]];
        else UNROLL for (u32 i = 0; i < TAPS; i++) {
            const f32* line = x + (u64)down.index[i] * p.w_in;
            f32 within = 0.0f;
            UNROLL for (u32 j = 0; j < TAPS; j++) within = fma(along.weight[j], line[along.index[j]], within);
            sum = fma(down.weight[i], within, sum);
        }
        o.y[image * p.y_batch_stride + (channel * p.h_out + row) * p.w_out + column] = sum;
    }
}

ENTRY resize_fwd_f32__taps(Operands o, ResizeParams p) {
    if (p.mode == RESIZE_NEAREST) resize<1>(o, p);
    else if (p.mode == RESIZE_BILINEAR) resize<2>(o, p);
    else resize<4>(o, p);
}
