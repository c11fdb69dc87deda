// x of a convolution of stride 1 laid out for products: bf16 or f16, in units of 8 columns by 64 rows of y with their
// halo, 16 channels after 16. A unit's 16 channels lie in one piece as (two octets of channels, rows, columns, octet),
// padding, enlargement and edges included: the pixels that a tap looks at are the same piece, begun elsewhere. A block
// can lay its part of y out as well, for convolutions that read it.
#pragma once
#include "epilogue.cuh"
#include "tensor_core.cuh"

#define COLUMNS 8
#define ROWS 64
// With the halo of a 3 x 3 kernel, whatever the kernel is: all convolutions look at the same units.
#define PITCH (COLUMNS + 2)
#define HEIGHT (ROWS + 2)
// Channels of x that one product sums over, and the bytes of their two octets.
#define CHANNELS 16
#define OCTET (PITCH * HEIGHT * 16)
#define UNIT (2 * OCTET)

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

// Puts an octet of a pixel into its unit and into the halos of the units beside it; where there is none, the own halo
// is zero.
DEVICE void spread(const Operands& o, const Conv2dParams& p, u32 image, u32 own, u32 down, u32 right, u32 octet, Four words) {
    const i32 across = (i32)units_across(p), all = (i32)units_down(p);
    const i32 edge_down = down == 0 ? -1 : down == ROWS - 1, edge_right = right == 0 ? -1 : right == COLUMNS - 1;
    u8* unit = unit_at(o.laid, p, octet / 2, image, own);
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

// Eight channels of y.
struct EpilogueOctet {
    u32 first;
    EpilogueChannel e[8];

    DEVICE_MEMBER EpilogueOctet(const Operands& o, const Conv2dParams& p, u32 first) : first(first) {
        UNROLL for (u32 c = 0; c < 8; c++) e[c] = epilogue_channel(p.epilogue, o, first + c < p.c_out ? first + c : first);
    }

    // Stores a pixel of an image's unit, whose sums lie so far apart, in y, and where the next convolution looks for it.
    template <class E, u32 APART>
    DEVICE_MEMBER void store(const Operands& o, const Conv2dParams& p, u32 image, u32 own, u32 down, u32 right, const f32* sums) const {
        const u32 across = units_across(p), row = own / across * ROWS + down, column = own % across * COLUMNS + right;
        const bool inside = row < p.h_out && column < p.w_out;
        f32 v[8];
        UNROLL for (u32 c = 0; c < 8; c++) {
            v[c] = 0.0f;
            if (!inside || first + c >= p.c_out) continue;
            const u64 at = ((u64)(first + c) * p.h_out + row) * p.w_out + column;
            v[c] = with_residuals(p, o, image, at, activated(p.epilogue, e[c], sums[c * APART]));
            // Where nobody reads y but by its layout, there is none.
            if (o.y) o.y[image * p.y_batch_stride + at] = v[c];
        }
        if (o.laid) {
            const Four words{E::word(v), E::word(v + 2), E::word(v + 4), E::word(v + 6)};
            spread(o, p, image, own, down, right, first / 8, words);
        }
    }
};
