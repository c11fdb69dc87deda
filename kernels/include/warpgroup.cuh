// Instructions of sm_90a that C++ has no words for: bulk copies that report to an mbarrier, and products of a
// warpgroup (four warps) of 64 x 16 by 16 x 256 values in shared memory.
#pragma once
#include "tensor_core.cuh"

// Sets up an mbarrier whose phases complete after so many arrivals, and after the bytes announced meanwhile.
DEVICE void mbarrier_init(u64* at, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(at)), "r"(arrivals) : "memory");
}

// Makes this thread's mbarriers known to the copy unit; other threads know them after a barrier.
DEVICE void mbarrier_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

DEVICE void mbarrier_arrive(u64* at) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(at)) : "memory");
}

// Arrives and announces bytes that copies will bring.
DEVICE void mbarrier_expect(u64* at, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(at)), "r"(bytes) : "memory");
}

// Waits until the phase of that parity is complete.
DEVICE void mbarrier_wait(u64* at, u32 parity) {
    asm volatile("{\n.reg .pred done;\nAGAIN:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra AGAIN;\n}"
                 ::"r"(shared_address(at)), "r"(parity) : "memory");
}

// Starts a copy from global to shared memory that reports to an mbarrier; both addresses and the size are
// multiples of 16 bytes.
DEVICE void copy_bulk(void* to, const void* from, u32 bytes, u64* mbarrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 ::"r"(shared_address(to)), "l"(from), "r"(bytes), "r"(shared_address(mbarrier)) : "memory");
}

// A factor in shared memory, made of pieces of 8 rows by 8 values that are 128 bytes one behind the other:
// `along` bytes from a piece to the next along the sum, `across` to the next rows.
DEVICE u64 factor(u32 address, u32 along, u32 across) { return (u64)(address >> 4) | (u64)(along >> 4) << 16 | (u64)(across >> 4) << 32; }

// Sums of 64 rows by 256 columns: this thread's are those of rows r and r + 8, r = 16 (warp % 4) + lane / 4, of
// columns 8 i + 2 (lane % 4) and the next: v[4 i], v[4 i + 1] of row r, v[4 i + 2], v[4 i + 3] of row r + 8.
struct WideSums {
    f32 v[128];
};

// Orders the warpgroup's registers before its next products.
DEVICE void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

DEVICE void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits for all groups of products but the last `KEEP`.
template <u32 KEEP> DEVICE void products_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(KEEP) : "memory"); }

#define SUMS_4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SUMS_16(d, i) SUMS_4(d, i), SUMS_4(d, i + 4), SUMS_4(d, i + 8), SUMS_4(d, i + 12)
#define SUMS_64(d, i) SUMS_16(d, i), SUMS_16(d, i + 16), SUMS_16(d, i + 32), SUMS_16(d, i + 48)

// Starts d += a b' for the factors behind two descriptors.
#define WIDE_PRODUCT(d, a, b, type)                                                                                     \
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {"                                      \
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,"    \
        "%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,"  \
        "%56,%57,%58,%59,%60,%61,%62,%63,%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,"  \
        "%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,"  \
        "%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}, "        \
        "%128, %129, 1, 1, 1, 0, 0;"                                                                                   \
        : SUMS_64(d.v, 0), SUMS_64(d.v, 64)                                                                             \
        : "l"(a), "l"(b))

struct WideBf16 : Bf16 {
    static DEVICE_MEMBER void multiply(WideSums& d, u64 a, u64 b) { WIDE_PRODUCT(d, a, b, "bf16"); }
};

struct WideF16 : F16 {
    static DEVICE_MEMBER void multiply(WideSums& d, u64 a, u64 b) { WIDE_PRODUCT(d, a, b, "f16"); }
};
