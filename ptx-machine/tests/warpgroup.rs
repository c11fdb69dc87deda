//! `wgmma` against plain products: types, swizzles, transposed factors. Where
//! values lie in shared memory is written here as the canonical layouts' shapes and strides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::{bf16, f16};
use ptx_machine::{Fault, Launch, Memory, Module, Params};

#[derive(Clone, Copy)]
struct Case {
    types: &'static str,
    bytes: usize,
    k: usize,
    encode: fn(i32) -> u32,
    /// Bytes of a swizzled row; 16 for none.
    row: usize,
    /// Whether each factor's major dimension is M or N.
    transposed: [bool; 2],
    integer: bool,
}

const N: usize = 16;

fn half16(x: i32) -> u32 {
    f16::from_f32(x as f32).to_bits() as u32
}

fn brain(x: i32) -> u32 {
    bf16::from_f32(x as f32).to_bits() as u32
}

/// Offset of a value before swizzling, leading and stride byte offsets. `m` rows (or columns) by 2 units
/// of 16 bytes along k; `t` values per unit.
fn canonical(case: &Case, transposed: bool, m: usize, mn: usize, k: usize) -> (usize, usize, usize) {
    let t = 16 / case.bytes;
    let unit = 16;
    match (transposed, case.row) {
        // ((8,m),(T,2)) : ((1T,SBO),(1,LBO))
        (false, 16) => {
            let (sbo, lbo) = (128, 128 * m / 8);
            (mn % 8 * unit + mn / 8 * sbo + k % t * case.bytes + k / t * lbo, lbo, sbo)
        }
        // ((8,m),(T,2)) : ((rT,SBO),(1,T)) with r units to a row
        (false, row) => (mn % 8 * row + mn / 8 * 8 * row + k * case.bytes, 16, 8 * row),
        // ((T,1,m),(8,k)) : ((1,T,SBO),(1T,LBO))
        (true, 16) => {
            let (sbo, lbo) = (128, 128 * m * case.bytes / 16);
            (mn % t * case.bytes + mn / t * sbo + k % 8 * unit + k / 8 * lbo, lbo, sbo)
        }
        // ((T,r,m),(8,k)) : ((1,T,LBO),(rT,SBO))
        (true, row) => {
            let per = row / case.bytes;
            let lbo = row * 8 * 2;
            (mn % per * case.bytes + mn / per * lbo + k % 8 * row + k / 8 * row * 8, lbo, row * 8)
        }
    }
}

/// Lays a factor out; its descriptor without the address.
fn lay_out(case: &Case, transposed: bool, values: &[i32], rows: usize, image: &mut [u8], at: usize) -> u64 {
    let (mut lbo, mut sbo) = (0, 0);
    for mn in 0..rows {
        for k in 0..case.k {
            let (offset, l, s) = canonical(case, transposed, rows, mn, k);
            (lbo, sbo) = (l, s);
            let mut to = at + offset;
            to ^= (to / 128 % (case.row / 16)) << 4;
            let word = (case.encode)(values[mn * case.k + k]).to_le_bytes();
            image[to..to + case.bytes].copy_from_slice(&word[..case.bytes]);
        }
    }
    let mode = match case.row {
        128 => 1u64,
        64 => 2,
        32 => 3,
        _ => 0,
    };
    (at as u64 >> 4) | (lbo as u64 >> 4) << 16 | (sbo as u64 >> 4) << 32 | mode << 62
}

fn noise(n: usize, seed: u32) -> Vec<i32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 24) as i32 % 9 - 4
        })
        .collect()
}

