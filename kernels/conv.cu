// Convolution in f32 for any stride, dilation, padding, grouping and enlargement. Terms run in the order
// channel, row, column.
#include "epilogue.cuh"
#include "tiles.cuh"

// Row or column of x that a position means, or -1 for a zero.
DEVICE i32 source(i32 at, i32 extent, u32 pad_mode) {
    if (at >= 0 && at < extent) return at;
    if (pad_mode == PAD_ZERO) return -1;
    i32 mirrored = at < 0 ? -at : at;
    return mirrored >= extent ? 2 * (extent - 1) - mirrored : mirrored;
}

// What one block computes: PIXELS of one image for a block of one group's channels.
struct Convolution {
    const Operands& o;
    const Conv2dParams& p;
    // The group's channels of the image.
    const f32* x;
    u32 first, within, channels, plane;
    // Where the window of each of the lane's pixels begins.
    i32 top[LANE_PIXELS], left[LANE_PIXELS];
    // The current term.
    const f32* x_channel;
    i32 down, right;
    // The current channel.
    bool stored;
    u32 y_channel;
    EpilogueChannel epilogue;

    DEVICE_MEMBER void windows() {
        UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) {
            u32 at = block_x() * PIXELS + lane_pixel(j);
            if (at >= plane) at = 0;
            u32 row = at / p.w_out;
            top[j] = (i32)(row * p.stride[0]) - p.pad[0];
            left[j] = (i32)((at - row * p.w_out) * p.stride[1]) - p.pad[1];
        }
    }

    DEVICE_MEMBER void term(u32 t) {
        const u32 area = p.kernel[0] * p.kernel[1], channel = t / area, tap = t - channel * area;
        x_channel = x + channel * ((u64)(p.h_in / p.upsample) * (p.w_in / p.upsample));
        down = (i32)(tap / p.kernel[1] * p.dilation[0]);
        right = (i32)(tap % p.kernel[1] * p.dilation[1]);
    }

    DEVICE_MEMBER f32 value(u32 j) const {
        const i32 row = source(top[j] + down, (i32)p.h_in, p.pad_mode);
        const i32 column = source(left[j] + right, (i32)p.w_in, p.pad_mode);
        if (row < 0 || column < 0) return 0.0f;
        u32 r = (u32)row, c = (u32)column;
        if (p.upsample > 1) r /= p.upsample, c /= p.upsample;
        return x_channel[(u64)r * (p.w_in / p.upsample) + c];
    }

    DEVICE_MEMBER void channel(u32 i) {
        stored = within + i < channels;
        y_channel = first + i;
        if (stored) epilogue = epilogue_channel(p.epilogue, o, y_channel);
    }

    DEVICE_MEMBER void store(u32 pixel, f32 sum) const {
        const u32 at_plane = block_x() * PIXELS + pixel;
        if (!stored || at_plane >= plane) return;
        const u64 at = (u64)y_channel * plane + at_plane;
        const f32 v = activated(p.epilogue, epilogue, sum);
        o.y[block_z() * p.y_batch_stride + at] = with_residuals(p, o, block_z(), at, v);
    }
};

// Grid: tiles of pixels, blocks of channels group by group, images. `prepared` holds the weights of each block
// of channels.
template <u32 WARPS> DEVICE void convolve(const Operands& o, const Conv2dParams& p) {
    constexpr u32 CHANNELS = WARPS * WARP_CHANNELS;
    const u32 c_in = p.c_in / p.groups, c_out = p.c_out / p.groups;
    const u32 blocks = (c_out + CHANNELS - 1) / CHANNELS;
    const u32 group = block_y() / blocks, within = block_y() % blocks * CHANNELS;
    const u32 terms = c_in * p.kernel[0] * p.kernel[1];
    const u64 x_plane = (u64)(p.h_in / p.upsample) * (p.w_in / p.upsample);
    const f32* x = o.x[CONV_X] + block_z() * p.x_batch_stride + (u64)group * c_in * x_plane;
    const u64 block_len = (u64)((terms + TERMS - 1) / TERMS * TERMS) * CHANNELS;
    Convolution job{o, p, x, group * c_out + within, within, c_out, p.h_out * p.w_out, {}, {}, x, 0, 0, false, 0, {}};
    job.windows();
    multiply<WARPS>(job, (const f32*)o.prepared + block_y() * block_len, terms);
}

ENTRY THREADS(32) conv2d_fwd_f32__gemm_8x128(Operands o, Conv2dParams p) { convolve<1>(o, p); }
ENTRY THREADS(128) conv2d_fwd_f32__gemm_32x128(Operands o, Conv2dParams p) { convolve<4>(o, p); }
ENTRY THREADS(256) conv2d_fwd_f32__gemm_64x128(Operands o, Conv2dParams p) { convolve<8>(o, p); }
