// The matrix product of a linear layer by warpgroups: bf16 or f16 factors, f32 sums.
//
// An entry of its own first lays x out, where whoever stored it has not. One bulk copy brings 16 terms of a unit to
// shared memory, where one descriptor makes them the right factor of a product; the left factors are the weights of
// 64 channels for each of two warpgroups.
#include "linear.cuh"
#include "ring.cuh"

// Terms that one product sums over, and the bytes of their two octets for a unit's tokens and for the weights of a
// warpgroup's channels.
#define TERMS 16
#define UNIT (2 * UNIT_OCTET)
#define LEFT 64
#define WEIGHTS (LEFT * TERMS * 2)

#define GROUPS 2
#define CHANNELS (GROUPS * LEFT)
#define CONSUMERS (GROUPS * 128)
#define THREADS_OF_BLOCK (CONSUMERS + 32)
#define SLOT (UNIT + GROUPS * WEIGHTS)
#define SLOTS 12

typedef u32 Four __attribute__((ext_vector_type(4)));

DEVICE u32 stages_of(const MatmulParams& p) { return ((u32)p.k + TERMS - 1) / TERMS; }

// Grid: tokens of all units, octets of terms.
template <class E> DEVICE void lay_out(const Operands& o, const MatmulParams& p) {
    typedef f32 Floats __attribute__((ext_vector_type(4)));
    const u64 token = (u64)block_x() * 128 + thread_x();
    const u32 octet = block_y(), k = (u32)p.k;
    f32 v[8];
    UNROLL for (u32 i = 0; i < 8; i += 4) {
        const u32 term = octet * 8 + i;
        Floats read = {};
        if (token < p.m && term < k) read = *(const Floats*)(o.x[MATMUL_X] + token * k + term);
        v[i] = read.x, v[i + 1] = read.y, v[i + 2] = read.z, v[i + 3] = read.w;
    }
    *(Four*)octet_at(o.workspace, token, octet * 8, k) = Four{E::word(v), E::word(v + 2), E::word(v + 4), E::word(v + 6)};
}

// One block's view of the call: a unit of tokens and CHANNELS channels.
template <class E> struct Block {
    // Sums on their way to memory.
    static constexpr u32 STRIDE = UNIT_TOKENS + 4;
    static_assert(CONSUMERS / 32 * 16 * STRIDE * 4 <= SLOTS * SLOT, "sums take the ring's place");

    LinearSums<E> job;
    Ring<SLOTS, SLOT, CONSUMERS / 32> ring;
    const u8 *unit, *weights;
    u32 stages;

    DEVICE_MEMBER void produce() const {
        for (u32 stage = 0; stage < stages; stage++) {
            u8* to = ring.fill(stage);
            copy_bulk(to, unit + (u64)stage * UNIT, UNIT, ring.filled(stage));
            copy_bulk(to + UNIT, weights + (u64)stage * GROUPS * WEIGHTS, GROUPS * WEIGHTS, ring.filled(stage));
        }
    }

    // Adds up all stages. Products of a stage run while the next one is waited for.
    DEVICE_MEMBER void consume(WideSums& sums) const {
        const u32 group = thread_x() / 128;
        UNROLL for (u32 i = 0; i < 128; i++) sums.v[i] = 0.0f;
        ROLLED for (u32 stage = 0; stage < stages; stage++) {
            const u32 x = ring.take(stage);
            products_fence();
            E::multiply(sums, factor(x + UNIT + group * WEIGHTS, LEFT * 16, 128), factor(x, UNIT_OCTET, 128));
            products_commit();
            products_wait<1>();
            if (stage > 0) ring.release(stage - 1);
        }
        products_wait<0>();
    }

    // Stores a warp's sums by way of the ring, whose slots are all used up: 16 channels of two tokens at a time.
    DEVICE_MEMBER void finish(const WideSums& sums) {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        f32* staged = (f32*)ring.slots + warp * 16 * STRIDE;
        barrier_of<CONSUMERS>();
        UNROLL for (u32 i = 0; i < UNIT_TOKENS / 8; i++)
            UNROLL for (u32 k = 0; k < 4; k++) {
                staged[(lane / 4 + k / 2 * 8) * STRIDE + 8 * i + lane % 4 * 2 + k % 2] = sums.v[4 * i + k];
            }
        warp_barrier();
        if (!job.channel(warp * 16 + lane % 16)) return;
        ROLLED for (u32 i = 0; i < UNIT_TOKENS / 8; i++) {
            u32 tokens[4];
            f32 v[4];
            UNROLL for (u32 k = 0; k < 4; k++) {
                tokens[k] = 8 * i + 2 * k + lane / 16;
                v[k] = staged[lane % 16 * STRIDE + tokens[k]];
            }
            job.store(tokens, v);
        }
    }
};

// Grid: blocks of channels of one unit after the other. `prepared` holds each block of channels as (stages,
// warpgroups, two octets of terms, 64 channels, octet).
template <class E> DEVICE void matmul(const Operands& o, const MatmulParams& p) {
    extern __shared__ __attribute__((aligned(128))) u8 slots[];
    __shared__ u64 full[SLOTS], empty[SLOTS];
    const u32 blocks = ((u32)p.n + CHANNELS - 1) / CHANNELS, block = block_x() % blocks, unit = block_x() / blocks;
    const u32 stages = stages_of(p);
    Block<E> own{{o, p, block * CHANNELS, (u64)unit * UNIT_TOKENS, 0, 0.0f},
                 {slots, full, empty},
                 (const u8*)o.workspace + (u64)unit * stages * UNIT,
                 (const u8*)o.prepared + (u64)block * stages * GROUPS * WEIGHTS,
                 stages};
    own.ring.begin();
    if (thread_x() >= CONSUMERS) {
        if (thread_x() == CONSUMERS) own.produce();
        return;
    }
    WideSums sums;
    own.consume(sums);
    own.finish(sums);
}

#define LAYOUT(name, element) \
    ENTRY THREADS(128) name(Operands o, MatmulParams p) { lay_out<element>(o, p); }
#define MATMUL(name, element) \
    ENTRY THREADS(THREADS_OF_BLOCK) name(Operands o, MatmulParams p) { matmul<element>(o, p); }

LAYOUT(matmul_fwd_bf16f32__units_sm90a, WideBf16)
LAYOUT(matmul_fwd_f16f32__units_sm90a, WideF16)
MATMUL(matmul_fwd_bf16f32__wgmma_128x256_sm90a, WideBf16)
MATMUL(matmul_fwd_f16f32__wgmma_128x256_sm90a, WideF16)
