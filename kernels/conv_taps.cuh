// The products of a convolution on the matrix units, a column of taps at a time: a warp owns 8 rows of 8 pixels. It
// keeps the weights of all rows of taps in registers and walks down the rows of pixels, each of which it loads once
// for all rows of y that look at it.
#pragma once
#include "tensor_core.cuh"

#define WARPS 4
#define THREADS_OF_BLOCK (WARPS * 32)
// Rows and columns of a warp.
#define SIDE 8
// Words of terms that are staged at once: what one product takes.
#define WORDS 8

// Weights of (stages, columns of taps, rows of taps, tiles of 16 channels, lanes, four words); a step is a column of taps of
// a stage.
template <class E, u32 TILES, u32 KERNEL> struct Taps {
    // Words of weights of one step: a lane's four words lie together.
    static constexpr u32 WEIGHTS = KERNEL * TILES * 32 * 4;

    alignas(16) u32 w[2][WEIGHTS];

    // Starts the copy of a step's weights.
    DEVICE_MEMBER void fetch(const u32* from, u32 step) {
        UNROLL for (u32 first = 0; first < WEIGHTS; first += THREADS_OF_BLOCK * 4) {
            const u32 i = first + thread_x() * 4;
            if (first + THREADS_OF_BLOCK * 4 > WEIGHTS && i >= WEIGHTS) break;
            copy_16(&w[step % 2][i], from + (u64)step * WEIGHTS + i);
        }
    }

    // Adds the products of a step. `b` is this lane's word of the pixels' first row; the next row's lies DOWN words
    // further, those of the product's other four words BEHIND.
    template <u32 DOWN, u32 BEHIND> DEVICE_MEMBER void multiply(Sums (&sums)[TILES][SIDE], u32 step, const u32* b) const {
        const u32 lane = thread_x() % 32;
        Left a[KERNEL][TILES];
        UNROLL for (u32 k = 0; k < KERNEL; k++)
            UNROLL for (u32 tile = 0; tile < TILES; tile++) a[k][tile] = Left::from(&w[step % 2][((k * TILES + tile) * 32 + lane) * 4]);
        UNROLL for (u32 row = 0; row < SIDE + KERNEL - 1; row++) {
            const u32 b0 = b[row * DOWN], b1 = b[BEHIND + row * DOWN];
            UNROLL for (u32 k = 0; k < KERNEL; k++)
                UNROLL for (u32 tile = 0; tile < TILES; tile++)
                    if (row >= k && row - k < SIDE) E::multiply(sums[tile][row - k], a[k][tile], b0, b1);
        }
    }
};

// Puts a tile's sums into rows of a channel each, APART sums one behind the other; the warp's first lies at `to`, its
// next row of pixels DOWN further.
template <u32 APART, u32 DOWN> DEVICE void put_sums(f32* to, const Sums (&sums)[SIDE]) {
    const u32 lane = thread_x() % 32;
    UNROLL for (u32 row = 0; row < SIDE; row++)
        UNROLL for (u32 i = 0; i < 4; i++) to[(lane / 4 + i / 2 * 8) * APART + row * DOWN + lane % 4 * 2 + i % 2] = sums[row].v[i];
}
