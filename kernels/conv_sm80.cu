// Convolution on the matrix units: stride 1, dense, one group; bf16, f16 or tf32 operands, f32 sums.
//
// A block computes 8 rows of 32 pixels for a block of channels, a warp 8 columns of them. The block holds those pixels
// with their halo in shared memory, 8 words of terms at a time, each converted once and read by all taps.
#include "conv_taps.cuh"
#include "epilogue.cuh"

#define ROWS SIDE
#define COLUMNS (WARPS * SIDE)

template <class E, u32 TILES, u32 KERNEL> struct Halo {
    static constexpr u32 WIDTH = COLUMNS + KERNEL - 1, HEIGHT = ROWS + KERNEL - 1;
    static constexpr u32 PIXELS = WIDTH * HEIGHT;
    // Words whose numbers differ by one lie 8 banks apart, so that a warp's reads meet no bank twice.
    static constexpr u32 STRIDE = (PIXELS + 31) / 32 * 32 + 8;
    // Channels of x staged at once, pixels a thread stages, and how many of them during one step.
    static constexpr u32 CHANNELS = WORDS * E::WORD;
    static constexpr u32 SLOTS = (PIXELS + THREADS_OF_BLOCK - 1) / THREADS_OF_BLOCK;
    static constexpr u32 SLOTS_PER_STEP = (SLOTS + KERNEL - 1) / KERNEL;
    // Sums of a tile of channels on their way to memory.
    static constexpr u32 SUMS_STRIDE = ROWS * COLUMNS + 8;

    u32 x[2][WORDS][STRIDE];
    Taps<E, TILES, KERNEL> taps;
};

// One block's view of the call.
template <class E, u32 TILES, u32 KERNEL> struct Block {
    using H = Halo<E, TILES, KERNEL>;
    H& shared;
    const Operands& o;
    const Conv2dParams& p;
    const f32* x;
    const u32* w;
    u32 x_plane;
    // Where the pixels that this thread stages lie in a plane of x; the sign bit marks padding.
    u32 place[H::SLOTS];
    Sums sums[TILES][ROWS];

    DEVICE_MEMBER void places() {
        const u32 across = (p.w_out + COLUMNS - 1) / COLUMNS;
        const i32 top = (i32)(block_x() / across * ROWS) - p.pad[0];
        const i32 left = (i32)(block_x() % across * COLUMNS) - p.pad[1];
        UNROLL for (u32 slot = 0; slot < H::SLOTS; slot++) {
            u32 pixel = slot * THREADS_OF_BLOCK + thread_x();
            i32 row = top + (i32)(pixel / H::WIDTH), column = left + (i32)(pixel % H::WIDTH);
            bool inside = pixel < H::PIXELS && row >= 0 && row < (i32)p.h_in && column >= 0 && column < (i32)p.w_in;
            u32 at = (u32)row / p.upsample * (p.w_in / p.upsample) + (u32)column / p.upsample;
            place[slot] = inside ? at : 0x80000000u;
        }
    }

    // Reads one pixel's channels of a stage.
    DEVICE_MEMBER void load(u32 stage, u32 slot, f32 (&v)[H::CHANNELS]) {
        const u32 first = stage * H::CHANNELS;
        const f32* from = x + (u64)first * x_plane + place[slot];
        UNROLL for (u32 c = 0; c < H::CHANNELS; c++) {
            v[c] = 0.0f;
            if ((i32)place[slot] >= 0 && first + c < p.c_in) v[c] = from[(u64)c * x_plane];
        }
    }

    DEVICE_MEMBER void store(u32 stage, u32 slot, const f32 (&v)[H::CHANNELS]) {
        const u32 pixel = slot * THREADS_OF_BLOCK + thread_x();
        if (pixel >= H::PIXELS) return;
        UNROLL for (u32 word = 0; word < WORDS; word++) shared.x[stage % 2][word][pixel] = E::word(v + word * E::WORD);
    }

    // Starts the copy of a step's weights.
    DEVICE_MEMBER void fetch(u32 step) {
        shared.taps.fetch(w, step);
        copies_commit();
    }

    DEVICE_MEMBER void run() {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        const u32 stages = (p.c_in + H::CHANNELS - 1) / H::CHANNELS;
        fetch(0);
        UNROLL for (u32 slot = 0; slot < H::SLOTS; slot++) {
            f32 v[H::CHANNELS];
            load(0, slot, v);
            store(0, slot, v);
        }
        for (u32 stage = 0; stage < stages; stage++) {
            const bool more = stage + 1 < stages;
            UNROLL for (u32 column = 0; column < KERNEL; column++) {
                const u32 step = stage * KERNEL + column;
                copies_wait<0>();
                barrier();
                if (more || column + 1 < KERNEL) fetch(step + 1);
                // The next stage's pixels are on their way while this one's are multiplied.
                f32 v[H::SLOTS_PER_STEP][H::CHANNELS];
                UNROLL for (u32 i = 0; i < H::SLOTS_PER_STEP; i++) {
                    const u32 slot = column * H::SLOTS_PER_STEP + i;
                    if (more && slot < H::SLOTS) load(stage + 1, slot, v[i]);
                }
                shared.taps.template multiply<H::WIDTH, 4 * H::STRIDE>(sums, step, &shared.x[stage % 2][lane % 4][warp * SIDE + lane / 4 + column]);
                UNROLL for (u32 i = 0; i < H::SLOTS_PER_STEP; i++) {
                    const u32 slot = column * H::SLOTS_PER_STEP + i;
                    if (more && slot < H::SLOTS) store(stage + 1, slot, v[i]);
                }
            }
        }
    }

    // Stores the sums, a tile of 16 channels at a time by way of shared memory, so that neighbouring
    // threads store neighbouring pixels.
    DEVICE_MEMBER void finish() {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        const u32 across = (p.w_out + COLUMNS - 1) / COLUMNS;
        const u32 top = block_x() / across * ROWS, column = block_x() % across * COLUMNS + lane;
        f32* staged = (f32*)shared.x;
        UNROLL for (u32 tile = 0; tile < TILES; tile++) {
            barrier();
            put_sums<H::SUMS_STRIDE, COLUMNS>(staged + warp * SIDE, sums[tile]);
            barrier();
            for (u32 c = 0; c < 16; c++) {
                const u32 channel = (block_y() * TILES + tile) * 16 + c;
                if (channel >= p.c_out || column >= p.w_out) break;
                const EpilogueChannel e = epilogue_channel(p.epilogue, o, channel);
                for (u32 row = warp; row < ROWS && top + row < p.h_out; row += WARPS) {
                    const u64 at = ((u64)channel * p.h_out + top + row) * p.w_out + column;
                    const f32 v = activated(p.epilogue, e, staged[c * H::SUMS_STRIDE + row * COLUMNS + lane]);
                    o.y[block_z() * p.y_batch_stride + at] = with_residuals(p, o, block_z(), at, v);
                }
            }
        }
    }
};

