// A matrix product of weights (channels by terms of a sum) and columns (terms by pixels or tokens) on the matrix
// units: factors rounded to E, sums in f32.
//
// Warps share a block's tile, DOWN by ACROSS of them, each TILES tiles of 16 channels by OCTETS of 8 columns. A
// column's terms are staged 16 words at a time, in quarters of four words that one lane reads at once: two for one
// product, two for the next. Weights are packed as the lanes read them and copied ahead of their use; columns are
// read ahead to registers and rounded on their way to shared memory, or copied as well where they are words already.
#pragma once
#include "tensor_core.cuh"

typedef u32 Four __attribute__((ext_vector_type(4)));

template <class E_, u32 TILES_, u32 OCTETS_, u32 DOWN_, u32 ACROSS_> struct Tile {
    using E = E_;
    static constexpr u32 TILES = TILES_, OCTETS = OCTETS_, DOWN = DOWN_, ACROSS = ACROSS_;
    static constexpr u32 BLOCK = DOWN * ACROSS * 32;
    static constexpr u32 CHANNELS = DOWN * TILES * 16, COLUMNS = ACROSS * OCTETS * 8;
    // Columns of a warp.
    static constexpr u32 WIDTH = OCTETS * 8;
    // Terms of a quarter and of a stage, and quarters that a thread stages.
    static constexpr u32 QUARTER = 4 * E::WORD, TERMS = 4 * QUARTER, PARTS = 4 * COLUMNS / BLOCK;
    // Weights of a stage in words, and stages of them that are there or on their way.
    static constexpr u32 WEIGHTS = CHANNELS * 16, AHEAD = 3;
    // Quarters that follow each other lie 8 banks apart, so that a warp's reads meet no bank twice.
    static constexpr u32 STRIDE = COLUMNS + 2;
    // Sums of a tile on their way to memory.
    static constexpr u32 SUMS_STRIDE = WIDTH + 4;
    static_assert(WEIGHTS % (4 * BLOCK) == 0 && 4 * COLUMNS % BLOCK == 0, "threads share a stage evenly");
    static_assert(DOWN * ACROSS * SUMS_STRIDE <= 2 * STRIDE * 2 + AHEAD * CHANNELS, "sums take the stages' place");

    // The quarters of a stage that are a thread's where neighbouring threads take neighbouring columns.
    static DEVICE_MEMBER u32 quarter(u32 part) { return thread_x() / COLUMNS + part * (BLOCK / COLUMNS); }
    static DEVICE_MEMBER u32 column() { return thread_x() % COLUMNS; }

    Four x[2][4][STRIDE];
    alignas(16) u32 w[AHEAD][WEIGHTS];
};

