// Attention within windows of a token map on the matrix units: shares and values are rounded, logits and sums are
// f32. Heads of at most 32 elements, a multiple of four. Cosine attention multiplies the products of queries and keys
// by up to a hundred, so these are two numbers each, rounded and the rest rounded, of whose four products three count.
//
// A block works on one head of one window, a warp on 16 queries at a time. Keys and values are staged 64 at a time;
// where a window has more, the sums so far are scaled to the largest logit yet. Which elements of a head a product
// sums over is free to choose, so a lane's words of queries and keys are eight elements that follow each other.
#pragma once
#include "matrix_tiles.cuh"
#include "tokens.cuh"
#include "units.cuh"

// As many as there are pairs of keys in an octet.
#define WARPS 4
#define KEYS 64
#define DIM 32

// What a block needs of a token: where its head begins in the queries, or nothing; its place in the bias; its mask
// region; and its token of y, or none.
struct Place {
    const f32* head;
    u32 code, region;
    u64 y;
};

#define NO_TOKEN (~0ull)

extern __shared__ Place places[];

// Eight numbers, rounded, and what that left of them, rounded.
struct Split {
    Four high, low;
};

// Eight elements of a token's query or key from those of a lane's quarter on, all four lanes of which take part; in
// cosine attention divided by the whole length. Without a token zeros.
template <class E> DEVICE Split octet(const WindowAttentionParams& p, const f32* head) {
    typedef f32 Floats __attribute__((ext_vector_type(4)));
    const u32 first = thread_x() % 4 * 8;
    f32 v[8];
    UNROLL for (u32 i = 0; i < 8; i += 4) {
        Floats read = {};
        if (head && first + i < p.head_dim) read = *(const Floats*)(head + first + i);
        v[i] = read.x, v[i + 1] = read.y, v[i + 2] = read.z, v[i + 3] = read.w;
    }
    if (p.cosine) {
        f32 square = 0.0f;
        UNROLL for (u32 i = 0; i < 8; i++) square = fma(v[i], v[i], square);
        square += lane_xor(square, 1);
        square += lane_xor(square, 2);
        const f32 length = square_root(square), inverse = 1.0f / (length < 1e-12f ? 1e-12f : length);
        UNROLL for (u32 i = 0; i < 8; i++) v[i] *= inverse;
    }
    u32 high[4], low[4];
    UNROLL for (u32 k = 0; k < 4; k++) {
        high[k] = E::word(v + 2 * k);
        const f32 rest[2] = {v[2 * k] - E::number(high[k], 0), v[2 * k + 1] - E::number(high[k], 1)};
        low[k] = E::word(rest);
    }
    return Split{Four{high[0], high[1], high[2], high[3]}, Four{low[0], low[1], low[2], low[3]}};
}

// The left factors of both products that sum over a head, of two rows.
struct Queries {
    Left half[2];

    DEVICE_MEMBER Queries(Four a, Four b) : half{{{a.x, b.x, a.y, b.y}}, {{a.z, b.z, a.w, b.w}}} {}

    template <class E> DEVICE_MEMBER void multiply(Sums& d, Four keys) const {
        E::multiply(d, half[0], keys.x, keys.y);
        E::multiply(d, half[1], keys.z, keys.w);
    }
};

