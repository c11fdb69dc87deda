// Windows of an image as columns of a matrix product: a term is a channel and a tap, in the order channel, row,
// column. What lies outside of the image is zero. The image may be enlarged first, each pixel to two by two: where a
// term lies then depends on which of these four, which corner, its window begins with.
#pragma once
#include "matrix_tiles.cuh"

// Where a term lies from a window's first pixel on, and the bits of its row and column of taps.
struct Term {
    u32 offset, taps;
};

// Rows of taps have the bits from 0 on, columns those from 16 on; a window never sees this one.
#define NO_TAP 0x8000u

// Terms of a stage and of the next, by corners; of an image as it is there is one.
template <class T> struct Terms {
    Term at[2][4][T::TERMS];
    static_assert(T::BLOCK >= 4 * T::TERMS, "a thread makes one");
};

template <class T> struct Windows {
    static constexpr bool COPIED = false;
    Terms<T>& terms;
    // The image, whether it has half the extents that windows see (1 or 0), and these; then those of a window.
    const f32* x;
    u32 halved, height, width, channels, taps[2], dilation[2];
    // Where the window of this thread's column begins, its corner, and the taps it sees.
    u32 start, corner, seen;

    static DEVICE_MEMBER u32 quarter(u32 part) { return T::quarter(part); }
    static DEVICE_MEMBER u32 column(u32) { return T::column(); }

    // Sets this thread's window, of whose taps so many rows and columns count.
    DEVICE_MEMBER void look(u32 rows, u32 columns, i32 top, i32 left) {
        start = (u32)((top >> halved) * (i32)(width >> halved) + (left >> halved));
        corner = (top & halved) * 2 + (left & halved);
        seen = 0;
        for (u32 k = 0; k < rows; k++) {
            const i32 row = top + (i32)(k * dilation[0]);
            if (row >= 0 && row < (i32)height) seen |= 1u << k;
        }
        for (u32 k = 0; k < columns; k++) {
            const i32 column = left + (i32)(k * dilation[1]);
            if (column >= 0 && column < (i32)width) seen |= 1u << (16 + k);
        }
    }

    DEVICE_MEMBER void begin() const {
        ahead(0);
        ahead(1);
        barrier();
    }

    DEVICE_MEMBER void ahead(u32 stage) const {
        const u32 from = thread_x() / T::TERMS, index = thread_x() % T::TERMS;
        if (from >= 1u << 2 * halved) return;
        const u32 term = stage * T::TERMS + index, area = taps[0] * taps[1];
        const u32 channel = term / area, tap = term % area, row = tap / taps[1], column = tap % taps[1];
        const u32 down = (from / 2 + row * dilation[0]) >> halved, right = (from % 2 + column * dilation[1]) >> halved;
        const u32 offset = (channel * (height >> halved) + down) * (width >> halved) + right;
        terms.at[stage % 2][from][index] = Term{offset, channel < channels ? 1u << row | 1u << (16 + column) : NO_TAP};
    }

    DEVICE_MEMBER void load(u32 stage, u32 part, f32 (&v)[T::QUARTER]) const {
        const Term* at = &terms.at[stage % 2][corner][quarter(part) * T::QUARTER];
        UNROLL for (u32 i = 0; i < T::QUARTER; i++) {
            const Term term = at[i];
            v[i] = 0.0f;
            if ((seen & term.taps) == term.taps) v[i] = x[start + term.offset];
        }
    }
};
