// A ring of slots in shared memory that bulk copies fill and warpgroups read.
#pragma once
#include "warpgroup.cuh"

// READERS warps read a slot before it is filled again.
template <u32 SLOTS, u32 BYTES, u32 READERS> struct Ring {
    u8* slots;
    // Copies report to the first, readers to the second.
    u64 *full, *empty;

    DEVICE_MEMBER void begin() const {
        if (thread_x() == 0) {
            for (u32 slot = 0; slot < SLOTS; slot++) {
                mbarrier_init(full + slot, 1);
                mbarrier_init(empty + slot, READERS);
            }
            mbarrier_fence();
        }
        barrier();
    }

    // A stage's slot, once it may be filled; its copies bring BYTES and report to `filled`.
    DEVICE_MEMBER u8* fill(u32 stage) const {
        const u32 slot = stage % SLOTS;
        mbarrier_wait(empty + slot, stage / SLOTS % 2 ^ 1);
        mbarrier_expect(full + slot, BYTES);
        return slots + slot * BYTES;
    }

    DEVICE_MEMBER u64* filled(u32 stage) const { return full + stage % SLOTS; }

    // A stage's slot, once it is full.
    DEVICE_MEMBER u32 take(u32 stage) const {
        const u32 slot = stage % SLOTS;
        mbarrier_wait(full + slot, stage / SLOTS % 2);
        return shared_address(slots + slot * BYTES);
    }

    // This warp has read a stage's slot.
    DEVICE_MEMBER void release(u32 stage) const {
        if (thread_x() % 32 == 0) mbarrier_arrive(empty + stage % SLOTS);
    }
};