fn run(case: &Case, edit: impl Fn(String) -> String) -> Result<(), Box<Fault>> {
    let (a, b) = (noise(64 * case.k, 1), noise(N * case.k, 2));
    let mut image = vec![0u8; 16384];
    let da = lay_out(case, case.transposed[0], &a, 64, &mut image, 0);
    let db = lay_out(case, case.transposed[1], &b, N, &mut image, 8192);
    let flags = match (case.integer, case.bytes) {
        (true, _) => "1".to_string(),
        (_, 2) => format!("1, 1, 1, {}, {}", case.transposed[0] as u32, case.transposed[1] as u32),
        _ => "1, 1, 1".to_string(),
    };
    let sums = "{%d0,%d1,%d2,%d3,%d4,%d5,%d6,%d7}";
    let zero: String = (0..8).map(|i| format!("mov.b32 %d{i}, 0; ")).collect();
    let store: String = (0..8).map(|i| format!("st.global.b32 [%rd2+{}], %d{i}; ", 4 * i)).collect();
    let text = edit(format!(
        ".version 8.0\n.target sm_90a\n.address_size 64\n.entry e(.param .u64 image, .param .u64 out, .param .u64 a, .param .u64 b) {{
        .shared .align 1024 .b8 t[16384]; .reg .b32 %r<8>; .reg .b32 %d<8>; .reg .b64 %rd<8>; .reg .pred %p;
        ld.param.u64 %rd1, [image]; ld.param.u64 %rd2, [out]; ld.param.u64 %rd3, [a]; ld.param.u64 %rd4, [b];
        mov.u32 %r1, %tid.x; mul.wide.u32 %rd5, %r1, 4; add.s64 %rd1, %rd1, %rd5; mov.u32 %r2, t;
        shl.b32 %r3, %r1, 2; add.s32 %r2, %r2, %r3; mov.u32 %r4, 0;
        FILL: ld.global.b32 %r5, [%rd1]; st.shared.b32 [%r2], %r5;
        add.s64 %rd1, %rd1, 512; add.s32 %r2, %r2, 512; add.s32 %r4, %r4, 512; setp.lt.u32 %p, %r4, 16384; @%p bra FILL;
        fence.proxy.async.shared::cta; bar.sync 0;
        {zero} wgmma.fence.sync.aligned;
        wgmma.mma_async.sync.aligned.m64n{N}k{}.{} {sums}, %rd3, %rd4, {flags};
        wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;
        shl.b32 %r3, %r1, 5; cvt.u64.u32 %rd5, %r3; add.s64 %rd2, %rd2, %rd5; {store} ret; }}",
        case.k, case.types
    ));
    let entry = Module::parse(&text).unwrap().entry("e").unwrap_or_else(|e| panic!("{e}"));
    let mut memory = Memory::new();
    let (image, out) = (memory.alloc_from(&image), memory.alloc(64 * N * 4));
    let params = Params::new().u64(image).u64(out).u64(da).u64(db).bytes();
    Launch { block: [128, 1, 1], ..Launch::default() }.run(&entry, &mut memory, &params)?;
    let got = memory.read::<u32>(out, 64 * N).unwrap();
    for i in 0..64 {
        for j in 0..N {
            let thread = i / 16 * 32 + i % 8 * 4 + j % 8 / 2;
            let register = j / 8 * 4 + i % 16 / 8 * 2 + j % 2;
            let want: i32 = (0..case.k).map(|k| a[i * case.k + k] * b[j * case.k + k]).sum();
            let want = if case.integer { want as u32 } else { (want as f32).to_bits() };
            assert_eq!(got[thread * 8 + register], want, "{} row {} at {i},{j}", case.types, case.row);
        }
    }
    Ok(())
}

const F16: Case = Case {
    types: "f32.f16.f16",
    bytes: 2,
    k: 16,
    encode: half16,
    row: 128,
    transposed: [false, false],
    integer: false,
};

#[test]
fn types_and_layouts() {
    for row in [16, 32, 64, 128] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            // A factor of 16 columns fills only 32 bytes of a longer transposed row: that is fine.
            run(&Case { row, transposed, ..F16 }, |t| t)
                .unwrap_or_else(|e| panic!("{row} {transposed:?}: {e}"));
        }
        run(&Case { row, types: "f32.bf16.bf16", encode: brain, ..F16 }, |t| t).unwrap();
        let tf32 =
            Case { row, types: "f32.tf32.tf32", bytes: 4, k: 8, encode: |x| (x as f32).to_bits(), ..F16 };
        run(&tf32, |t| t).unwrap();
        let bytes =
            Case { row, types: "s32.s8.s8", bytes: 1, k: 32, encode: |x| x as u32, integer: true, ..F16 };
        run(&bytes, |t| t).unwrap();
    }
}

#[test]
fn missing_fences_and_waits() {
    for (from, to, what) in [
        ("wgmma.fence.sync.aligned;", "", "since the last wgmma.fence"),
        ("fence.proxy.async.shared::cta;", "", "no fence.proxy.async"),
        ("bar.sync 0;", "", "shared byte"),
        ("wgmma.wait_group.sync.aligned 0;", "", "was not waited for"),
        ("wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 1;", "was not waited for"),
    ] {
        let fault = run(&F16, |t| t.replace(from, to)).unwrap_err();
        assert!(fault.what.contains(what), "{from}: {fault}");
    }
}
