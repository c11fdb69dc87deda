// Tokens of a window of a token map; padding, roll and mask are index arithmetic.
#pragma once
#include "params.cuh"

enum { ATTENTION_X, ATTENTION_PAD, ATTENTION_BIAS };

#define MASKED -100.0f

// A token of a window: its place in the window, where its queries begin, and its mask region.
struct Token {
    u32 row, column;
    // Token of all maps, or no token of any map but padding.
    u64 source;
    bool padding;
    u32 region;
};

// Where an index of a rolled, widened axis lies, and its region.
struct Axis {
    u32 at, region;
};

DEVICE Axis axis(u32 index, u32 extent, u32 window, u32 shift) {
    Axis a;
    a.at = index + shift;
    if (a.at >= extent) a.at -= extent;
    a.region = shift == 0 || index + window < extent ? 0 : index + shift < extent ? 1 : 2;
    return a;
}

DEVICE Token token(const WindowAttentionParams& p, u32 index) {
    const u32 rows = (p.size[0] + p.window - 1) / p.window, columns = (p.size[1] + p.window - 1) / p.window;
    const u32 top = block_x() / columns * p.window, left = block_x() % columns * p.window;
    Token t;
    t.row = index / p.window, t.column = index % p.window;
    const Axis down = axis(top + t.row, rows * p.window, p.window, p.shift[0]);
    const Axis across = axis(left + t.column, columns * p.window, p.window, p.shift[1]);
    t.padding = down.at >= p.size[0] || across.at >= p.size[1];
    t.source = ((u64)block_z() * p.size[0] + down.at) * p.size[1] + across.at;
    t.region = down.region * 3 + across.region;
    return t;
}

// Elements of this block's head: part 0 is the query, 1 the key, 2 the value.
DEVICE const f32* part(const Operands& o, const WindowAttentionParams& p, const Token& t, u32 which) {
    const u32 channels = p.heads * p.head_dim;
    const f32* all = t.padding ? o.x[ATTENTION_PAD] : o.x[ATTENTION_X] + t.source * 3 * channels;
    return all + which * channels + block_y() * p.head_dim;
}
