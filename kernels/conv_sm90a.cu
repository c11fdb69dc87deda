// Convolution by warpgroups: stride 1, dense, one group; bf16 or f16 factors, f32 sums.
//
// An entry of its own first lays x out in units: 8 columns by 64 rows of y with their halo, rounded, 16 channels
// after 16. A unit's 16 channels lie in one piece as (two octets of channels, rows, columns, octet), padding,
// enlargement and edges included: the pixels that a tap looks at are the same piece, begun elsewhere. One bulk
// copy brings it to shared memory and one descriptor makes it the right factor of a product, 256 pixels wide.
// The left factor are 64 rows of weights of one tap: of 64 channels, or of 32 channels for two rows of y. A block
// can lay its part of y out as well, for convolutions that read it.
#include "epilogue.cuh"
#include "ring.cuh"

#define COLUMNS 8
#define ROWS 64
// With the halo of a 3 x 3 kernel, whatever the kernel is: all convolutions look at the same units.
#define PITCH (COLUMNS + 2)
#define HEIGHT (ROWS + 2)
// Channels of x that one product sums over, and the bytes of their two octets.
#define CHANNELS 16
#define OCTET (PITCH * HEIGHT * 16)
#define UNIT (2 * OCTET)
// Rows of weights of one tap, and the bytes of two octets of channels of them.
#define LEFT 64
#define TAP (LEFT * CHANNELS * 2)

#define GROUPS 2
#define CONSUMERS (GROUPS * 128)
#define THREADS_OF_BLOCK (CONSUMERS + 32)

DEVICE u32 units_across(const Conv2dParams& p) { return (p.w_out + COLUMNS - 1) / COLUMNS; }
DEVICE u32 units_down(const Conv2dParams& p) { return (p.h_out + ROWS - 1) / ROWS; }

typedef u32 Four __attribute__((ext_vector_type(4)));

// Where the unit of an image lies for the 16 channels of a stage, in units that begin at `base`.
DEVICE u8* unit_at(const void* base, const Conv2dParams& p, u32 stage, u32 image, u32 unit) {
    const u64 units = (u64)units_across(p) * units_down(p);
    return (u8*)base + (((u64)stage * p.batch + image) * units + unit) * UNIT;
}

// Stores one of a unit's octets of a pixel.
DEVICE void put(u8* unit, u32 octet, u32 row, u32 column, Four words) {
    *(Four*)(unit + octet * OCTET + (row * PITCH + column) * 16) = words;
}

// Grid: pixels of all units of a row of units, rows of pixels of all units, octets of all images.
template <class E> DEVICE void lay_out(const Operands& o, const Conv2dParams& p) {
    const u32 at = block_x() * threads_x() + thread_x(), across = units_across(p);
    if (at >= across * PITCH) return;
    const u32 image = block_z() % p.batch, octet = block_z() / p.batch;
    const u32 down = block_y() / HEIGHT, row = block_y() % HEIGHT, right = at / PITCH, column = at % PITCH;
    const i32 halo = p.kernel[0] == 1;
    const i32 y = (i32)(down * ROWS + row) - p.pad[0] - halo, x = (i32)(right * COLUMNS + column) - p.pad[1] - halo;
    const bool inside = y >= 0 && y < (i32)p.h_in && x >= 0 && x < (i32)p.w_in;
    const u32 width = p.w_in / p.upsample, plane = p.h_in / p.upsample * width;
    const f32* from = o.x[CONV_X] + image * p.x_batch_stride + (u64)octet * 8 * plane;
    if (inside) from += (u64)((u32)y / p.upsample) * width + (u32)x / p.upsample;
    u32 words[4];
    UNROLL for (u32 k = 0; k < 4; k++) {
        f32 pair[2] = {0.0f, 0.0f};
        UNROLL for (u32 i = 0; i < 2; i++) {
            const u32 channel = 2 * k + i;
            if (inside && octet * 8 + channel < p.c_in) pair[i] = from[(u64)channel * plane];
        }
        words[k] = E::word(pair);
    }
    u8* unit = unit_at(o.workspace, p, octet / 2, image, down * across + right);
    put(unit, octet % 2, row, column, Four{words[0], words[1], words[2], words[3]});
}

// ROWS_OF_Y rows of y share a product: 64 channels of one row or 32 of two.
template <u32 ROWS_OF_Y, u32 KERNEL> struct Form {
    // A block's units: its two warpgroups halve one, or have one each.
    static constexpr u32 UNITS = ROWS_OF_Y;
    // Rows of x that a product's rows of y look at.
    static constexpr u32 DOWN = KERNEL + ROWS_OF_Y - 1;
    // Where the first tap looks, of a unit's rows and columns.
    static constexpr u32 FIRST = KERNEL == 1;
    static constexpr u32 WEIGHTS = DOWN * KERNEL * TAP;
    static constexpr u32 BYTES = UNITS * UNIT + WEIGHTS;
    static constexpr u32 SLOTS = 200 * 1024 / BYTES > 8 ? 8 : 200 * 1024 / BYTES;
    // Sums on their way to memory: of a warp, rows of 256 columns and a gap that spreads them over the banks.
    static constexpr u32 STRIDE = 256 + 8;
    static_assert(CONSUMERS / 32 * 16 * STRIDE * 4 <= SLOTS * BYTES, "sums take the ring's place");
};

