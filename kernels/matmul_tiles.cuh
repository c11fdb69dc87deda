// The matrix product of a linear layer on the matrix units, y(m, n) = act(x(m, k) w(n, k)' + bias(n)) + r(m, n):
// tokens are the columns of the product, k is a multiple of four.
#pragma once
#include "linear.cuh"
#include "matrix_tiles.cuh"

template <class T> struct Linear : LinearSums<typename T::E> {
    static constexpr u32 AT_ONCE = 16;
    static constexpr bool COPIED = false;

    // Four lanes read a token's stage, so that it is read by whole lines.
    static DEVICE_MEMBER u32 quarter(u32) { return thread_x() % 4; }
    static DEVICE_MEMBER u32 column(u32 part) { return thread_x() / 4 + part * (T::BLOCK / 4); }

    DEVICE_MEMBER void begin() const {}
    DEVICE_MEMBER void ahead(u32) const {}

    DEVICE_MEMBER void load(u32 stage, u32 part, f32 (&v)[T::QUARTER]) const {
        typedef f32 Floats __attribute__((ext_vector_type(4)));
        const u32 k = (u32)this->p.k, term = stage * T::TERMS + quarter(part) * T::QUARTER;
        const u64 token = this->first_token + column(part);
        UNROLL for (u32 i = 0; i < T::QUARTER; i += 4) {
            Floats read = {};
            if (token < this->p.m && term + i < k) read = *(const Floats*)(this->o.x[MATMUL_X] + token * k + term + i);
            v[i] = read.x, v[i + 1] = read.y, v[i + 2] = read.z, v[i + 3] = read.w;
        }
    }
};

// The same of tokens that are laid out, whose terms fill whole stages.
template <class T> struct LaidLinear : LinearSums<typename T::E> {
    static constexpr u32 AT_ONCE = 16;
    static constexpr bool COPIED = true;

    static DEVICE_MEMBER u32 quarter(u32 part) { return T::quarter(part); }
    static DEVICE_MEMBER u32 column(u32) { return T::column(); }

    DEVICE_MEMBER void begin() const {}
    DEVICE_MEMBER void ahead(u32) const {}

    DEVICE_MEMBER const void* at(u32 stage, u32 part) const {
        const u64 own = this->first_token + column(part), last = this->p.m - 1;
        // Sums of what lies beyond the last token are not stored.
        const u64 token = own < last ? own : last;
        return octet_at(this->o.x[MATMUL_X], token, stage * T::TERMS + quarter(part) * T::QUARTER, (u32)this->p.k);
    }
};

// Grid: blocks of channels of one block of tokens after the other.
template <class T, class Job> DEVICE void matmul(const Operands& o, const MatmulParams& p) {
    __shared__ T shared;
    const u32 blocks = ((u32)p.n + T::CHANNELS - 1) / T::CHANNELS, stages = ((u32)p.k + T::TERMS - 1) / T::TERMS;
    const u32 block = block_x() % blocks;
    Job job{{o, p, block * T::CHANNELS, (u64)(block_x() / blocks) * T::COLUMNS, 0, 0.0f}};
    Product<T, Job> product{shared, job, (const u32*)o.prepared + (u64)block * stages * T::WEIGHTS, stages, {}};
    product.run();
    product.finish();
}

#define MATMUL(job, name, ...) \
    ENTRY THREADS(128) name(Operands o, MatmulParams p) { matmul<Tile<__VA_ARGS__>, job<Tile<__VA_ARGS__>>>(o, p); }
