// A matrix product of weights (channels by terms of a sum) and columns (terms by pixels or tokens) on the matrix
// units: factors rounded to E, sums in f32.
//
// Warps share a block's tile, DOWN by ACROSS of them, each TILES tiles of 16 channels by OCTETS of 8 columns. A
// column's terms are staged 16 words at a time, in quarters of four words that one lane reads at once: two for one
// product, two for the next. Weights are packed as the lanes read them and brought ahead of their use, by copies that
// run by themselves where E has them, else by way of registers; columns are read ahead to registers and rounded on
// their way to shared memory, or copied as well where they are words already. E says which words a lane has.
#pragma once
#include "tensor_core_f16.cuh"

typedef u32 Four __attribute__((ext_vector_type(4)));

template <class E_, u32 TILES_, u32 OCTETS_, u32 DOWN_, u32 ACROSS_> struct Tile {
    using E = E_;
    static constexpr u32 TILES = TILES_, OCTETS = OCTETS_, DOWN = DOWN_, ACROSS = ACROSS_;
    static constexpr u32 BLOCK = DOWN * ACROSS * 32;
    static constexpr u32 CHANNELS = DOWN * TILES * 16, COLUMNS = ACROSS * OCTETS * 8;
    // Columns of a warp, and tiles of them.
    static constexpr u32 WIDTH = OCTETS * 8, WIDE = WIDTH / E::COLUMNS;
    // Terms of a quarter and of a stage, and quarters that a thread stages.
    static constexpr u32 QUARTER = 4 * E::WORD, TERMS = 4 * QUARTER, PARTS = 4 * COLUMNS / BLOCK;
    // Weights of a stage in words, how many fours of them a thread brings, and stages of them that are there or on
    // their way.
    static constexpr u32 WEIGHTS = CHANNELS * 16, FOURS = WEIGHTS / (4 * BLOCK), AHEAD = E::COPIES ? 3 : 2;
    // Quarters that follow each other lie 8 banks apart, so that a warp's reads meet no bank twice.
    static constexpr u32 STRIDE = COLUMNS + 2;
    // Sums of a tile on their way to memory.
    static constexpr u32 SUMS_STRIDE = WIDTH + 4;
    static_assert(WEIGHTS % (4 * BLOCK) == 0 && 4 * COLUMNS % BLOCK == 0, "threads share a stage evenly");
    static_assert(DOWN * ACROSS * SUMS_STRIDE <= 2 * STRIDE + AHEAD * CHANNELS, "sums take the stages' place");

    // The quarters of a stage that are a thread's where neighbouring threads take neighbouring columns.
    static DEVICE_MEMBER u32 quarter(u32 part) { return thread_x() / COLUMNS + part * (BLOCK / COLUMNS); }
    static DEVICE_MEMBER u32 column() { return thread_x() % COLUMNS; }

    Four x[2][4][STRIDE];
    alignas(16) u32 w[AHEAD][WEIGHTS];
};

// A quarter of a column on its way through registers: numbers, or, where it is COPIED, the words it is already.
template <class T, bool COPIED> struct Held {
    f32 v[T::QUARTER];
};
template <class T> struct Held<T, true> {
    Four v;
};

