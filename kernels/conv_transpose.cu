// Transposed convolution in f32.
#include "phases.cuh"
#include "tiles.cuh"

struct Transposed {
    const Operands& o;
    const ConvTranspose2dParams& p;
    const f32* x;
    u32 first, sides;
    u32 row_phase, column_phase;
    Phase rows, columns;
    i32 top[LANE_PIXELS], left[LANE_PIXELS];
    // The current term; taps beyond a phase's are zeros.
    const f32* x_channel;
    u32 down, right;
    // The current channel.
    bool stored;
    u32 y_channel;
    f32 bias;

    DEVICE_MEMBER void windows() {
        UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) {
            u32 at = block_x() * PIXELS + lane_pixel(j);
            if (at >= rows.extent * columns.extent) at = 0;
            u32 row = columns.extent > 0 ? at / columns.extent : 0;
            top[j] = (i32)row - (i32)rows.pad;
            left[j] = (i32)(at - row * columns.extent) - (i32)columns.pad;
        }
    }

    DEVICE_MEMBER void term(u32 t) {
        const u32 area = sides * sides, channel = t / area, tap = t - channel * area;
        x_channel = x + channel * ((u64)p.h_in * p.w_in);
        down = tap / sides;
        right = tap % sides;
    }

    DEVICE_MEMBER f32 value(u32 j) const {
        const i32 row = top[j] + (i32)down, column = left[j] + (i32)right;
        const bool inside = row >= 0 && row < (i32)p.h_in && column >= 0 && column < (i32)p.w_in;
        return inside && down < rows.taps && right < columns.taps ? x_channel[(u64)row * p.w_in + column] : 0.0f;
    }

    DEVICE_MEMBER void channel(u32 i) {
        y_channel = first + i;
        stored = y_channel < p.c_out;
        bias = stored && p.has_bias ? o.x[CONV_BIAS][y_channel] : 0.0f;
    }

    DEVICE_MEMBER void store(u32 pixel, f32 sum) const {
        const u32 at = block_x() * PIXELS + pixel;
        if (!stored || at >= rows.extent * columns.extent) return;
        const u32 row = at / columns.extent * p.stride + row_phase;
        const u32 column = at % columns.extent * p.stride + column_phase;
        o.y[block_z() * p.y_batch_stride + ((u64)y_channel * p.h_out + row) * p.w_out + column] =
            transposed_epilogue(p, bias, sum);
    }
};

// Grid: tiles of a phase's pixels, blocks of channels phase by phase, images. `prepared` holds the weights of each
// phase's blocks of channels; terms are channel, row and column of ceil(kernel / stride) taps.
ENTRY THREADS(128) conv_transpose2d_fwd_f32__gemm_32x128(Operands o, ConvTranspose2dParams p) {
    constexpr u32 WARPS = 4, CHANNELS = WARPS * WARP_CHANNELS;
    const u32 blocks = (p.c_out + CHANNELS - 1) / CHANNELS;
    const u32 phase = block_y() / blocks, row_phase = phase / p.stride, column_phase = phase % p.stride;
    const u32 sides = (p.kernel + p.stride - 1) / p.stride, terms = p.c_in * sides * sides;
    const u64 block_len = (u64)((terms + TERMS - 1) / TERMS * TERMS) * CHANNELS;
    const f32* x = o.x[CONV_X] + block_z() * p.x_batch_stride;
    Transposed job{o, p, x, block_y() % blocks * CHANNELS, sides, row_phase, column_phase,
                   phase_of(p, row_phase, p.h_out), phase_of(p, column_phase, p.w_out), {}, {}, x, 0, 0, false, 0, 0.0f};
    job.windows();
    multiply<WARPS>(job, (const f32*)o.prepared + block_y() * block_len, terms);
}
