//! Bugs that the machine must find: each kernel is right as written and wrong after one edit of its PTX.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ptx_machine::mutate::{run as run_mutants, SiteKind};
use ptx_machine::{Entry, Fault, Launch, Memory, Module, Params};

const HEAD: &str = ".version 8.0\n.target sm_90a\n.address_size 64\n";

/// Runs an entry `e` that gets one buffer of 64 words, 0 to 63.
fn run(body: &str, launch: Launch) -> Result<Vec<u32>, Box<Fault>> {
    let text = format!(
        "{HEAD}.extern .shared .align 16 .b8 dynamic[];\n.visible .entry e(.param .u64 data) {{
        .reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<16>; .reg .f32 %f<8>;
        .shared .align 16 .b8 tile[512]; .shared .align 8 .b8 bar[16];
        ld.param.u64 %rd1, [data];
        mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; mov.u32 %r3, tile; add.s32 %r4, %r3, %r2;
        cvt.u64.u32 %rd2, %r2; add.s64 %rd3, %rd1, %rd2; mov.u32 %r5, bar;
        {body}
        ret; }}"
    );
    let entry = Module::parse(&text).unwrap().entry("e").unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut memory = Memory::new();
    let at = memory.alloc_from_named("data", &(0..64).collect::<Vec<u32>>());
    let launch = Launch { budget: 100_000, ..launch };
    launch.run(&entry, &mut memory, &Params::new().u64(at).bytes())?;
    Ok(memory.read(at, 64).unwrap())
}

fn two_warps() -> Launch {
    Launch { block: [64, 1, 1], ..Launch::default() }
}

/// The body is right; with `from` replaced by `to` it is refused with a message that says `what`.
fn planted(body: &str, launch: Launch, from: &str, to: &str, what: &str) {
    run(body, launch).unwrap_or_else(|e| panic!("as written: {e}"));
    assert!(body.contains(from), "{from}");
    let fault = run(&body.replace(from, to), launch).expect_err(&format!("{from} -> {to} is not found"));
    assert!(fault.to_string().contains(what), "{fault}");
}

const REVERSE: &str = "
    ld.global.u32 %r6, [%rd3]; st.shared.u32 [%r4], %r6;
    bar.sync 0;
    xor.b32 %r7, %r2, 252; add.s32 %r7, %r7, %r3; ld.shared.u32 %r8, [%r7];
    bar.sync 0;
    st.shared.u32 [%r4], %r8; ld.shared.u32 %r9, [%r4]; st.global.u32 [%rd3], %r9;";

#[test]
fn a_removed_barrier() {
    assert_eq!(run(REVERSE, two_warps()).unwrap(), (0..64).rev().collect::<Vec<u32>>());
    let first = "bar.sync 0;\n    xor";
    planted(REVERSE, two_warps(), first, "xor", "never written");
    let second = "bar.sync 0;\n    st";
    planted(REVERSE, two_warps(), second, "st", "nothing in between that orders");
}

#[test]
fn a_barrier_too_weak() {
    planted(
        REVERSE,
        two_warps(),
        "bar.sync 0;\n    st",
        "bar.warp.sync -1;\n    st",
        "nothing in between that orders",
    );
}

#[test]
fn a_removed_warp_barrier() {
    let body = "st.shared.u32 [%r4], %r1; bar.warp.sync -1; xor.b32 %r7, %r2, 124; add.s32 %r7, %r7, %r3;
        ld.shared.u32 %r8, [%r7]; st.global.u32 [%rd3], %r8;";
    planted(body, Launch::default(), "bar.warp.sync -1; ", "", "nothing in between that orders");
}

