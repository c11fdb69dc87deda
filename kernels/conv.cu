// Convolution in f32 for any stride, dilation, padding, grouping and enlargement.
//
// A matrix product of weights (channels of y by terms of the sum) and gathered pixels (terms by
// pixels of y). A warp owns 8 channels of 128 pixels; a block has one warp per 8 channels, and all of
// its warps share the pixels. Terms run in the order channel, row, column, one chain of fused
// multiply-adds per element: the bits depend on neither tile nor batch.
#include "epilogue.cuh"

#define WARP_CHANNELS 8
#define PIXELS 128
#define LANE_PIXELS (PIXELS / 32)
#define TERMS 16

// Row or column of x that a position means, or -1 for a zero.
DEVICE i32 source(i32 at, i32 extent, u32 pad_mode) {
    if (at >= 0 && at < extent) return at;
    if (pad_mode == PAD_ZERO) return -1;
    i32 mirrored = at < 0 ? -at : at;
    return mirrored >= extent ? 2 * (extent - 1) - mirrored : mirrored;
}

// Grid: tiles of pixels, blocks of channels group by group, images. `prepared` holds the weights of
// each block of channels as (terms, channels), filled up with zeros to whole TERMS and channels.
template <u32 WARPS>
DEVICE void convolve(const Operands& o, const Conv2dParams& p) {
    constexpr u32 CHANNELS = WARPS * WARP_CHANNELS;
    __shared__ f32 pixels[TERMS][PIXELS];
    __shared__ f32 weights[TERMS][CHANNELS];

    const u32 lane = thread_x() % 32, warp = thread_x() / 32;
    const u32 c_in = p.c_in / p.groups, c_out = p.c_out / p.groups;
    const u32 blocks = (c_out + CHANNELS - 1) / CHANNELS;
    const u32 group = block_y() / blocks, first = block_y() % blocks * CHANNELS;
    const u32 image = block_z();
    const u32 area = p.kernel[0] * p.kernel[1], terms = c_in * area;
    const u32 padded = (terms + TERMS - 1) / TERMS * TERMS;
    const u32 plane = p.h_out * p.w_out;
    const u32 width = p.w_in / p.upsample;
    const u64 x_plane = (u64)(p.h_in / p.upsample) * width;
    const f32* x = o.x[CONV_X] + image * p.x_batch_stride + (u64)group * c_in * x_plane;
    const f32* w = (const f32*)o.prepared + (u64)block_y() * padded * CHANNELS;

    // Where the window of each of the lane's pixels begins.
    i32 top[LANE_PIXELS], left[LANE_PIXELS];
    UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) {
        u32 at = block_x() * PIXELS + lane + 32 * j;
        u32 row = at / p.w_out;
        top[j] = (i32)(row * p.stride[0]) - (i32)p.pad[0];
        left[j] = (i32)((at - row * p.w_out) * p.stride[1]) - (i32)p.pad[1];
        if (at >= plane) top[j] = left[j] = 0;
    }

    f32 sums[WARP_CHANNELS][LANE_PIXELS] = {};
    for (u32 start = 0; start < padded; start += TERMS) {
        for (u32 t = warp; t < TERMS; t += WARPS) {
            u32 term = start + t, channel = term / area, tap = term - channel * area;
            i32 down = (i32)(tap / p.kernel[1] * p.dilation[0]);
            i32 right = (i32)(tap % p.kernel[1] * p.dilation[1]);
            UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) {
                i32 row = source(top[j] + down, (i32)p.h_in, p.pad_mode);
                i32 column = source(left[j] + right, (i32)p.w_in, p.pad_mode);
                f32 v = 0.0f;
                if (term < terms && row >= 0 && column >= 0) {
                    u32 r = (u32)row, c = (u32)column;
                    if (p.upsample > 1) r /= p.upsample, c /= p.upsample;
                    v = x[channel * x_plane + (u64)r * width + c];
                }
                pixels[t][lane + 32 * j] = v;
            }
        }
        for (u32 i = thread_x(); i < TERMS * CHANNELS; i += WARPS * 32) {
            weights[i / CHANNELS][i % CHANNELS] = w[(u64)start * CHANNELS + i];
        }
        barrier();
        UNROLL for (u32 t = 0; t < TERMS; t++) {
            f32 a[WARP_CHANNELS], b[LANE_PIXELS];
            UNROLL for (u32 i = 0; i < WARP_CHANNELS; i++) a[i] = weights[t][warp * WARP_CHANNELS + i];
            UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) b[j] = pixels[t][lane + 32 * j];
            UNROLL for (u32 i = 0; i < WARP_CHANNELS; i++)
                UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) sums[i][j] = fma(a[i], b[j], sums[i][j]);
        }
        barrier();
    }

    UNROLL for (u32 i = 0; i < WARP_CHANNELS; i++) {
        u32 within = first + warp * WARP_CHANNELS + i;
        if (within >= c_out) continue;
        u32 channel = group * c_out + within;
        EpilogueChannel c = epilogue_channel(p.epilogue, o, channel);
        UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) {
            u32 pixel = block_x() * PIXELS + lane + 32 * j;
            if (pixel >= plane) continue;
            u64 at = (u64)channel * plane + pixel;
            f32 v = activated(p.epilogue, c, sums[i][j]);
            o.y[image * p.y_batch_stride + at] = with_residuals(p, o, image, at, v);
        }
    }
}

ENTRY THREADS(32) conv2d_fwd_f32__gemm_8x128(Operands o, Conv2dParams p) { convolve<1>(o, p); }
ENTRY THREADS(128) conv2d_fwd_f32__gemm_32x128(Operands o, Conv2dParams p) { convolve<4>(o, p); }
ENTRY THREADS(256) conv2d_fwd_f32__gemm_64x128(Operands o, Conv2dParams p) { convolve<8>(o, p); }
