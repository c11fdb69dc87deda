// Convolution by warpgroups: stride 1, dense, one group; bf16 or f16 factors, f32 sums.
//
// An entry of its own first lays x out in units (conv_units.cuh). One bulk copy brings a unit's 16 channels to shared
// memory and one descriptor makes them the right factor of a product, 256 pixels wide. The left factor are 64 rows of
// weights of one tap: of 64 channels, or of 32 channels for two rows of y.
#include "conv_units.cuh"
#include "ring.cuh"

// Rows of weights of one tap, and the bytes of two octets of channels of them.
#define LEFT 64
#define TAP (LEFT * CHANNELS * 2)

#define GROUPS 2
#define CONSUMERS (GROUPS * 128)
#define THREADS_OF_BLOCK (CONSUMERS + 32)

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
            const EpilogueOctet channels(o, p, first);
            ROLLED for (u32 i = lane; i < 256; i += 32) {
                channels.template store<E, F::STRIDE>(o, p, block_z(), own, first_row + i / 8 * ROWS_OF_Y, i % 8, staged + 8 * octet * F::STRIDE + i);
            }
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
