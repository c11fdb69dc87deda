// Convolutions that follow each other, in one launch: an item is what a block of a convolution's own launch computes
// (conv_laid.cuh), and the blocks of the chain take items one by one, in the order of the convolutions.
//
// An item waits for items of the convolution before only, whose tickets are smaller than its own. Blocks take tickets when
// they run, so whoever holds the smallest ticket that is not done waits for nobody: any grid comes to its end.
//
// That it waits for the convolution before suffices. Where that one counts its items together, all of them are done, and
// with them, as they waited likewise, all items of all convolutions before. Where it counts by units, those of the unit
// and of the eight around it are done, and so those around these of the convolution before that, and so on: an item may
// read, of all of them, the pixels of its unit and the halo, which these nine made. src/cuda/chain.rs has a convolution
// count by units only where the next one touches nothing else that those before it wrote, and writes nothing that they
// touch.
#include "conv_laid.cuh"
#include "meet.cuh"

// Items that a unit has for a block of channels.
#define HALVES 2

template <class E> struct Shared {
    union {
        Piece<E, 2, 3> narrow;
        Piece<E, 4, 3> wide;
    };
    Link link;
    u32 ticket, left;
};

// Waits, by the block's first nine threads, for what an item of a unit needs of the `items` of the link before its own.
DEVICE void wait_for(const Link& before, const Conv2dParams& p, u32 items, u32 image, u32 unit, const u32* done) {
    u32 counter = before.counter, enough = items;
    if (before.by_unit) {
        const u32 across = units_across(p), down = units_down(p);
        // Below zero is beyond any.
        const u32 row = unit / across + thread_x() / 3 - 1, column = unit % across + thread_x() % 3 - 1;
        if (row >= down || column >= across) return;
        counter += (image * down + row) * across + column;
        enough = HALVES * before.blocks;
    }
    acquire(done + counter, enough);
}

template <class E> DEVICE void chain(const Operands& o, const ChainParams& c) {
    __shared__ Shared<E> shared;
    const Link* links = (const Link*)o.prepared;
    Counters* counters = (Counters*)o.workspace;
    u32 at = 0;
    for (;;) {
        if (thread_x() == 0) shared.ticket = take(&counters->next);
        barrier();
        const u32 ticket = shared.ticket;
        if (ticket >= c.items) break;
        while (at + 1 < c.links && ticket >= links[at + 1].first) at++;
        if (thread_x() < sizeof(Link) / 4) ((u32*)&shared.link)[thread_x()] = ((const u32*)&links[at])[thread_x()];
        const u32 first = links[at].first, halves = links[at].halves, blocks = links[at].blocks, index = ticket - first;
        const u32 half = index % halves, channels = index / halves % blocks, image = index / halves / blocks;
        if (at > 0 && thread_x() < 9) wait_for(links[at - 1], links[at].p, first - links[at - 1].first, image, half / 2, counters->done);
        barrier();
        const Link& link = shared.link;
        if (link.tiles == 2) convolve(shared.narrow, link.o, link.p, half, channels, image);
        else convolve(shared.wide, link.o, link.p, half, channels, image);
        barrier();
        const u32 counter = link.by_unit ? image * (halves / HALVES) + half / HALVES : 0;
        if (thread_x() == 0) release(counters->done + link.counter + counter);
    }
    // The last block to leave clears the counters, which nobody looks at any more.
    if (thread_x() == 0) shared.left = release_and_acquire(&counters->left);
    barrier();
    if (shared.left + 1 < blocks_x()) return;
    for (u32 i = thread_x(); i < c.counters; i += THREADS_OF_BLOCK) counters->done[i] = 0;
    if (thread_x() == 0) counters->next = counters->left = 0;
}

// Grid: any number of blocks.
#define CHAIN(name, element) \
    ENTRY THREADS(THREADS_OF_BLOCK, 2) name(Operands o, ChainParams c) { chain<element>(o, c); }

CHAIN(conv_chain_fwd_bf16f32__laid_3x3_sm80, Bf16)
CHAIN(conv_chain_fwd_f16f32__laid_3x3_sm80, F16)