// A block's product. The job knows what columns are and where sums go:
// `quarter(part)` and `column(part)` say which of a stage's quarters are this thread's, `begin()` comes before the
// first stage, `ahead(stage)` at least one barrier before `load(stage, part, values)`, which reads one of them, or,
// where they are COPIED since they are words already, before `copy(stage, part, to)`;
// `channel(i)` looks at a channel of the block, `store(columns, sums)` takes sums of it.
template <class T, class Job> struct Product {
    T& shared;
    Job& job;
    // The block's weights as (stages, tiles, halves of a quarter, lanes, four words).
    const u32* w;
    u32 stages;
    Sums sums[T::TILES][T::OCTETS];

    // Starts the copy of a stage's weights.
    DEVICE_MEMBER void fetch(u32 stage) {
        if (stage < stages) {
            UNROLL for (u32 k = 0; k < T::WEIGHTS / (T::BLOCK * 4); k++) {
                const u32 i = (k * T::BLOCK + thread_x()) * 4;
                copy_16(&shared.w[stage % T::AHEAD][i], w + (u64)stage * T::WEIGHTS + i);
            }
        }
        copies_commit();
    }

    // Where a thread's quarter of a stage goes.
    DEVICE_MEMBER Four& place(u32 stage, u32 part) { return shared.x[stage % 2][job.quarter(part)][job.column(part)]; }

    // Sends for a stage's columns: words straight to shared memory, numbers to registers.
    DEVICE_MEMBER void bring(u32 stage, f32 (&v)[T::PARTS][T::QUARTER]) {
        UNROLL for (u32 part = 0; part < T::PARTS; part++) {
            if constexpr (Job::COPIED) job.copy(stage, part, &place(stage, part));
            else job.load(stage, part, v[part]);
        }
        if (Job::COPIED) copies_commit();
    }

    // Stores a stage's numbers as words.
    DEVICE_MEMBER void store(u32 stage, const f32 (&v)[T::PARTS][T::QUARTER]) {
        using E = typename T::E;
        UNROLL for (u32 part = 0; part < T::PARTS; part++) {
            const f32* from = v[part];
            place(stage, part) = Four{E::word(from), E::word(from + E::WORD), E::word(from + 2 * E::WORD), E::word(from + 3 * E::WORD)};
        }
    }

    DEVICE_MEMBER void multiply(u32 stage) {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        const u32* from = &shared.w[stage % T::AHEAD][(warp / T::ACROSS * T::TILES * 2 * 32 + lane) * 4];
        Left a[T::TILES][2];
        UNROLL for (u32 tile = 0; tile < T::TILES; tile++)
            UNROLL for (u32 half = 0; half < 2; half++) a[tile][half] = Left::from(from + (tile * 2 + half) * 32 * 4);
        const Four* columns = &shared.x[stage % 2][lane % 4][warp % T::ACROSS * T::WIDTH + lane / 4];
        UNROLL for (u32 octet = 0; octet < T::OCTETS; octet++) {
            const Four b = columns[octet * 8];
            UNROLL for (u32 tile = 0; tile < T::TILES; tile++) T::E::multiply(sums[tile][octet], a[tile][0], b.x, b.y);
            UNROLL for (u32 tile = 0; tile < T::TILES; tile++) T::E::multiply(sums[tile][octet], a[tile][1], b.z, b.w);
        }
    }

    DEVICE_MEMBER void run() {
        f32 v[T::PARTS][T::QUARTER];
        job.begin();
        bring(0, v);
        UNROLL for (u32 stage = 0; stage + 1 < T::AHEAD; stage++) fetch(stage);
        if (!Job::COPIED) store(0, v);
        ROLLED for (u32 stage = 0; stage < stages; stage++) {
            const bool more = stage + 1 < stages;
            // All but the last weights sent for.
            copies_wait<T::AHEAD - 2>();
            barrier();
            // The next stage's columns are on their way while this one's are multiplied.
            if (more) bring(stage + 1, v);
            fetch(stage + T::AHEAD - 1);
            job.ahead(stage + 2);
            multiply(stage);
            if (more && !Job::COPIED) store(stage + 1, v);
        }
    }

    // Hands the sums over, a warp's tile of 16 channels at a time by way of shared memory: lanes take AT_ONCE
    // channels of neighbouring columns, four columns each where there are as many.
    DEVICE_MEMBER void finish() {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        const u32 first_channel = warp / T::ACROSS * T::TILES * 16, first_column = warp % T::ACROSS * T::WIDTH;
        constexpr u32 APART = 32 / Job::AT_ONCE, EACH = T::WIDTH / APART < 4 ? T::WIDTH / APART : 4;
        f32* staged = (f32*)shared.x + warp * 16 * T::SUMS_STRIDE;
        barrier();
        UNROLL for (u32 tile = 0; tile < T::TILES; tile++) {
            if (tile > 0) warp_barrier();
            UNROLL for (u32 octet = 0; octet < T::OCTETS; octet++)
                UNROLL for (u32 i = 0; i < 4; i++) {
                    const u32 channel = lane / 4 + i / 2 * 8, column = octet * 8 + lane % 4 * 2 + i % 2;
                    staged[channel * T::SUMS_STRIDE + column] = sums[tile][octet].v[i];
                }
            warp_barrier();
            ROLLED for (u32 k = 0; k < 16 / Job::AT_ONCE; k++) {
                const u32 c = k * Job::AT_ONCE + lane / APART;
                if (!job.channel(first_channel + tile * 16 + c)) continue;
                ROLLED for (u32 j = 0; j < T::WIDTH / (EACH * APART); j++) {
                    const u32 start = j * EACH * APART + lane % APART;
                    u32 columns[EACH];
                    f32 v[EACH];
                    UNROLL for (u32 i = 0; i < EACH; i++) {
                        columns[i] = first_column + start + i * APART;
                        v[i] = staged[c * T::SUMS_STRIDE + start + i * APART];
                    }
                    job.store(columns, v);
                }
            }
        }
    }
};