// Grid: tiles of pixels, blocks of channels, images. `prepared` holds the weights of each block of channels.
template <class E, u32 TILES, u32 KERNEL> DEVICE void convolve(const Operands& o, const Conv2dParams& p) {
    __shared__ Halo<E, TILES, KERNEL> shared;
    const u32 x_plane = p.h_in / p.upsample * (p.w_in / p.upsample);
    const u32 steps = (p.c_in + shared.CHANNELS - 1) / shared.CHANNELS * KERNEL;
    const f32* x = o.x[CONV_X] + block_z() * p.x_batch_stride;
    const u32* w = (const u32*)o.prepared + (u64)block_y() * steps * shared.taps.WEIGHTS;
    Block<E, TILES, KERNEL> block{shared, o, p, x, w, x_plane, {}, {}};
    block.places();
    block.run();
    block.finish();
}

#define CONVOLUTION(name, element, tiles, kernel) \
    ENTRY THREADS(THREADS_OF_BLOCK, 6 / tiles) name(Operands o, Conv2dParams p) { convolve<element, tiles, kernel>(o, p); }

CONVOLUTION(conv2d_fwd_bf16f32__halo_1x1_32_sm80, Bf16, 2, 1)
CONVOLUTION(conv2d_fwd_bf16f32__halo_1x1_64_sm80, Bf16, 4, 1)
CONVOLUTION(conv2d_fwd_bf16f32__halo_3x3_32_sm80, Bf16, 2, 3)
CONVOLUTION(conv2d_fwd_bf16f32__halo_3x3_64_sm80, Bf16, 4, 3)
CONVOLUTION(conv2d_fwd_f16f32__halo_1x1_32_sm80, F16, 2, 1)
CONVOLUTION(conv2d_fwd_f16f32__halo_1x1_64_sm80, F16, 4, 1)
CONVOLUTION(conv2d_fwd_f16f32__halo_3x3_32_sm80, F16, 2, 3)
CONVOLUTION(conv2d_fwd_f16f32__halo_3x3_64_sm80, F16, 4, 3)
CONVOLUTION(conv2d_fwd_tf32f32__halo_1x1_32_sm80, Tf32, 2, 1)
CONVOLUTION(conv2d_fwd_tf32f32__halo_1x1_64_sm80, Tf32, 4, 1)
CONVOLUTION(conv2d_fwd_tf32f32__halo_3x3_32_sm80, Tf32, 2, 3)
CONVOLUTION(conv2d_fwd_tf32f32__halo_3x3_64_sm80, Tf32, 4, 3)
