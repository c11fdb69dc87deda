// A matrix product of weights (channels by terms of a sum) and gathered pixels (terms by pixels), in f32.
//
// A warp owns 8 channels of 128 pixels; a block has one warp per 8 channels, and all of its warps share the
// pixels. Terms run in order, one chain of fused multiply-adds per element: the bits depend on neither tile
// nor batch.
#pragma once
#include "params.cuh"

#define WARP_CHANNELS 8
#define PIXELS 128
#define LANE_PIXELS (PIXELS / 32)
#define TERMS 16

// The pixel of a block that a lane's `j`-th is.
DEVICE u32 lane_pixel(u32 j) { return thread_x() % 32 + 32 * j; }

// `job.term(t)` looks at a term, `job.value(j)` is what it reads for the lane's j-th pixel;
// `job.channel(i)` looks at a channel of the block, `job.store(pixel, sum)` takes its sum. `w` holds (terms, channels), filled up with zeros to whole TERMS.
template <u32 WARPS, class Job> DEVICE void multiply(Job& job, const f32* w, u32 terms) {
    constexpr u32 CHANNELS = WARPS * WARP_CHANNELS;
    __shared__ f32 pixels[TERMS][PIXELS];
    __shared__ f32 weights[TERMS][CHANNELS];
    const u32 lane = thread_x() % 32, warp = thread_x() / 32;
    f32 sums[WARP_CHANNELS][LANE_PIXELS] = {};
    for (u32 start = 0; start < terms; start += TERMS) {
        for (u32 t = warp; t < TERMS; t += WARPS) {
            const bool inside = start + t < terms;
            if (inside) job.term(start + t);
            UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) pixels[t][lane_pixel(j)] = inside ? job.value(j) : 0.0f;
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
    // By way of shared memory, so that the code for a sum is there once per channel, not per element.
    UNROLL for (u32 i = 0; i < WARP_CHANNELS; i++) {
        UNROLL for (u32 j = 0; j < LANE_PIXELS; j++) pixels[warp][lane + 32 * j] = sums[i][j];
        job.channel(warp * WARP_CHANNELS + i);
        ROLLED for (u32 j = 0; j < LANE_PIXELS; j++) job.store(lane + 32 * j, pixels[warp][lane + 32 * j]);
    }
}
