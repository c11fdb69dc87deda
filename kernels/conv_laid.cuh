// Products of a convolution of x as it is laid out in units: stride 1, dense, one group; bf16 or f16 factors, f32 sums.
// Terms are summed in the order of conv_sm80.cu, so the bits are the same.
//
// A block computes half a unit, 32 rows of 8 pixels, for a block of channels, a warp 8 rows of them. Two octets of
// channels of the block's pixels and their halo are copied as they lie, a part during each column of taps of the two
// octets before.
#pragma once
#include "conv_taps.cuh"
#include "conv_units.cuh"

// Rows of y of a block.
#define HALF (WARPS * SIDE)

template <class E, u32 TILES, u32 KERNEL> struct Piece {
    // Where the first tap looks, of a unit's rows and columns.
    static constexpr u32 FIRST = KERNEL == 1;
    // Pixels of whole rows that the block's taps look at, and how many of them a thread copies of an octet.
    static constexpr u32 PIXELS = (HALF + KERNEL - 1) * PITCH;
    static constexpr u32 COPIES = (PIXELS + THREADS_OF_BLOCK - 1) / THREADS_OF_BLOCK;
    // Sums of a tile of channels on their way to memory.
    static constexpr u32 SUMS_STRIDE = HALF * COLUMNS + 8;
    static_assert(16 * SUMS_STRIDE <= 2 * 2 * PIXELS * 4, "sums take the pixels' place");

    Four x[2][2 * PIXELS];
    Taps<E, TILES, KERNEL> taps;
};

// One block's view of the call.
template <class E, u32 TILES, u32 KERNEL> struct Block {
    using P = Piece<E, TILES, KERNEL>;
    P& shared;
    const Operands& o;
    const Conv2dParams& p;
    // The block's image, its block of channels, its unit, and its first row there.
    u32 image, channels, unit, top;
    const u32* w;
    Sums sums[TILES][SIDE];

    // Starts the copy of a part of a stage's pixels.
    DEVICE_MEMBER void bring(u32 stage, u32 part) {
        const u8* from = unit_at(o.workspace, p, stage, image, unit) + ((top + P::FIRST) * PITCH + thread_x()) * 16;
        UNROLL for (u32 k = part; k < 2 * P::COPIES; k += KERNEL) {
            const u32 octet = k % 2, first = k / 2 * THREADS_OF_BLOCK;
            if (first + THREADS_OF_BLOCK > P::PIXELS && first + thread_x() >= P::PIXELS) break;
            copy_16(&shared.x[stage % 2][octet * P::PIXELS + first + thread_x()], from + octet * OCTET + first * 16);
        }
    }

    DEVICE_MEMBER void run(u32 stages) {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        UNROLL for (u32 part = 0; part < KERNEL; part++) bring(0, part);
        shared.taps.fetch(w, 0);
        copies_commit();
        for (u32 stage = 0; stage < stages; stage++) {
            const bool more = stage + 1 < stages;
            const u32* x = (const u32*)&shared.x[stage % 2][warp * SIDE * PITCH + lane / 4 + P::FIRST] + lane % 4;
            UNROLL for (u32 column = 0; column < KERNEL; column++) {
                const u32 step = stage * KERNEL + column;
                copies_wait<0>();
                barrier();
                if (more) bring(stage + 1, column);
                if (more || column + 1 < KERNEL) shared.taps.fetch(w, step + 1);
                copies_commit();
                shared.taps.template multiply<PITCH * 4, P::PIXELS * 4>(sums, step, x + column * 4);
            }
        }
    }

    // Stores the sums, a tile of 16 channels at a time by way of shared memory, so that a thread has eight channels of
    // a pixel.
    DEVICE_MEMBER void finish() {
        f32* staged = (f32*)shared.x;
        ROLLED for (u32 tile = 0; tile < TILES; tile++) {
            barrier();
            put_sums<P::SUMS_STRIDE, COLUMNS>(staged + thread_x() / 32 * SIDE * COLUMNS, sums[0]);
            // So that the code is there once, not once a tile.
            UNROLL for (u32 next = 1; next < TILES; next++)
                UNROLL for (u32 row = 0; row < SIDE; row++) sums[next - 1][row] = sums[next][row];
            barrier();
            ROLLED for (u32 octet = 0; octet < 2; octet++) {
                const u32 first = ((channels * TILES + tile) * 2 + octet) * 8;
                if (first >= p.c_out) break;
                const EpilogueOctet eight(o, p, first);
                ROLLED for (u32 i = thread_x(); i < HALF * COLUMNS; i += THREADS_OF_BLOCK) {
                    eight.template store<E, P::SUMS_STRIDE>(o, p, image, unit, top + i / COLUMNS, i % COLUMNS, staged + octet * 8 * P::SUMS_STRIDE + i);
                }
            }
        }
    }
};

// Computes a half of a unit, numbered across units, for a block of channels of an image. `prepared` holds the weights of
// each block of channels.
template <class E, u32 TILES, u32 KERNEL>
DEVICE void convolve(Piece<E, TILES, KERNEL>& shared, const Operands& o, const Conv2dParams& p, u32 half, u32 channels, u32 image) {
    const u32 stages = (p.c_in + CHANNELS - 1) / CHANNELS, unit = half / 2, top = half % 2 * HALF;
    const u32* w = (const u32*)o.prepared + (u64)channels * stages * KERNEL * shared.taps.WEIGHTS;
    Block<E, TILES, KERNEL> block{shared, o, p, image, channels, unit, top, w, {}};
    // A half below the image is zero where it is laid out, as the halo of the other.
    if (unit / units_across(p) * ROWS + top < p.h_out) block.run(stages);
    block.finish();
}