// A block's product. The job knows what columns are and where sums go:
// `quarter(part)` and `column(part)` say which of a stage's quarters are this thread's, `begin()` comes before the
// first stage, `ahead(stage)` at least one barrier before `load(stage, part, values)`, which reads one of them, or,
// where they are COPIED since they are words already, before `at(stage, part)`, where it lies;
// `channel(i)` looks at a channel of the block, `store(columns, sums)` takes sums of it.
template <class T, class Job> struct Product {
    using E = typename T::E;
    using Held = ::Held<T, Job::COPIED>;
    // Whether columns pass through registers.
    static constexpr bool HOLDS = !Job::COPIED || !E::COPIES;

    T& shared;
    Job& job;
    // The block's weights by stages and tiles, within a tile as E packs them.
    const u32* w;
    u32 stages;
    typename E::Sums sums[T::TILES][T::WIDE];

    // Brings a stage's weights, or starts copies that do.
    DEVICE_MEMBER void fetch(u32 stage) {
        u32* to = &shared.w[stage % T::AHEAD][thread_x() * 4];
        const u32* from = w + (u64)stage * T::WEIGHTS + thread_x() * 4;
        if (stage < stages) {
            if constexpr (E::COPIES) {
                UNROLL for (u32 k = 0; k < T::FOURS; k++) copy_16(to + k * T::BLOCK * 4, from + k * T::BLOCK * 4);
            } else {
                Four held[T::FOURS];
                UNROLL for (u32 k = 0; k < T::FOURS; k++) held[k] = *(const Four*)(from + k * T::BLOCK * 4);
                UNROLL for (u32 k = 0; k < T::FOURS; k++) *(Four*)(to + k * T::BLOCK * 4) = held[k];
            }
        }
        if (E::COPIES) copies_commit();
    }

    // Where a thread's quarter of a stage goes.
    DEVICE_MEMBER Four& place(u32 stage, u32 part) { return shared.x[stage % 2][job.quarter(part)][job.column(part)]; }

    // Sends for a stage's columns: to registers, or straight to shared memory.
    DEVICE_MEMBER void bring(u32 stage, Held (&held)[T::PARTS]) {
        UNROLL for (u32 part = 0; part < T::PARTS; part++) {
            if constexpr (!Job::COPIED) job.load(stage, part, held[part].v);
            else if constexpr (HOLDS) held[part].v = *(const Four*)job.at(stage, part);
            else copy_16(&place(stage, part), job.at(stage, part));
        }
        if (!HOLDS) copies_commit();
    }

    // Stores what registers hold of a stage as words.
    DEVICE_MEMBER void store(u32 stage, const Held (&held)[T::PARTS]) {
        UNROLL for (u32 part = 0; part < T::PARTS; part++) {
            const auto& from = held[part].v;
            if constexpr (Job::COPIED) place(stage, part) = from;
            else place(stage, part) = Four{E::word(from), E::word(from + E::WORD), E::word(from + 2 * E::WORD), E::word(from + 3 * E::WORD)};
        }
    }

    DEVICE_MEMBER void multiply(u32 stage) {
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        const u32* rows = &shared.w[stage % T::AHEAD][warp / T::ACROSS * T::TILES * 256];
        const u32 column = warp % T::ACROSS * T::WIDTH + E::column(lane);
        // Rolled, since registers have room for one group's left factors.
        ROLLED for (u32 group = 0; group < E::GROUPS; group++) {
            typename E::Left a[T::TILES][2];
            UNROLL for (u32 tile = 0; tile < T::TILES; tile++) E::left(a[tile], rows + tile * 256, group, lane);
            const Four* columns = &shared.x[stage % 2][E::quarter(group, lane)][column];
            UNROLL for (u32 wide = 0; wide < T::WIDE; wide++) {
                const Four b = columns[wide * E::COLUMNS];
                UNROLL for (u32 tile = 0; tile < T::TILES; tile++) E::multiply(sums[tile][wide], a[tile][0], b.x, b.y);
                UNROLL for (u32 tile = 0; tile < T::TILES; tile++) E::multiply(sums[tile][wide], a[tile][1], b.z, b.w);
            }
        }
    }

    DEVICE_MEMBER void run() {
        Held held[T::PARTS];
        job.begin();
        bring(0, held);
        UNROLL for (u32 stage = 0; stage + 1 < T::AHEAD; stage++) fetch(stage);
        if constexpr (HOLDS) store(0, held);
        ROLLED for (u32 stage = 0; stage < stages; stage++) {
            const bool more = stage + 1 < stages;
            // All but the last weights sent for.
            if constexpr (E::COPIES) copies_wait<T::AHEAD - 2>();
            barrier();
            // The next stage's columns are on their way while this one's are multiplied.
            if (more) bring(stage + 1, held);
            if (E::COPIES) fetch(stage + T::AHEAD - 1);
            job.ahead(stage + 2);
            multiply(stage);
            if constexpr (HOLDS) {
                if (more) store(stage + 1, held);
            }
            if (!E::COPIES) fetch(stage + T::AHEAD - 1);
        }
    }

    // Hands the sums over, a warp's tile of 16 channels at a time by way of shared memory: lanes take AT_ONCE
    // channels of neighbouring columns, four columns each where there are as many.
    DEVICE_MEMBER void finish() {
        using Sums = typename E::Sums;
        const u32 lane = thread_x() % 32, warp = thread_x() / 32;
        const u32 first_channel = warp / T::ACROSS * T::TILES * 16, first_column = warp % T::ACROSS * T::WIDTH;
        constexpr u32 APART = 32 / Job::AT_ONCE, EACH = T::WIDTH / APART < 4 ? T::WIDTH / APART : 4;
        f32* staged = (f32*)shared.x + warp * 16 * T::SUMS_STRIDE;
        barrier();
        UNROLL for (u32 tile = 0; tile < T::TILES; tile++) {
            if (tile > 0) warp_barrier();
            UNROLL for (u32 wide = 0; wide < T::WIDE; wide++)
                UNROLL for (u32 i = 0; i < Sums::COUNT; i++) {
                    const u32 column = wide * E::COLUMNS + Sums::column(lane, i);
                    staged[Sums::row(lane, i) * T::SUMS_STRIDE + column] = sums[tile][wide].v[i];
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
