// Convolution on the matrix units for any stride, dilation and small kernel: one group, padded with zeros. Pixels of
// y are the columns of the product, their windows are gathered as they are staged.
#pragma once
#include "epilogue.cuh"
#include "windows.cuh"

template <class T> struct Convolution : Windows<T> {
    static constexpr u32 AT_ONCE = 4;
    const Operands& o;
    const Conv2dParams& p;
    u32 first_channel, first_pixel;
    // The current channel.
    u32 y_channel;
    EpilogueChannel epilogue;

    DEVICE_MEMBER void window() {
        const u32 pixel = first_pixel + this->column(0), row = pixel / p.w_out, column = pixel - row * p.w_out;
        const bool any = pixel < p.h_out * p.w_out;
        const i32 top = (i32)(row * p.stride[0]) - p.pad[0], left = (i32)(column * p.stride[1]) - p.pad[1];
        this->look(any ? p.kernel[0] : 0, any ? p.kernel[1] : 0, top, left);
    }

    DEVICE_MEMBER bool channel(u32 i) {
        y_channel = first_channel + i;
        if (y_channel >= p.c_out) return false;
        epilogue = epilogue_channel(p.epilogue, o, y_channel);
        return true;
    }

    template <u32 N> DEVICE_MEMBER void store(const u32 (&columns)[N], const f32 (&v)[N]) const {
        const u32 plane = p.h_out * p.w_out;
        UNROLL for (u32 i = 0; i < N; i++) {
            const u32 pixel = first_pixel + columns[i];
            if (pixel >= plane) break;
            const u64 at = (u64)y_channel * plane + pixel;
            o.y[block_z() * p.y_batch_stride + at] = with_residuals(p, o, block_z(), at, activated(p.epilogue, epilogue, v[i]));
        }
    }
};

// Grid: blocks of channels of one block of pixels after the other, one, images.
template <class T> DEVICE void convolve(const Operands& o, const Conv2dParams& p) {
    __shared__ T shared;
    __shared__ Terms<T> terms;
    const u32 blocks = (p.c_out + T::CHANNELS - 1) / T::CHANNELS, block = block_x() % blocks;
    const u32 stages = (p.c_in * p.kernel[0] * p.kernel[1] + T::TERMS - 1) / T::TERMS;
    const f32* x = o.x[CONV_X] + block_z() * p.x_batch_stride;
    Convolution<T> job{{terms, x, p.upsample - 1, p.h_in, p.w_in, p.c_in, {p.kernel[0], p.kernel[1]}, {p.dilation[0], p.dilation[1]}, 0, 0, 0},
                       o, p, block * T::CHANNELS, block_x() / blocks * T::COLUMNS, 0, {}};
    job.window();
    Product<T, Convolution<T>> product{shared, job, (const u32*)o.prepared + (u64)block * stages * T::WEIGHTS, stages, {}};
    product.run();
    product.finish();
}

#define CONVOLUTION(name, ...) \
    ENTRY THREADS(128) name(Operands o, Conv2dParams p) { convolve<Tile<__VA_ARGS__>>(o, p); }
