//! Matrix instructions against plain products: values are spread over lanes by the manual's formulas
//! `(i, j) -> lane, register, part`, written here from the result's side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::{bf16, f16};
use ptx_machine::{Launch, Memory, Module, Params};

struct Kind {
    name: &'static str,
    k: usize,
    bits: usize,
    encode: fn(i32) -> u32,
    integer: bool,
}

fn tf32(x: i32) -> u32 {
    (x as f32).to_bits()
}

const KINDS: &[Kind] = &[
    Kind {
        name: "m16n8k16.row.col.f32.f16.f16.f32",
        k: 16,
        bits: 16,
        encode: |x| f16::from_f32(x as f32).to_bits() as u32,
        integer: false,
    },
    Kind {
        name: "m16n8k8.row.col.f32.f16.f16.f32",
        k: 8,
        bits: 16,
        encode: |x| f16::from_f32(x as f32).to_bits() as u32,
        integer: false,
    },
    Kind {
        name: "m16n8k16.row.col.f32.bf16.bf16.f32",
        k: 16,
        bits: 16,
        encode: |x| bf16::from_f32(x as f32).to_bits() as u32,
        integer: false,
    },
    Kind { name: "m16n8k8.row.col.f32.tf32.tf32.f32", k: 8, bits: 32, encode: tf32, integer: false },
    Kind { name: "m16n8k4.row.col.f32.tf32.tf32.f32", k: 4, bits: 32, encode: tf32, integer: false },
    Kind {
        name: "m16n8k32.row.col.s32.s8.s8.s32",
        k: 32,
        bits: 8,
        encode: |x| x as i8 as u8 as u32,
        integer: true,
    },
    Kind {
        name: "m16n8k16.row.col.s32.s8.s8.s32",
        k: 16,
        bits: 8,
        encode: |x| x as i8 as u8 as u32,
        integer: true,
    },
];

fn small(seed: &mut u32) -> i32 {
    *seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
    (*seed >> 24) as i32 % 15 - 7
}

#[test]
fn mma_of_every_kind() {
    for kind in KINDS {
        let (per, mut seed) = (32 / kind.bits, 7);
        let a: Vec<i32> = (0..16 * kind.k).map(|_| small(&mut seed)).collect();
        let b: Vec<i32> = (0..kind.k * 8).map(|_| small(&mut seed)).collect();
        let c: Vec<i32> = (0..128).map(|_| small(&mut seed)).collect();
        let in_a = 16 * kind.k / 32 / per;
        let (mut ra, mut rb, mut rc) = (vec![0u32; 32 * in_a], vec![0u32; 16 * in_a], vec![0u32; 128]);
        // Manual: groupID = lane / 4; within a k block of 4 · per values a thread holds `per` neighbours.
        for i in 0..16 {
            for k in 0..kind.k {
                let (lane, part) = (i % 8 * 4 + k / per % 4, k % per);
                let register = i / 8 + 2 * (k / (4 * per));
                ra[lane * in_a + register] |= (kind.encode)(a[i * kind.k + k]) << (kind.bits * part % 32);
            }
        }
        for k in 0..kind.k {
            for j in 0..8 {
                let (lane, part) = (j * 4 + k / per % 4, k % per);
                rb[lane * in_a / 2 + k / (4 * per)] |= (kind.encode)(b[k * 8 + j]) << (kind.bits * part % 32);
            }
        }
        let spread = |i: usize, j: usize| (i % 8 * 4 + j / 2) * 4 + i / 8 * 2 + j % 2;
        let word = |x: i32| if kind.integer { x as u32 } else { (x as f32).to_bits() };
        for i in 0..16 {
            for j in 0..8 {
                rc[spread(i, j)] = word(c[i * 8 + j]);
            }
        }
        let regs = |name: &str, n: usize| (0..n).map(|i| format!("%{name}{i}")).collect::<Vec<_>>().join(",");
        let loads = |name: &str, n: usize| {
            let one = |i: usize| format!("ld.global.b32 %{name}{i}, [%rd{name}+{}];", 4 * i);
            format!(
                "ld.param.u64 %rd{name}, [p{name}]; mul.wide.u32 %rd9, %lane, {}; add.s64 %rd{name}, %rd{name}, %rd9; {}",
                4 * n,
                (0..n).map(one).collect::<String>()
            )
        };
        let (fa, fb, fc) = (regs("a", in_a), regs("b", in_a / 2), regs("c", 4));
        let text = format!(
            ".version 7.0\n.target sm_80\n.address_size 64\n.entry e(.param .u64 pa, .param .u64 pb, .param .u64 pc) {{
            .reg .b32 %lane; .reg .b64 %rda; .reg .b64 %rdb; .reg .b64 %rdc; .reg .b64 %rd9;
            .reg .b32 %a<4>; .reg .b32 %b<2>; .reg .b32 %c<4>;
            mov.u32 %lane, %tid.x; {} {} {}
            mma.sync.aligned.{} {{{fc}}}, {{{fa}}}, {{{fb}}}, {{{fc}}};
            st.global.v4.b32 [%rdc], {{{fc}}}; ret; }}",
            loads("a", in_a),
            loads("b", in_a / 2),
            loads("c", 4),
            kind.name,
        );
        let entry = Module::parse(&text).unwrap().entry("e").unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut memory = Memory::new();
        let at = [memory.alloc_from(&ra), memory.alloc_from(&rb), memory.alloc_from(&rc)];
        let params = at.iter().fold(Params::new(), |p, a| p.u64(*a)).bytes();
        Launch::default().run(&entry, &mut memory, &params).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        let got = memory.read::<u32>(at[2], 128).unwrap();
        for i in 0..16 {
            for j in 0..8 {
                let want = c[i * 8 + j] + (0..kind.k).map(|k| a[i * kind.k + k] * b[k * 8 + j]).sum::<i32>();
                assert_eq!(got[spread(i, j)], word(want), "{} at {i},{j}", kind.name);
            }
        }
    }
}

