// Instructions of sm_80 and later that C++ has no words for: copies to shared memory that run by
// themselves, and products of 16x8 tiles on the matrix units.
#pragma once
#include "device.cuh"

DEVICE u32 shared_address(const void* p) { return (u32)(u64)(const __attribute__((address_space(3))) void*)p; }

// Starts a copy of 16 bytes from global to shared memory, both aligned to 16.
DEVICE void copy_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

DEVICE void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for all groups of this thread's copies but the last `KEEP`; others see them after a barrier.
template <u32 KEEP> DEVICE void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(KEEP) : "memory"); }

// A 16 x 8 tile of sums: this lane's elements of rows lane/4 and lane/4 + 8, columns 2(lane%4) and the next.
struct Sums {
    static constexpr u32 COUNT = 4;
    f32 v[COUNT];

    static DEVICE_MEMBER u32 row(u32 lane, u32 i) { return lane / 4 + i / 2 * 8; }
    static DEVICE_MEMBER u32 column(u32 lane, u32 i) { return lane % 4 * 2 + i % 2; }
};

// What a lane gives of the 16 x k left factor: rows lane/4 and lane/4 + 8 of terms lane%4, then of terms
// lane%4 + 4, a term being one word.
struct Left {
    u32 v[4];

    // From four words that follow each other, aligned to 16 bytes.
    static DEVICE_MEMBER Left from(const u32* words) {
        typedef u32 Four __attribute__((ext_vector_type(4)));
        const Four w = *(const Four*)words;
        return Left{{w.x, w.y, w.z, w.w}};
    }
};

// How a warp's lanes share products of 16 rows by 8 columns, and 16 words of terms: a lane has four words of a column,
// and two left factors, of the first two of each lane's words and of the others.
struct SharedByFours {
    using Sums = ::Sums;
    using Left = ::Left;
    // Columns of a product, and groups of four words that a lane has of a column.
    static constexpr u32 COLUMNS = 8, GROUPS = 1;

    // The quarter of the terms that a group of this lane's is, and the column.
    static DEVICE_MEMBER u32 quarter(u32, u32 lane) { return lane % 4; }
    static DEVICE_MEMBER u32 column(u32 lane) { return lane / 4; }

    // A group's left factors, of rows packed as (halves of a quarter, lanes, four words).
    static DEVICE_MEMBER void left(Left (&a)[2], const u32* rows, u32, u32 lane) {
        UNROLL for (u32 half = 0; half < 2; half++) a[half] = Left::from(rows + (half * 32 + lane) * 4);
    }
};

// Numbers that matrix units take. A word of them is WORD neighbouring terms of a sum. Whether COPIES to shared memory
// run by themselves where they are multiplied.
struct Bf16 : SharedByFours {
    static constexpr bool COPIES = true;
    static constexpr u32 WORD = 2;
    static DEVICE_MEMBER u32 word(const f32* v) {
        u32 w;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(v[1]), "f"(v[0]));
        return w;
    }
    // One number of a word.
    static DEVICE_MEMBER u16 part(f32 v) {
        u16 w;
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(w) : "f"(v));
        return w;
    }
    // The number of a word that was its `i`-th.
    static DEVICE_MEMBER f32 number(u32 w, u32 i) { return float_of(i ? w & 0xffff0000u : w << 16); }
    // Adds a left times a right factor; the right one is 8 words (terms) by 8 columns, this lane's of
    // terms lane%4 and lane%4 + 4, column lane/4.
    static DEVICE_MEMBER void multiply(Sums& d, const Left& a, u32 b0, u32 b1) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
                     : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b0), "r"(b1));
    }
};

struct F16 : SharedByFours {
    static constexpr bool COPIES = true;
    static constexpr u32 WORD = 2;
    static DEVICE_MEMBER u32 word(const f32* v) {
        u32 w;
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(v[1]), "f"(v[0]));
        return w;
    }
    static DEVICE_MEMBER u16 part(f32 v) {
        u16 w;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(w) : "f"(v));
        return w;
    }
    static DEVICE_MEMBER f32 number(u32 w, u32 i) {
        f32 v;
        asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"((u16)(i ? w >> 16 : w)));
        return v;
    }
    static DEVICE_MEMBER void multiply(Sums& d, const Left& a, u32 b0, u32 b1) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
                     : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b0), "r"(b1));
    }
};

struct Tf32 : SharedByFours {
    static constexpr bool COPIES = true;
    static constexpr u32 WORD = 1;
    static DEVICE_MEMBER u32 word(const f32* v) {
        u32 w;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(w) : "f"(v[0]));
        return w;
    }
    static DEVICE_MEMBER void multiply(Sums& d, const Left& a, u32 b0, u32 b1) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
                     : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b0), "r"(b1));
    }
};