// Grid: windows of a map, heads, maps. `prepared` holds the factor of each head's products. Shared memory: a place
// per token of a window.
template <class E> DEVICE void attend(const Operands& o, const WindowAttentionParams& p) {
    // Four words of a lane each: of keys, by (key, quarter of its elements); of values, by (32 keys, element, every
    // fourth pair of keys), with pairs exchanged so that neither writes nor reads meet a bank twice.
    __shared__ Four keys[KEYS][4], rests[KEYS][4];
    __shared__ Four values[KEYS / 32][DIM][4];
    const u32 lane = thread_x() % 32, warp = thread_x() / 32, quarter = lane % 4;
    const u32 tokens = p.window * p.window, side = 2 * p.window - 1, channels = p.heads * p.head_dim;
    const f32* bias = o.x[ATTENTION_BIAS] + (u64)block_y() * side * side + (p.window - 1) * (side + 1);
    const f32 factor = ((const f32*)o.prepared)[block_y()];

    for (u32 index = thread_x(); index < tokens; index += WARPS * 32) {
        const Token t = token(p, index);
        places[index] = Place{part(o, p, t, 0), t.row * side + t.column, t.region, t.padding ? NO_TOKEN : t.source};
    }
    barrier();
    for (u32 group = warp * 16; group < (tokens + 63) / 64 * 64; group += WARPS * 16) {
        // Two queries of this lane.
        Place queries[2];
        Split q[2];
        UNROLL for (u32 i = 0; i < 2; i++) {
            const u32 index = group + lane / 4 + 8 * i;
            queries[i] = index < tokens ? places[index] : Place{nullptr, 0, 0, NO_TOKEN};
            q[i] = octet<E>(p, queries[i].head);
        }
        f32 largest[2] = {-__builtin_inff(), -__builtin_inff()}, shares[2] = {};
        Sums mixed[DIM / 8] = {};
        for (u32 first = 0; first < tokens; first += KEYS) {
            barrier();
            UNROLL for (u32 k = 0; k < KEYS / (WARPS * 8); k++) {
                const u32 key = thread_x() / 4 + k * WARPS * 8;
                const f32* head = first + key < tokens ? places[first + key].head : nullptr;
                const Split split = octet<E>(p, head ? head + channels : nullptr);
                keys[key][quarter] = split.high, rests[key][quarter] = split.low;
            }
            UNROLL for (u32 j = 0; j < KEYS / 32; j++) {
                f32 v[8];
                UNROLL for (u32 k = 0; k < 8; k++) {
                    const u32 key = first + j * 32 + k / 2 * 8 + warp * 2 + k % 2;
                    v[k] = key < tokens && lane < p.head_dim ? places[key].head[2 * channels + lane] : 0.0f;
                }
                values[j][lane][warp ^ (lane / 2 % 4)] = Four{E::word(v), E::word(v + 2), E::word(v + 4), E::word(v + 6)};
            }
            barrier();

            Sums logits[KEYS / 8] = {};
            const Queries high(q[0].high, q[1].high), low(q[0].low, q[1].low);
            UNROLL for (u32 octet = 0; octet < KEYS / 8; octet++) {
                const Four b = keys[octet * 8 + lane / 4][quarter];
                high.multiply<E>(logits[octet], rests[octet * 8 + lane / 4][quarter]);
                low.multiply<E>(logits[octet], b);
                high.multiply<E>(logits[octet], b);
            }
            f32 most[2] = {largest[0], largest[1]};
            UNROLL for (u32 octet = 0; octet < KEYS / 8; octet++)
                UNROLL for (u32 k = 0; k < 2; k++) {
                    const u32 index = first + octet * 8 + quarter * 2 + k;
                    const Place key = places[index < tokens ? index : tokens - 1];
                    UNROLL for (u32 i = 0; i < 2; i++) {
                        f32& v = logits[octet].v[2 * i + k];
                        v = fma(v, factor, bias[(i32)(queries[i].code - key.code)]) + (queries[i].region == key.region ? 0.0f : MASKED);
                        if (index >= tokens) v = -__builtin_inff();
                        most[i] = v > most[i] ? v : most[i];
                    }
                }
            UNROLL for (u32 i = 0; i < 2; i++) {
                UNROLL for (u32 mask = 1; mask < 4; mask *= 2) {
                    const f32 other = lane_xor(most[i], mask);
                    most[i] = other > most[i] ? other : most[i];
                }
                const f32 scale = rough_exponential(largest[i] - most[i]);
                largest[i] = most[i];
                shares[i] *= scale;
                UNROLL for (u32 n = 0; n < DIM / 8; n++) mixed[n].v[2 * i] *= scale, mixed[n].v[2 * i + 1] *= scale;
                UNROLL for (u32 octet = 0; octet < KEYS / 8; octet++)
                    UNROLL for (u32 k = 0; k < 2; k++) {
                        f32& v = logits[octet].v[2 * i + k];
                        v = rough_exponential(v - most[i]);
                        shares[i] += v;
                    }
            }
            UNROLL for (u32 j = 0; j < KEYS / 32; j++) {
                Left share[2];
                UNROLL for (u32 half = 0; half < 2; half++)
                    UNROLL for (u32 w = 0; w < 4; w++) share[half].v[w] = E::word(logits[4 * j + 2 * half + w / 2].v + 2 * (w % 2));
                UNROLL for (u32 n = 0; n < DIM / 8; n++) {
                    const u32 element = n * 8 + lane / 4;
                    const Four b = values[j][element][quarter ^ (element / 2 % 4)];
                    E::multiply(mixed[n], share[0], b.x, b.y);
                    E::multiply(mixed[n], share[1], b.z, b.w);
                }
            }
        }
        UNROLL for (u32 i = 0; i < 2; i++) {
            f32 sum = shares[i];
            sum += lane_xor(sum, 1);
            sum += lane_xor(sum, 2);
            if (queries[i].y == NO_TOKEN) continue;
            typedef f32 Two __attribute__((ext_vector_type(2)));
            UNROLL for (u32 n = 0; n < DIM / 8; n++) {
                const u32 element = n * 8 + quarter * 2, channel = block_y() * p.head_dim + element;
                const f32 v[2] = {mixed[n].v[2 * i] / sum, mixed[n].v[2 * i + 1] / sum};
                if (element < p.head_dim && o.laid) *(u32*)term_at(o.laid, queries[i].y, channel, channels) = E::word(v);
                if (element < p.head_dim && o.y) *(Two*)(o.y + queries[i].y * channels + channel) = Two{v[0], v[1]};
            }
        }
    }
}

#define ATTENTION(name, element) \
    ENTRY THREADS(WARPS * 32) name(Operands o, WindowAttentionParams p) { attend<element>(o, p); }