#[test]
fn a_wrong_wait_count() {
    let copies = "
        shl.b32 %r10, %r1, 4; and.b32 %r10, %r10, 240; add.s32 %r11, %r3, %r10; cvt.u64.u32 %rd4, %r10; add.s64 %rd5, %rd1, %rd4;
        setp.gt.u32 %p1, %r1, 7; @%p1 bra DONE;
        cp.async.cg.shared.global [%r11], [%rd5], 16; cp.async.commit_group;
        cp.async.cg.shared.global [%r11+256], [%rd5+128], 16; cp.async.commit_group;
        cp.async.wait_group 1; ld.shared.u32 %r12, [%r11];
        cp.async.wait_group 0; ld.shared.u32 %r13, [%r11+256];
        DONE:";
    let wrong = "still writing";
    planted(copies, Launch::default(), "wait_group 1", "wait_group 2", wrong);
    planted(copies, Launch::default(), "cp.async.wait_group 0", "cp.async.wait_group 1", wrong);
    planted(
        copies,
        Launch::default(),
        "cp.async.commit_group;\n        cp.async.wait_group 1",
        "cp.async.wait_group 0",
        wrong,
    );
}

#[test]
fn an_off_by_one_halo() {
    let text = include_str!("fixtures/small.ptx");
    let module = Module::parse(text).unwrap();
    let entry = module.entry("blur3").unwrap();
    // The kernel reads one value beyond the tile on either side: a tile one word smaller is overrun.
    let smaller = text.replace("tile[264]", "tile[260]");
    assert_ne!(smaller, text, "the tile's declaration");
    let wrong = Module::parse(&smaller).unwrap().entry("blur3").unwrap();
    let mut memory = Memory::new();
    let (x, y) = (memory.alloc_from(&vec![1f32; 100]), memory.alloc(400));
    let launch = Launch { grid: [2, 1, 1], block: [64, 1, 1], ..Launch::default() };
    let params = Params::new().u64(x).u64(y).i32(100).bytes();
    launch.run(&entry, &mut memory, &params).unwrap();
    let fault = launch.run(&wrong, &mut memory, &params).unwrap_err();
    assert!(fault.what.contains("outside of the block's 260 bytes"), "{fault}");
    assert!(fault.source_line.unwrap().contains("small.cu:"));
    // One value more than there are.
    let params = Params::new().u64(x).u64(y).i32(101).bytes();
    let fault = launch.run(&entry, &mut memory, &params).unwrap_err();
    assert!(fault.what.contains("end 4 bytes past its end"), "{fault}");
    assert_eq!((fault.block, fault.thread), ([1, 0, 0], Some([36, 0, 0])));
}

const BULK: &str = "
    setp.ne.u32 %p1, %r1, 0; @%p1 bra WAIT;
    mbarrier.init.shared::cta.b64 [%r5], 1;
    fence.mbarrier_init.release.cluster;
    WAIT: bar.sync 0;
    @%p1 bra LOOP;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r5], 256;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], 256, [%r5];
    LOOP: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r5], 0;
    @!%p2 bra LOOP;
    xor.b32 %r7, %r2, 252; add.s32 %r7, %r7, %r3; ld.shared.u32 %r6, [%r7];
    bar.sync 0;
    add.s32 %r6, %r6, 1; st.shared.u32 [%r4], %r6;
    fence.proxy.async.shared::cta;
    bar.sync 0;
    @%p1 bra DONE;
    cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3], 256;
    cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
    DONE:";

#[test]
fn mbarriers_and_bulk_copies() {
    assert_eq!(run(BULK, two_warps()).unwrap(), (1..65).rev().collect::<Vec<u32>>());
    let launch = two_warps();
    planted(BULK, launch, "fence.mbarrier_init.release.cluster;", "", "no fence makes visible");
    planted(BULK, launch, "fence.proxy.async.shared::cta;", "", "no fence.proxy.async");
    planted(BULK, launch, "_, [%r5], 256", "_, [%r5], 272", "deadlock");
    planted(BULK, launch, "_, [%r5], 256", "_, [%r5], 240", "more than announced");
    planted(BULK, launch, "[%r5], 0;", "[%r5], 1;", "reads shared byte");
    planted(BULK, launch, "[%r5], 1;\n    fence", "[%r5], 2;\n    fence", "deadlock");
    planted(BULK, launch, "cp.async.bulk.wait_group 0;", "", "before a bulk copy");
    planted(BULK, launch, "WAIT: bar.sync 0;", "WAIT:", "mbarrier");
    planted(BULK, launch, "[%r7];\n    bar.sync 0;", "[%r7];", "nothing");
}