/// `m8n8k4`: four matrices at once. Manual, of a quad pair's lanes: the row of A and the column of B is `lane % 4`, and
/// four more from lane 16 on; value `i` of the sums is of row `(lane & 1) + (i & 2)`, likewise, and of column
/// `(i & 4) + (lane & 2) + (i & 1)`.
#[test]
fn mma_of_quad_pairs() {
    let mut seed = 7;
    let mut matrices = |len: usize| -> Vec<i32> { (0..len).map(|_| small(&mut seed)).collect() };
    let (a, b, c) = (matrices(4 * 32), matrices(4 * 32), matrices(4 * 64));
    let f16_of = |v: i32| f16::from_f32(v as f32).to_bits() as u32;
    let (mut ra, mut rb, mut rc) = (vec![0u32; 64], vec![0u32; 64], vec![0u32; 256]);
    let lane_of = |quad: usize, line: usize| 4 * quad + line % 4 + if line < 4 { 0 } else { 16 };
    for quad in 0..4 {
        for (line, k) in (0..8).flat_map(|line| (0..4).map(move |k| (line, k))) {
            let register = lane_of(quad, line) * 2 + k / 2;
            ra[register] |= f16_of(a[quad * 32 + line * 4 + k]) << (k % 2 * 16);
            rb[register] |= f16_of(b[quad * 32 + k * 8 + line]) << (k % 2 * 16);
        }
    }
    let place = |lane: usize, i: usize| {
        let row = (lane & 1) + (i & 2) + if lane < 16 { 0 } else { 4 };
        lane % 16 / 4 * 64 + row * 8 + (i & 4) + (lane & 2) + (i & 1)
    };
    for (lane, i) in (0..32).flat_map(|lane| (0..8).map(move |i| (lane, i))) {
        rc[lane * 8 + i] = (c[place(lane, i)] as f32).to_bits();
    }
    let run = |kind: &str| {
        let text = format!(
            ".version 6.4\n.target sm_70\n.address_size 64\n.entry e(.param .u64 pa, .param .u64 pb, .param .u64 pc) {{
            .reg .b32 %lane; .reg .b64 %rd<8>; .reg .b32 %a<2>; .reg .b32 %b<2>; .reg .b32 %c<8>;
            mov.u32 %lane, %tid.x;
            mul.wide.u32 %rd0, %lane, 8; mul.wide.u32 %rd1, %lane, 32;
            ld.param.u64 %rd2, [pa]; add.s64 %rd2, %rd2, %rd0; ld.global.v2.b32 {{%a0,%a1}}, [%rd2];
            ld.param.u64 %rd3, [pb]; add.s64 %rd3, %rd3, %rd0; ld.global.v2.b32 {{%b0,%b1}}, [%rd3];
            ld.param.u64 %rd4, [pc]; add.s64 %rd4, %rd4, %rd1;
            ld.global.v4.b32 {{%c0,%c1,%c2,%c3}}, [%rd4]; ld.global.v4.b32 {{%c4,%c5,%c6,%c7}}, [%rd4+16];
            mma.sync.aligned.m8n8k4.{kind} {{%c0,%c1,%c2,%c3,%c4,%c5,%c6,%c7}}, {{%a0,%a1}}, {{%b0,%b1}}, {{%c0,%c1,%c2,%c3,%c4,%c5,%c6,%c7}};
            st.global.v4.b32 [%rd4], {{%c0,%c1,%c2,%c3}}; st.global.v4.b32 [%rd4+16], {{%c4,%c5,%c6,%c7}}; ret; }}"
        );
        let entry = Module::parse(&text).unwrap().entry("e").map_err(|e| e.to_string())?;
        let mut memory = Memory::new();
        let at = [memory.alloc_from(&ra), memory.alloc_from(&rb), memory.alloc_from(&rc)];
        let params = at.iter().fold(Params::new(), |p, a| p.u64(*a)).bytes();
        Launch::default().run(&entry, &mut memory, &params).unwrap_or_else(|e| panic!("{e}"));
        Ok::<_, String>(memory.read::<u32>(at[2], 256).unwrap())
    };
    let got = run("row.col.f32.f16.f16.f32").unwrap();
    for (lane, i) in (0..32).flat_map(|lane| (0..8).map(move |i| (lane, i))) {
        let (quad, row, column) = (place(lane, i) / 64, place(lane, i) / 8 % 8, place(lane, i) % 8);
        let products = (0..4).map(|k| a[quad * 32 + row * 4 + k] * b[quad * 32 + k * 8 + column]);
        let want = c[place(lane, i)] + products.sum::<i32>();
        assert_eq!(got[lane * 8 + i], (want as f32).to_bits(), "lane {lane}, value {i}");
    }
    for other in ["col.row.f32.f16.f16.f32", "row.row.f32.f16.f16.f32", "row.col.f32.bf16.bf16.f32"] {
        run(other).unwrap_err();
    }
}