// One block's view of the call.
template <class E, u32 ROWS_OF_Y, u32 KERNEL> struct Block {
    using F = Form<ROWS_OF_Y, KERNEL>;
    const Operands& o;
    const Conv2dParams& p;
    Ring<F::SLOTS, F::BYTES, CONSUMERS / 32> ring;
    u32 stages;

    // The block's `k`-th unit; the last block may have none.
    DEVICE_MEMBER u32 unit(u32 k) const { return block_x() * F::UNITS + k; }

    // Keeps the ring filled.
    DEVICE_MEMBER void produce() const {
        const u32 last = units_across(p) * units_down(p) - 1;
        const u8* weights = (const u8*)o.prepared + (u64)block_y() * stages * F::WEIGHTS;
        for (u32 stage = 0; stage < stages; stage++) {
            u8* to = ring.fill(stage);
            ROLLED for (u32 k = 0; k < F::UNITS; k++) {
                const u32 own = unit(k) < last ? unit(k) : last;
                copy_bulk(to + k * UNIT, unit_at(o.workspace, p, stage, block_z(), own), UNIT, ring.filled(stage));
            }
            copy_bulk(to + F::UNITS * UNIT, weights + (u64)stage * F::WEIGHTS, F::WEIGHTS, ring.filled(stage));
        }
    }

    // Adds up all stages. Products of a stage run while the next one is waited for.
    DEVICE_MEMBER void consume(WideSums& sums) const {
        const u32 group = thread_x() / 128;
        const u32 begin = ROWS_OF_Y == 1 ? group * (ROWS / 2) * PITCH * 16 : group * UNIT;
        UNROLL for (u32 i = 0; i < 128; i++) sums.v[i] = 0.0f;
        ROLLED for (u32 stage = 0; stage < stages; stage++) {
            const u32 slot = ring.take(stage), x = slot + begin, w = slot + F::UNITS * UNIT;
            products_fence();
            UNROLL for (u32 down = 0; down < F::DOWN; down++)
                UNROLL for (u32 right = 0; right < KERNEL; right++) {
                    const u64 a = factor(w + (down * KERNEL + right) * TAP, LEFT * 16, 128);
                    const u64 b = factor(x + ((F::FIRST + down) * PITCH + F::FIRST + right) * 16, OCTET, ROWS_OF_Y * PITCH * 16);
                    E::multiply(sums, a, b);
                }
            products_commit();
            products_wait<1>();
            if (stage > 0) ring.release(stage - 1);
        }
        products_wait<0>();
    }

    // Stores a warp's sums by way of the ring, whose slots are all used up: eight channels of 32 pixels at a time.
    DEVICE_MEMBER void finish(const WideSums& sums) const {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32, group = warp / 4;
        f32* staged = (f32*)ring.slots + warp * 16 * F::STRIDE;
        typedef f32 Two __attribute__((ext_vector_type(2)));
        barrier_of<CONSUMERS>();
        UNROLL for (u32 i = 0; i < 32; i++)
            UNROLL for (u32 half = 0; half < 2; half++) {
                Two* to = (Two*)(staged + (lane / 4 + 8 * half) * F::STRIDE + 8 * i + lane % 4 * 2);
                *to = Two{sums.v[4 * i + 2 * half], sums.v[4 * i + 2 * half + 1]};
            }
        warp_barrier();
        const u32 own = unit(ROWS_OF_Y == 1 ? 0 : group);
        if (own >= units_across(p) * units_down(p)) return;
        constexpr u32 BLOCK = LEFT / ROWS_OF_Y;
        const u32 left = warp % 4 * 16, first_row = (ROWS_OF_Y == 1 ? group * (ROWS / 2) : left / BLOCK);
        ROLLED for (u32 octet = 0; octet < 2; octet++) {
            const u32 first = block_y() * BLOCK + left % BLOCK + 8 * octet;
            if (first >= p.c_out) break;
            EpilogueChannel e[8];
            UNROLL for (u32 c = 0; c < 8; c++) e[c] = epilogue_channel(p.epilogue, o, first + c < p.c_out ? first + c : first);
            ROLLED for (u32 i = lane; i < 256; i += 32) store(own, first_row + i / 8 * ROWS_OF_Y, i % 8, first, e, staged + 8 * octet * F::STRIDE + i);
        }
    }

    // Stores eight channels of a unit's pixel in y, and where the next convolution looks for them.
    DEVICE_MEMBER void store(u32 own, u32 down, u32 right, u32 first, const EpilogueChannel (&e)[8], const f32* sums) const {
        const u32 across = units_across(p), row = own / across * ROWS + down, column = own % across * COLUMNS + right;
        const bool inside = row < p.h_out && column < p.w_out;
        f32 v[8];
        UNROLL for (u32 c = 0; c < 8; c++) {
            v[c] = 0.0f;
            if (!inside || first + c >= p.c_out) continue;
            const u64 at = ((u64)(first + c) * p.h_out + row) * p.w_out + column;
            v[c] = with_residuals(p, o, block_z(), at, activated(p.epilogue, e[c], sums[c * F::STRIDE]));
            // Where nobody reads y but by its layout, there is none.
            if (o.y) o.y[block_z() * p.y_batch_stride + at] = v[c];
        }
        if (o.laid) {
            const Four words{E::word(v), E::word(v + 2), E::word(v + 4), E::word(v + 6)};
            spread(own, down, right, first / 8, words);
        }
    }

    // Puts an octet of a pixel into its unit and into the halos of the units beside it; where there is none, the
    // own halo is zero.
    DEVICE_MEMBER void spread(u32 own, u32 down, u32 right, u32 octet, Four words) const {
        const i32 across = (i32)units_across(p), all = (i32)units_down(p);
        const i32 edge_down = down == 0 ? -1 : down == ROWS - 1, edge_right = right == 0 ? -1 : right == COLUMNS - 1;
        u8* unit = unit_at(o.laid, p, octet / 2, block_z(), own);
        ROLLED for (u32 k = 0; k < 4; k++) {
            const i32 step_down = k / 2 ? edge_down : 0, step_right = k % 2 ? edge_right : 0;
            if ((k / 2 && !step_down) || (k % 2 && !step_right)) continue;
            const i32 to_down = (i32)own / across + step_down, to_right = (i32)own % across + step_right;
            const bool there = to_down >= 0 && to_down < all && to_right >= 0 && to_right < across;
            // Seen from the unit beside it, the pixel lies that many units back.
            const i32 back_down = there ? step_down : 0, back_right = there ? step_right : 0;
            const i32 row = (i32)down + 1 - back_down * ROWS + (there ? 0 : step_down);
            const i32 column = (i32)right + 1 - back_right * COLUMNS + (there ? 0 : step_right);
            put(unit + (back_down * across + back_right) * UNIT, octet % 2, (u32)row, (u32)column, there ? words : Four{});
        }
    }
};

