// Transposed convolution on the matrix units, phase by phase: pixels of y are the columns of the product, their
// windows of x are gathered as they are staged.
#pragma once
#include "phases.cuh"
#include "windows.cuh"

template <class T> struct Transposed : Windows<T> {
    static constexpr u32 AT_ONCE = 4;
    const Operands& o;
    const ConvTranspose2dParams& p;
    u32 first_channel, first_pixel, row_phase, column_phase;
    Phase rows, columns;
    // The current channel.
    u32 y_channel;
    f32 bias;

    DEVICE_MEMBER void window() {
        const u32 pixel = first_pixel + this->column(0);
        const bool any = pixel < rows.extent * columns.extent;
        const u32 row = any ? pixel / columns.extent : 0, column = any ? pixel % columns.extent : 0;
        this->look(any ? rows.taps : 0, any ? columns.taps : 0, (i32)row - (i32)rows.pad, (i32)column - (i32)columns.pad);
    }

    DEVICE_MEMBER bool channel(u32 i) {
        y_channel = first_channel + i;
        if (y_channel >= p.c_out) return false;
        bias = p.has_bias ? o.x[CONV_BIAS][y_channel] : 0.0f;
        return true;
    }

    template <u32 N> DEVICE_MEMBER void store(const u32 (&at)[N], const f32 (&v)[N]) const {
        UNROLL for (u32 i = 0; i < N; i++) {
            const u32 pixel = first_pixel + at[i];
            if (pixel >= rows.extent * columns.extent) break;
            const u32 row = pixel / columns.extent * p.stride + row_phase, column = pixel % columns.extent * p.stride + column_phase;
            o.y[block_z() * p.y_batch_stride + ((u64)y_channel * p.h_out + row) * p.w_out + column] = transposed_epilogue(p, bias, v[i]);
        }
    }
};

// Grid: blocks of channels of one block of a phase's pixels after the other, phases, images. `prepared` holds the
// weights of each phase; terms are channel, row and column of ceil(kernel / stride) taps.
template <class T> DEVICE void transpose(const Operands& o, const ConvTranspose2dParams& p) {
    __shared__ T shared;
    __shared__ Terms<T> terms;
    const u32 blocks = (p.c_out + T::CHANNELS - 1) / T::CHANNELS, block = block_x() % blocks;
    const u32 sides = (p.kernel + p.stride - 1) / p.stride, stages = (p.c_in * sides * sides + T::TERMS - 1) / T::TERMS;
    const u32 row_phase = block_y() / p.stride, column_phase = block_y() % p.stride;
    const f32* x = o.x[CONV_X] + block_z() * p.x_batch_stride;
    const u32* w = (const u32*)o.prepared + ((u64)block_y() * blocks + block) * stages * T::WEIGHTS;
    Transposed<T> job{{terms, x, 0, p.h_in, p.w_in, p.c_in, {sides, sides}, {1, 1}, 0, 0, 0},
                      o, p, block * T::CHANNELS, block_x() / blocks * T::COLUMNS, row_phase, column_phase,
                      phase_of(p, row_phase, p.h_out), phase_of(p, column_phase, p.w_out), 0, 0.0f};
    job.window();
    Product<T, Transposed<T>> product{shared, job, w, stages, {}};
    product.run();
    product.finish();
}

#define TRANSPOSED(name, ...) \
    ENTRY THREADS(128) name(Operands o, ConvTranspose2dParams p) { transpose<Tile<__VA_ARGS__>>(o, p); }
