// Blocks of one launch that meet in global memory: counters that order what one block wrote before what another reads.
//
// In the words of PTX's memory consistency model: what a block's threads did before a barrier precedes, in causality
// order, the release by one of them behind it; an acquire of the whole GPU that reads what the release wrote, or what an
// atomic made of that, synchronizes with it; and what the acquiring block's threads do behind a barrier after the acquire
// follows. So they must see those writes, and no line that an L1 kept from before: loads of any kind may be used, but
// `ld.global.nc`, which the model leaves out, for nothing that the same launch writes.
#pragma once
#include "device.cuh"

// The next ticket; orders nothing.
DEVICE u32 take(u32* next) {
    u32 old;
    asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], 1;" : "=r"(old) : "l"(next) : "memory");
    return old;
}

// Counts one more, behind all that this thread did and knows.
DEVICE void release(u32* counter) { asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory"); }

// Waits until so many have been counted; what they did before is then known.
DEVICE void acquire(const u32* counter, u32 enough) {
    for (;;) {
        u32 counted;
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(counted) : "l"(counter) : "memory");
        if (counted >= enough) break;
        asm volatile("nanosleep.u32 32;" ::: "memory");
    }
}

// Counts one more and gives the count before; what was counted before is known, and those that come later know of this.
DEVICE u32 release_and_acquire(u32* counter) {
    u32 old;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;" : "=r"(old) : "l"(counter) : "memory");
    return old;
}