// Grid: units, blocks of channels, images. `prepared` holds each block of channels as (stages, rows of taps,
// columns of taps, two octets of channels of x, 64 rows of weights, octet).
template <class E, u32 ROWS_OF_Y, u32 KERNEL> DEVICE void convolve(const Operands& o, const Conv2dParams& p) {
    using F = Form<ROWS_OF_Y, KERNEL>;
    extern __shared__ __attribute__((aligned(128))) u8 slots[];
    __shared__ u64 full[F::SLOTS], empty[F::SLOTS];
    const Block<E, ROWS_OF_Y, KERNEL> block{o, p, {slots, full, empty}, (p.c_in + CHANNELS - 1) / CHANNELS};
    block.ring.begin();
    if (thread_x() >= CONSUMERS) {
        if (thread_x() == CONSUMERS) block.produce();
        return;
    }
    WideSums sums;
    block.consume(sums);
    block.finish(sums);
}

#define LAYOUT(name, element) \
    ENTRY THREADS(128) name(Operands o, Conv2dParams p) { lay_out<element>(o, p); }
#define CONVOLUTION(name, element, rows_of_y, kernel) \
    ENTRY THREADS(THREADS_OF_BLOCK) name(Operands o, Conv2dParams p) { convolve<element, rows_of_y, kernel>(o, p); }

LAYOUT(conv2d_fwd_bf16f32__units_sm90a, WideBf16)
LAYOUT(conv2d_fwd_f16f32__units_sm90a, WideF16)
CONVOLUTION(conv2d_fwd_bf16f32__wgmma_1x1_64_sm90a, WideBf16, 1, 1)
CONVOLUTION(conv2d_fwd_bf16f32__wgmma_3x3_64_sm90a, WideBf16, 1, 3)
CONVOLUTION(conv2d_fwd_bf16f32__wgmma_3x3_32_sm90a, WideBf16, 2, 3)
CONVOLUTION(conv2d_fwd_f16f32__wgmma_1x1_64_sm90a, WideF16, 1, 1)
CONVOLUTION(conv2d_fwd_f16f32__wgmma_3x3_64_sm90a, WideF16, 1, 3)
CONVOLUTION(conv2d_fwd_f16f32__wgmma_3x3_32_sm90a, WideF16, 2, 3)
