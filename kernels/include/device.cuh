// What a CUDA compiler brings along, written for clang's bare NVPTX back end: keywords, fixed-width
// types, thread coordinates, barriers, and the functions of float that kernels use.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define THREADS(n) __attribute__((launch_bounds(n)))
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

// The error function, to about two units in the last place of one: erf(v)/v by v² below one, ln(1 - erf(v))
// by v from there to four. Both least-squares fits, as in src/cpu/simd.
DEVICE f32 error_function(f32 v) {
    f32 size = __builtin_fabsf(v), square = v * v;
    f32 near = -9.680136e-6f;
    near = fma(near, square, 0.00011270544f);
    near = fma(near, square, -0.0008484711f);
    near = fma(near, square, 0.005221075f);
    near = fma(near, square, -0.026865445f);
    near = fma(near, square, 0.11283783f);
    near = fma(near, square, -0.37612638f);
    near = fma(near, square, 1.12837917f);
    f32 at = size > 4.0f ? 4.0f : size;
    f32 far = -1.6974548e-7f;
    far = fma(far, at, -1.9262741e-5f);
    far = fma(far, at, 0.00042650543f);
    far = fma(far, at, -0.0041537764f);
    far = fma(far, at, 0.025101762f);
    far = fma(far, at, -0.10827848f);
    far = fma(far, at, -0.63333285f);
    far = fma(far, at, -1.1295273f);
    far = fma(far, at, 0.00017812417f);
    f32 rest = 1.0f - exponential(far);
    return size < 1.0f ? v * near : v < 0.0f ? -rest : rest;
}

DEVICE f32 gelu(f32 v) { return v * 0.5f * (1.0f + error_function(v * 0.707106781f)); }

DEVICE f32 sigmoid(f32 v) { return 1.0f / (1.0f + exponential(-v)); }
