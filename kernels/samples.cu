// Samples of files as numbers of networks, and numbers as samples: operation by operation as src/kernel/samples.rs
// says, so that the bits are the host's.
#include "params.cuh"

// Added and taken away, it leaves no room for a fraction: 1.5 * 2^23.
#define WHOLE 12582912.0f

// Grid and block: x over the pixels of a plane, y over planes; both stride. `prepared` holds the channels' scales.
template <class T> DEVICE void normalise(const Operands& o, const NormaliseParams& p) {
    for (u64 k = (u64)block_y() * threads_y() + thread_y(); k < p.planes; k += (u64)blocks_y() * threads_y()) {
        const ChannelScale scale = ((const ChannelScale*)o.prepared)[k % p.channels];
        const T* x = (const T*)o.x[0] + k * p.plane;
        for (u64 i = (u64)block_x() * threads_x() + thread_x(); i < p.plane; i += (u64)blocks_x() * threads_x()) {
            f32 v = ((f32)x[i] - scale.zero) * scale.gain;
            v = v > scale.least ? v : scale.least;
            o.y[k * p.plane + i] = v < scale.most ? v : scale.most;
        }
    }
}

// A thread per element (striding).
template <class T> DEVICE void to_samples(const Operands& o, const ToSamplesParams& p) {
    for (u64 i = (u64)block_x() * threads_x() + thread_x(); i < p.n; i += (u64)blocks_x() * threads_x()) {
        const f32 v = o.x[0][i] * p.factor, least = v > 1.0f ? v : 1.0f;
        const f32 held = least < p.most ? least : p.most;
        ((T*)o.y)[i] = v == v ? (T)(u32)(held + WHOLE - WHOLE) : (T)0;
    }
}

ENTRY normalise_fwd_f32__threads(Operands o, NormaliseParams p) {
    if (p.samples == SAMPLES_U16) normalise<u16>(o, p);
    else normalise<u8>(o, p);
}

ENTRY to_samples_fwd_f32__threads(Operands o, ToSamplesParams p) {
    if (p.samples == SAMPLES_U16) to_samples<u16>(o, p);
    else to_samples<u8>(o, p);
}