/// Writes an 8 × 8 matrix of 16-bit numbers with `stmatrix` and reads it with `ldmatrix`, either transposed.
#[test]
fn matrices_to_and_from_shared_memory() {
    let run = |store: &str, load: &str| {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.entry e(.param .u64 p) {{
            .reg .b32 %r<8>; .reg .b64 %rd<4>; .shared .align 16 .b8 t[128];
            ld.param.u64 %rd1, [p]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
            ld.global.u32 %r2, [%rd1]; mov.u32 %r3, t; and.b32 %r4, %r1, 7; shl.b32 %r4, %r4, 4; add.s32 %r3, %r3, %r4;
            stmatrix.sync.aligned.m8n8.x1{store}.shared.b16 [%r3], {{%r2}};
            bar.warp.sync -1;
            ldmatrix.sync.aligned.m8n8.x1{load}.shared.b16 {{%r5}}, [%r3];
            st.global.u32 [%rd1], %r5; ret; }}"
        );
        let entry = Module::parse(&text).unwrap().entry("e").unwrap();
        let mut memory = Memory::new();
        let words: Vec<u32> = (0..32).map(|lane| (2 * lane + 1) * 65536 + 2 * lane).collect();
        let at = memory.alloc_from(&words);
        Launch::default()
            .run(&entry, &mut memory, &Params::new().u64(at).bytes())
            .unwrap_or_else(|e| panic!("{e}"));
        memory.read::<u16>(at, 64).unwrap()
    };
    let same: Vec<u16> = (0..64).collect();
    let turned: Vec<u16> = (0..64).map(|i| i % 8 * 8 + i / 8).collect();
    assert_eq!(run("", ""), same);
    assert_eq!(run(".trans", ".trans"), same);
    assert_eq!(run("", ".trans"), turned);
    assert_eq!(run(".trans", ""), turned);
}

