// The total order of floats, in which NaN has a place, and the largest of many by it.
#pragma once
#include "device.cuh"

// A number that grows as a value does.
DEVICE i32 rank_of(f32 v) {
    i32 bits = (i32)bits_of(v);
    return bits < 0 ? bits ^ 0x7fffffff : bits;
}

// A number above 0 that is larger for larger values, and of equals for earlier ones.
DEVICE u64 key_of(f32 v, u32 index) { return (u64)((u32)rank_of(v) ^ 0x80000000u) << 32 | (0xffffffffu - index); }

DEVICE u32 index_of(u64 key) { return 0xffffffffu - (u32)key; }

DEVICE u64 lane_xor(u64 v, u32 mask) {
    const f32 low = lane_xor(float_of((u32)v), mask), high = lane_xor(float_of((u32)(v >> 32)), mask);
    return (u64)bits_of(high) << 32 | bits_of(low);
}

// The largest key of all threads of a block of WARPS warps, known to all of them.
template <u32 WARPS> DEVICE u64 block_max(u64 key) {
    __shared__ u64 of_warp[WARPS];
    UNROLL for (u32 mask = 16; mask > 0; mask /= 2) {
        const u64 other = lane_xor(key, mask);
        key = other > key ? other : key;
    }
    barrier();
    if (thread_x() % 32 == 0) of_warp[thread_x() / 32] = key;
    barrier();
    for (u32 warp = 0; warp < WARPS; warp++) key = of_warp[warp] > key ? of_warp[warp] : key;
    return key;
}
