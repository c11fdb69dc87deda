// What a CUDA compiler brings along, written for clang's bare NVPTX back end: keywords, fixed-width
// types, thread coordinates, barriers, and the functions of float that kernels use.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
// Threads of a block, and blocks of a multiprocessor that registers must leave room for.
#define THREADS(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define DEVICE static __device__ inline __attribute__((always_inline))
#define DEVICE_MEMBER __device__ inline __attribute__((always_inline))
#define ENTRY extern "C" __global__ void
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("nounroll")

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;
typedef float f32;

DEVICE u32 thread_x() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 thread_y() { return __nvvm_read_ptx_sreg_tid_y(); }
DEVICE u32 threads_x() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE u32 threads_y() { return __nvvm_read_ptx_sreg_ntid_y(); }
DEVICE u32 block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE u32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE u32 blocks_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE u32 blocks_y() { return __nvvm_read_ptx_sreg_nctaid_y(); }

// All threads of the block arrive, and see each other's writes.
DEVICE void barrier() { __nvvm_bar_sync(0); }

// The same for the block's first N threads.
template <u32 N> DEVICE void barrier_of() { asm volatile("bar.sync 1, %0;" ::"n"(N) : "memory"); }

// Threads of the warp, all of which take part, see each other's writes.
DEVICE void warp_barrier() { __nvvm_bar_warp_sync(0xffffffffu); }

DEVICE u32 bits_of(f32 v) { return __builtin_bit_cast(u32, v); }
DEVICE f32 float_of(u32 v) { return __builtin_bit_cast(f32, v); }
DEVICE f32 fma(f32 a, f32 b, f32 c) { return __builtin_fmaf(a, b, c); }
DEVICE f32 square_root(f32 v) { return __nvvm_sqrt_rn_f(v); }

// The value of the lane whose number differs in the bits of `mask`; all lanes take part.
DEVICE f32 lane_xor(f32 v, u32 mask) { return __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, mask, 31); }

DEVICE f32 warp_sum(f32 v) {
    UNROLL for (u32 mask = 16; mask > 0; mask /= 2) v += lane_xor(v, mask);
    return v;
}

DEVICE f32 warp_max(f32 v) {
    UNROLL for (u32 mask = 16; mask > 0; mask /= 2) {
        f32 other = lane_xor(v, mask);
        v = other > v ? other : v;
    }
    return v;
}

// 2 to the power of a whole n in -126..127.
DEVICE f32 power_of_two(i32 n) { return float_of((u32)(n + 127) << 23); }

// e to the power of v, to about 1e-7 |v| of itself: enough for shares of a sum.
DEVICE f32 rough_exponential(f32 v) { return __nvvm_ex2_approx_ftz_f(v * 1.44269504f); }

// e to the power of v: v = n ln 2 + r, and the hardware's 2^(r log2 e) where it is accurate.
DEVICE f32 exponential(f32 v) {
    f32 x = v < -104.0f ? -104.0f : v > 89.0f ? 89.0f : v;
    f32 n = __nvvm_floor_f(fma(x, 1.44269504f, 0.5f));
    f32 r = fma(n, -0.693145752f, x);
    r = fma(n, -1.42860677e-6f, r);
    f32 e = __nvvm_ex2_approx_f(r * 1.44269504f);
    i32 half = (i32)n / 2;
    e = e * power_of_two(half) * power_of_two((i32)n - half);
    return v == v ? e : v;
}

// v times the normal distribution's share below v: max(v, 0) - |v| times the share beyond |v|. That is a power of
// two whose exponent is a polynomial of |v|, a least-squares fit up to nine; the result is within 4e-8.
DEVICE f32 gelu(f32 v) {
    f32 size = __builtin_fabsf(v), at = size > 9.0f ? 9.0f : size;
    f32 e = 1.5348284e-7f;
    e = fma(e, at, -3.9743160e-6f);
    e = fma(e, at, 3.9498960e-5f);
    e = fma(e, at, -0.00016495349f);
    e = fma(e, at, -0.00021585045f);
    e = fma(e, at, 0.0071906256f);
    e = fma(e, at, -0.052597847f);
    e = fma(e, at, -0.45917019f);
    e = fma(e, at, -1.1511103f);
    e = fma(e, at, -1.0f);
    return (v < 0.0f ? 0.0f : v) - at * __nvvm_ex2_approx_ftz_f(e);
}

DEVICE f32 sigmoid(f32 v) { return 1.0f / (1.0f + exponential(-v)); }