/// `shfl`, `vote`, `match`, `redux`: one result per lane.
#[test]
fn what_lanes_do_together() {
    let run = |body: &str| {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.entry e(.param .u64 p) {{
            .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p<4>;
            ld.param.u64 %rd1, [p]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
            {body}
            st.global.u32 [%rd1], %r2; ret; }}"
        );
        let entry = Module::parse(&text).unwrap().entry("e").unwrap_or_else(|e| panic!("{e}"));
        let mut memory = Memory::new();
        let at = memory.alloc(128);
        Launch::default()
            .run(&entry, &mut memory, &Params::new().u64(at).bytes())
            .unwrap_or_else(|e| panic!("{e}"));
        memory.read::<u32>(at, 32).unwrap()
    };
    let lanes = |f: fn(u32) -> u32| (0..32).map(f).collect::<Vec<u32>>();
    assert_eq!(run("shfl.sync.bfly.b32 %r2, %r1, 5, 31, -1;"), lanes(|i| i ^ 5));
    assert_eq!(run("shfl.sync.down.b32 %r2, %r1, 4, 31, -1;"), lanes(|i| if i + 4 < 32 { i + 4 } else { i }));
    assert_eq!(run("shfl.sync.up.b32 %r2, %r1, 4, 0, -1;"), lanes(|i| if i >= 4 { i - 4 } else { i }));
    assert_eq!(run("shfl.sync.idx.b32 %r2, %r1, 3, 31, -1;"), lanes(|_| 3));
    // Segments of eight lanes.
    assert_eq!(run("shfl.sync.idx.b32 %r2, %r1, 3, 0x181f, -1;"), lanes(|i| i / 8 * 8 + 3));
    assert_eq!(
        run("shfl.sync.down.b32 %r2|%p1, %r1, 4, 0x181f, -1; selp.b32 %r2, %r2, 99, %p1;"),
        lanes(|i| if i % 8 < 4 { i + 4 } else { 99 })
    );
    assert_eq!(run("setp.lt.u32 %p1, %r1, 5; vote.sync.ballot.b32 %r2, %p1, -1;"), lanes(|_| 31));
    assert_eq!(
        run("setp.lt.u32 %p1, %r1, 5; vote.sync.any.pred %p2, %p1, -1; selp.b32 %r2, 1, 0, %p2;"),
        lanes(|_| 1)
    );
    assert_eq!(
        run("setp.lt.u32 %p1, %r1, 5; vote.sync.all.pred %p2, %p1, -1; selp.b32 %r2, 1, 0, %p2;"),
        lanes(|_| 0)
    );
    assert_eq!(
        run("and.b32 %r3, %r1, 1; match.any.sync.b32 %r2, %r3, -1;"),
        lanes(|i| if i % 2 == 0 { 0x5555_5555 } else { 0xaaaa_aaaa })
    );
    assert_eq!(run("redux.sync.add.u32 %r2, %r1, -1;"), lanes(|_| 496));
    assert_eq!(run("redux.sync.max.s32 %r2, %r1, -1;"), lanes(|_| 31));
    assert_eq!(run("elect.sync %r2|%p1, -1; selp.b32 %r2, 1, 0, %p1;"), lanes(|i| (i == 0) as u32));
    // Half the warp diverges and comes back.
    assert_eq!(
        run("setp.lt.u32 %p1, %r1, 16; mov.u32 %r3, 7; @%p1 bra LOW; mov.u32 %r3, 9; LOW: shfl.sync.bfly.b32 %r2, %r3, 16, 31, -1;"),
        lanes(|i| if i < 16 { 9 } else { 7 })
    );
    assert_eq!(run("setp.lt.u32 %p1, %r1, 5; bar.red.popc.u32 %r2, 0, %p1;"), lanes(|_| 5));
}
