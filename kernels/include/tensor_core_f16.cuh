// Products of f16 on matrix units older than sm_80, where nothing copies to shared memory by itself.
#pragma once
#include "tensor_core.cuh"

struct EarlyF16 {
    static constexpr bool COPIES = false;
    static constexpr u32 WORD = 2;
    static DEVICE_MEMBER u32 word(const f32* v) { return F16::part(v[0]) | (u32)F16::part(v[1]) << 16; }
    static DEVICE_MEMBER u16 part(f32 v) { return F16::part(v); }
    static DEVICE_MEMBER f32 number(u32 w, u32 i) { return F16::number(w, i); }
};

// sm_75: half as many terms at once as on sm_80, shared by the lanes as there.
struct F16Sm75 : EarlyF16, SharedByFours {
    static DEVICE_MEMBER void multiply(Sums& d, const Left& a, u32 b0, u32 b1) {
        add(d, a.v[0], a.v[1], b0);
        add(d, a.v[2], a.v[3], b1);
    }
    static DEVICE_MEMBER void add(Sums& d, u32 a0, u32 a1, u32 b) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
                     : "r"(a0), "r"(a1), "r"(b));
    }
};

// A 16 x 16 tile of sums, of which each pair of quads q, four lanes from 4q and four from 16 + 4q on, has 8 x 8: four
// rows from 4 (q%2) and four from 8 + 4 (q%2) on, and so the columns from 4 (q/2) and 8 + 4 (q/2) on.
struct QuadSums {
    static constexpr u32 COUNT = 8;
    f32 v[COUNT];

    static DEVICE_MEMBER u32 row(u32 lane, u32 i) { return lane % 2 + i / 2 % 2 * 2 + lane / 4 % 2 * 4 + lane / 16 * 8; }
    static DEVICE_MEMBER u32 column(u32 lane, u32 i) { return i % 2 + lane / 2 % 2 * 2 + lane / 8 % 2 * 4 + i / 4 * 8; }
};

// Four terms of a row.
struct QuadLeft {
    u32 v[2];
};

// sm_70 and sm_72: each pair of quads multiplies 8 rows by 8 columns of its own, four terms at once, of which a lane
// has all of a row and all of a column. Two pairs have the same rows, two the same columns; eight lanes that follow each
// other read eight rows, or four columns, that do, and meet no bank twice.
struct F16Sm70 : EarlyF16 {
    using Sums = QuadSums;
    using Left = QuadLeft;
    static constexpr u32 COLUMNS = 16, GROUPS = 4;

    static DEVICE_MEMBER u32 quarter(u32 group, u32) { return group; }
    static DEVICE_MEMBER u32 column(u32 lane) { return lane % 4 + lane / 8 * 4; }

    // Of rows packed as (quarters, rows, four words).
    static DEVICE_MEMBER void left(Left (&a)[2], const u32* rows, u32 group, u32 lane) {
        typedef u32 Four __attribute__((ext_vector_type(4)));
        const Four w = *(const Four*)(rows + (group * 16 + lane % 8 + lane / 16 * 8) * 4);
        a[0] = Left{{w.x, w.y}}, a[1] = Left{{w.z, w.w}};
    }

    static DEVICE_MEMBER void multiply(Sums& d, const Left& a, u32 b0, u32 b1) {
        asm volatile("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9}, {%10,%11}, {%0,%1,%2,%3,%4,%5,%6,%7};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3]), "+f"(d.v[4]), "+f"(d.v[5]), "+f"(d.v[6]), "+f"(d.v[7])
                     : "r"(a.v[0]), "r"(a.v[1]), "r"(b0), "r"(b1));
    }
};