#[test]
fn divergent_barriers_and_deadlocks() {
    let body = "setp.lt.u32 %p1, %r1, 16; @%p1 bra LOW; bar.sync 0; bra DONE; LOW: bar.sync 0; DONE: bar.warp.sync -1;";
    let fault = run(body, Launch::default()).unwrap_err();
    assert!(fault.what.contains("divergent") && fault.what.contains("lanes 16-31"), "{fault}");
    let body = "setp.lt.u32 %p1, %r1, 32; @%p1 bra DONE; bar.sync 1, 64; DONE:";
    let fault = run(body, two_warps()).unwrap_err();
    assert!(fault.what.contains("barrier 1 has 32 of 64 threads"), "{fault}");
    let fault = run("AGAIN: bra AGAIN;", Launch::default()).unwrap_err();
    assert!(fault.what.contains("does not end"), "{fault}");
    let fault =
        run("setp.lt.u32 %p1, %r1, 7; @%p1 ret; shfl.sync.bfly.b32 %r6, %r1, 1, 31, -1;", Launch::default());
    assert!(fault.unwrap_err().what.contains("lanes 0-6, which have exited"));
}

#[test]
fn strays_and_unwritten_values() {
    for (body, what) in [
        ("ld.global.u32 %r6, [%rd3+256];", "4 bytes past its end (256 bytes)"),
        ("ld.global.u32 %r6, [%rd1+-4];", "before 'data'"),
        ("ld.global.u32 %r6, [%rd1+2];", "not a multiple of 4"),
        ("ld.global.v4.u32 {%r6,%r7,%r8,%r9}, [%rd1+8];", "not a multiple of 16"),
        ("add.s32 %r6, %r20, 1;", "%r20, which was never written"),
        ("ld.shared.u32 %r6, [%r4];", "never written"),
        ("st.global.u32 [%rd1], %r1;", "nothing in between that orders"),
        ("mov.u32 %r6, %r20; mov.u32 %r7, %r6; st.global.u32 [%rd3], %r7;", "never written"),
        ("cvta.to.shared.u64 %rd4, %rd1;", "is not in shared memory"),
    ] {
        let fault = run(body, Launch::default()).expect_err(body);
        assert!(fault.to_string().contains(what), "{body}: {fault}");
    }
    // Copies of what was never written are no use of it.
    run("mov.u32 %r6, %r20;", Launch::default()).unwrap();
}

#[test]
fn blocks_that_meet() {
    let launch = Launch { grid: [2, 1, 1], ..Launch::default() };
    let fault = run("st.global.u32 [%rd3], %r1;", launch).unwrap_err();
    assert!(fault.what.contains("by block"), "{fault}");
    run("ld.global.u32 %r6, [%rd3];", launch).unwrap();
    let body = "red.global.add.u32 [%rd1], 1;";
    assert_eq!(run(body, launch).unwrap()[0], 64);
    let fault = run(&format!("ld.global.u32 %r6, [%rd1]; {body}"), launch).unwrap_err();
    assert!(fault.what.contains("global memory"), "{fault}");
}

/// Blocks take tickets, and each turns what the one before left about and adds one.
const RELAY: &str = "
    setp.ne.u32 %p1, %r1, 0; @%p1 bra TAKEN;
    atom.relaxed.gpu.global.add.u32 %r2, [%rd2], 1;
    st.shared.u32 [%r3], %r2;
    TAKEN: bar.sync 0;
    ld.shared.u32 %r2, [%r3];
    mov.u32 %r8, %r2;
    @%p1 bra WAITED;
    AGAIN: ld.acquire.gpu.global.u32 %r4, [%rd2+4];
    setp.lt.u32 %p2, %r4, %r8; @%p2 bra AGAIN;
    WAITED: bar.sync 0;
    xor.b32 %r5, %r1, 63; mad.lo.u32 %r6, %r2, 64, %r5; mul.wide.u32 %rd3, %r6, 4; add.s64 %rd3, %rd1, %rd3;
    ld.global.u32 %r7, [%rd3]; add.u32 %r7, %r7, 1;
    mad.lo.u32 %r6, %r2, 64, %r1; mul.wide.u32 %rd3, %r6, 4; add.s64 %rd3, %rd1, %rd3;
    st.global.u32 [%rd3+256], %r7;
    bar.sync 0;
    @%p1 bra DONE;
    red.release.gpu.global.add.u32 [%rd2+4], 1;
    DONE:";

