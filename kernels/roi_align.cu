// Pooling of boxes out of a pyramid of feature maps: a thread per number of y. Places are computed in double
// precision, as everywhere; `prepared` holds the least area of a box on each level after the first.
#include "params.cuh"

#define ROW 6
#define NO_BOX (-__builtin_inff())

typedef double f64;

// Two neighbours on an axis and how far between them.
struct Between {
    u32 low, high;
    f32 part;
    bool outside;
};

DEVICE Between between(f64 at, u32 extent) {
    Between b;
    b.outside = !(at >= -1.0 && at <= (f64)extent);
    at = at > 0.0 && !b.outside ? at : 0.0;
    b.low = (u32)at;
    const bool last = b.low + 1 >= extent;
    b.low = last ? extent - 1 : b.low;
    b.high = last ? b.low : b.low + 1;
    b.part = last ? 0.0f : (f32)(at - (f64)b.low);
    return b;
}

// A map of the pyramid.
struct Level {
    const f32* x;
    u32 h, w, shift;
};

DEVICE Level level_of(const Operands& o, const RoiAlignParams& p, f64 area) {
    const f64* least = (const f64*)o.prepared;
    Level l{o.x[1], p.maps[0][0], p.maps[0][1], p.shifts[0]};
    UNROLL for (u32 k = 1; k < MAX_LEVELS; k++) {
        if (k < p.levels && area >= least[k - 1]) l = Level{o.x[1 + k], p.maps[k][0], p.maps[k][1], p.shifts[k]};
    }
    return l;
}

ENTRY roi_align_fwd_f32__threads(Operands o, RoiAlignParams p) {
    const u64 all = (u64)p.batch * p.rois * p.channels * p.size * p.size;
    for (u64 at = (u64)block_x() * threads_x() + thread_x(); at < all; at += (u64)blocks_x() * threads_x()) {
        const u32 bins = p.size * p.size, bin = (u32)(at % bins);
        const u64 roi = at / bins / p.channels, channel = at / bins - roi * p.channels;
        const f32* row = o.x[0] + roi * ROW;
        f32 sum = 0.0f;
        if (row[4] > NO_BOX) {
            const f64 width = (f64)row[2] - (f64)row[0], height = (f64)row[3] - (f64)row[1];
            const Level l = level_of(o, p, width * height);
            const f32* map = l.x + (roi / p.rois * p.channels + channel) * l.h * l.w;
            const f64 scale = 1.0 / (f64)(1u << l.shift);
            const f64 bin_w = (width * scale > 1.0 ? width * scale : 1.0) / (f64)p.size;
            const f64 bin_h = (height * scale > 1.0 ? height * scale : 1.0) / (f64)p.size;
            for (u32 i = 0; i < p.samples; i++) {
                const f64 down = (f64)(bin / p.size) + ((f64)i + 0.5) / (f64)p.samples;
                const Between y = between((f64)row[1] * scale + down * bin_h, l.h);
                for (u32 j = 0; j < p.samples; j++) {
                    const f64 right = (f64)(bin % p.size) + ((f64)j + 0.5) / (f64)p.samples;
                    const Between x = between((f64)row[0] * scale + right * bin_w, l.w);
                    if (x.outside || y.outside) continue;
                    const f32 *top = map + (u64)y.low * l.w, *bottom = map + (u64)y.high * l.w;
                    const f32 above = fma(x.part, top[x.high], (1.0f - x.part) * top[x.low]);
                    const f32 below = fma(x.part, bottom[x.high], (1.0f - x.part) * bottom[x.low]);
                    sum += fma(y.part, below, (1.0f - y.part) * above);
                }
            }
        }
        o.y[at] = sum / (f32)(p.samples * p.samples);
    }
}
