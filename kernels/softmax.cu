// Softmax over one axis: a thread per line, or a warp per line where lines lie gap-free.
#include "axis.cuh"

ENTRY softmax_fwd_f32__threads(Operands o, AxisParams p) {
    for (u64 index = own_line(); index < lines(p); index += next_line()) {
        Line l = line(p, o.x[0], index);
        f32 largest = l.at(0);
        for (u64 k = 1; k < l.n; k++) largest = l.at(k) > largest ? l.at(k) : largest;
        f32 sum = 0.0f;
        for (u64 k = 0; k < l.n; k++) sum += exponential(l.at(k) - largest);
        for (u64 k = 0; k < l.n; k++) o.y[l.start + k * l.step] = exponential(l.at(k) - largest) / sum;
    }
}

// Lanes of a warp share a line; for inner = 1. Threads are whole warps.
ENTRY softmax_fwd_f32__warps(Operands o, AxisParams p) {
    const u32 lane = thread_x() % 32;
    for (u64 index = own_line() / 32; index < lines(p); index += next_line() / 32) {
        Line l = line(p, o.x[0], index);
        f32 largest = l.at(lane < l.n ? lane : 0);
        for (u64 k = lane; k < l.n; k += 32) largest = l.at(k) > largest ? l.at(k) : largest;
        largest = warp_max(largest);
        f32 sum = 0.0f;
        for (u64 k = lane; k < l.n; k += 32) sum += exponential(l.at(k) - largest);
        sum = warp_sum(sum);
        for (u64 k = lane; k < l.n; k += 32) o.y[l.start + k] = exponential(l.at(k) - largest) / sum;
    }
}