/// What the last of four such blocks leaves, of which so many are resident, on a schedule.
fn relay(entry: &Entry, resident: u32, schedule: u64) -> Result<Vec<u32>, Box<Fault>> {
    let mut memory = Memory::new();
    let data = memory.alloc_named("data", 5 * 256);
    memory.write(data, &(0..64).collect::<Vec<u32>>()).unwrap();
    let counters = memory.alloc_from(&[0u32; 2]);
    let launch = Launch { grid: [4, 1, 1], resident, schedule, budget: 1 << 21, ..two_warps() };
    launch.run(entry, &mut memory, &Params::new().u64(data).u64(counters).bytes())?;
    Ok(memory.read(data + 4 * 256, 64).unwrap())
}

fn relaying(body: &str) -> Entry {
    let text = format!(
        "{HEAD}.visible .entry e(.param .u64 data, .param .u64 counters) {{
        .reg .pred %p<8>; .reg .b32 %r<32>; .reg .b64 %rd<16>; .shared .align 16 .b8 tile[16];
        ld.param.u64 %rd1, [data]; ld.param.u64 %rd2, [counters]; mov.u32 %r1, %tid.x; mov.u32 %r3, tile;
        {body}
        ret; }}"
    );
    Module::parse(&text).unwrap().entry("e").unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Such a body is right as written, on all schedules; on how many it is refused after an edit, in these words, of how
/// many.
fn refused(body: &str, from: &str, to: &str, what: &str) -> [usize; 2] {
    let (right, wrong) = (relaying(body), relaying(&body.replace(from, to)));
    assert!(body.contains(from), "{from}");
    let (mut refused, mut all) = (0, 0);
    for (resident, schedule) in (2..5).flat_map(|resident| (0..8).map(move |schedule| (resident, schedule))) {
        let left = relay(&right, resident, schedule).unwrap_or_else(|e| panic!("as written: {e}"));
        assert_eq!(left, (4..68).collect::<Vec<u32>>());
        let found = relay(&wrong, resident, schedule);
        let said = |fault: &Fault| assert!(fault.what.contains(what), "{from} -> {to}: {fault}");
        refused += usize::from(found.inspect_err(|fault| said(fault)).is_err());
        all += 1;
    }
    [refused, all]
}

/// An edit that orders nothing any more, which every schedule shows.
fn planted_in_relay(body: &str, from: &str, to: &str, what: &str) {
    let [refused, all] = refused(body, from, to, what);
    assert_eq!(refused, all, "{from} -> {to}");
}

/// An edit that lets a block go too early, which schedules show on which it does.
fn too_early(body: &str, from: &str, to: &str, what: &str) {
    let [refused, all] = refused(body, from, to, what);
    assert!(refused > 0, "{from} -> {to} is not found on any of {all} schedules");
}

const RACE: &str = "of the same launch with nothing in between that orders the two";

#[test]
fn blocks_that_wait_for_each_other() {
    let planted = |from, to, what| planted_in_relay(RELAY, from, to, what);
    planted("ld.acquire.gpu", "ld.relaxed.gpu", RACE);
    planted("ld.acquire.gpu", "ld.acquire.cta", RACE);
    planted("red.release.gpu", "red.relaxed.gpu", RACE);
    planted("red.release.gpu", "red.release.cta", RACE);
    // Released before all threads have written.
    planted("bar.sync 0;\n    @%p1 bra DONE;", "@%p1 bra DONE;", "");
    // Acquired by one thread for itself.
    planted("WAITED: bar.sync 0;", "WAITED:", "");
    // A wait for nothing, for another one, and for one that does not come.
    too_early(RELAY, "mov.u32 %r8, %r2;", "mov.u32 %r8, 0;", "");
    too_early(RELAY, "mov.u32 %r8, %r2;", "shr.u32 %r8, %r2, 1;", "");
    planted("mov.u32 %r8, %r2;", "add.u32 %r8, %r2, 1;", "deadlock: block");
}

