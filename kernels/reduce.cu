// Reductions over one axis, one line per thread; values of a line are taken in order.
#include "axis.cuh"
#include "order.cuh"

DEVICE f32 largest(const Line& l) {
    f32 best = l.at(0);
    for (u64 k = 1; k < l.n; k++) {
        f32 v = l.at(k);
        if (rank_of(v) > rank_of(best)) best = v;
    }
    return best;
}

DEVICE f32 mean(const Line& l) {
    f32 sum = 0.0f;
    for (u64 k = 0; k < l.n; k++) sum += l.at(k);
    return sum / (f32)l.n;
}

// The value that (n - 1) / 2 others come before, earlier of equals first.
DEVICE f32 lower_median(const Line& l) {
    f32 median = l.at(0);
    for (u64 k = 0; k < l.n; k++) {
        f32 v = l.at(k);
        u64 before = 0;
        for (u64 j = 0; j < l.n; j++) {
            i32 other = rank_of(l.at(j)), own = rank_of(v);
            before += other < own || (other == own && j < k);
        }
        if (before == (l.n - 1) / 2) median = v;
    }
    return median;
}

ENTRY reduce_fwd_f32__lines(Operands o, AxisParams p) {
    for (u64 index = own_line(); index < lines(p); index += next_line()) {
        Line l = line(p, o.x[0], index);
        if (p.mode == REDUCE_MAX) o.y[index] = largest(l);
        else if (p.mode == REDUCE_MEAN) o.y[index] = mean(l);
        else o.y[index] = lower_median(l);
    }
}
