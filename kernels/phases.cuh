// Phases of a transposed convolution: the pixels of y of one phase, every `stride`-th, are a plain convolution of x.
#pragma once
#include "params.cuh"

enum { CONV_X, CONV_BIAS };

// One axis of one phase; see the contract. Tap u of `taps` reads x at pixel - pad + u.
struct Phase {
    u32 taps, pad, extent;
};

DEVICE Phase phase_of(const ConvTranspose2dParams& p, u32 phase, u32 extent) {
    const u32 first = (phase + p.pad) % p.stride, ahead = (phase + p.pad) / p.stride;
    Phase f;
    f.taps = (p.kernel - first + p.stride - 1) / p.stride;
    f.pad = f.taps - 1 - (ahead < f.taps - 1 ? ahead : f.taps - 1);
    f.extent = extent > phase ? (extent - phase + p.stride - 1) / p.stride : 0;
    return f;
}

// The sum of a pixel of y as it is stored.
DEVICE f32 transposed_epilogue(const ConvTranspose2dParams& p, f32 bias, f32 sum) {
    const f32 v = sum + bias;
    return p.relu && v < 0.0f ? 0.0f : v;
}