#[test]
fn fences_between_blocks() {
    let fenced = RELAY
        .replace("ld.acquire.gpu", "ld.relaxed.gpu")
        .replace("@%p2 bra AGAIN;", "@%p2 bra AGAIN; fence.acq_rel.gpu;")
        .replace("red.release.gpu", "membar.gl; red.relaxed.gpu");
    let planted = |from, to| planted_in_relay(&fenced, from, to, RACE);
    planted("fence.acq_rel.gpu;", "");
    planted("fence.acq_rel.gpu;", "fence.acq_rel.cta;");
    planted("membar.gl;", "");
    planted("membar.gl;", "membar.cta;");
}

/// A place that several blocks have read may be written behind all of their releases, and not before.
#[test]
fn what_others_still_read_is_not_overwritten() {
    // All but the last block read the first words; the last one waits for all of them and writes there.
    let body = "
        mov.u32 %r2, %ctaid.x; setp.ne.u32 %p1, %r1, 0; setp.eq.u32 %p3, %r2, 3;
        mul.wide.u32 %rd3, %r1, 4; add.s64 %rd3, %rd1, %rd3; @%p3 bra LAST;
        ld.global.u32 %r7, [%rd3]; bar.sync 0; @%p1 bra DONE;
        red.release.gpu.global.add.u32 [%rd2+4], 1; bra DONE;
        LAST: @%p1 bra WAITED;
        AGAIN: ld.acquire.gpu.global.u32 %r4, [%rd2+4]; setp.lt.u32 %p2, %r4, 3; @%p2 bra AGAIN;
        WAITED: bar.sync 0;
        add.u32 %r7, %r1, 4; st.global.u32 [%rd3], %r7; st.global.u32 [%rd3+1024], %r7;
        DONE:";
    too_early(body, "%r4, 3;", "%r4, 2;", RACE);
    planted_in_relay(body, "red.release.gpu", "red.relaxed.gpu", "read by block");
}

#[test]
fn every_mutant_of_the_relay_is_missed() {
    let entry = relaying(RELAY);
    let outcomes = run_mutants(&entry, |mutant| {
        let left = relay(mutant, 3, 1).map_err(|fault| fault.to_string())?;
        (left == (4..68).collect::<Vec<u32>>()).then_some(()).ok_or_else(|| "other results".into())
    });
    let kinds = |kind| outcomes.iter().filter(|o| o.site.kind == kind).count();
    assert_eq!([SiteKind::Barrier, SiteKind::Wait, SiteKind::Fence].map(kinds), [3, 1, 2]);
    // More threads than one may wait.
    let alive: Vec<_> =
        outcomes.iter().filter(|o| o.killed_by.is_none() && o.site.kind != SiteKind::Bounds).collect();
    assert!(alive.is_empty(), "{alive:#?}");
}

#[test]
fn wrong_launches() {
    let text = format!("{HEAD}.entry e(.param .u64 a, .param .u32 b) .reqntid 64, 1, 1 {{ ret; }}");
    let entry = Module::parse(&text).unwrap().entry("e").unwrap();
    let run = |launch: Launch, bytes| launch.run(&entry, &mut Memory::new(), &vec![0; bytes]).map(|_| ());
    run(two_warps(), 12).unwrap();
    assert!(run(two_warps(), 16)
        .unwrap_err()
        .what
        .contains("16 bytes of parameters given, the entry takes 12"));
    assert!(run(Launch::default(), 12).unwrap_err().what.contains(".reqntid"));
    assert!(run(Launch { grid: [0, 1, 1], ..two_warps() }, 12).is_err());
    assert!(run(Launch { shared_bytes: 300 << 10, ..two_warps() }, 12).is_err());
}
