//! Text that is broken in a thousand ways is refused or run, never a panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ptx_machine::{Launch, Memory, Module, Params};

fn survive(text: &str) {
    let Ok(module) = Module::parse(text) else { return };
    let names: Vec<String> = module.entries().map(String::from).collect();
    for name in names {
        let Ok(entry) = module.entry(&name) else { continue };
        if entry.param_bytes() > 4096 {
            continue;
        }
        let mut memory = Memory::new();
        let at = memory.alloc_from(&vec![1u32; 256]);
        let mut params = (0..4).fold(Params::new(), |p, _| p.u64(at)).bytes();
        params.resize(entry.param_bytes(), 3);
        let launch = Launch { block: [64, 1, 1], shared_bytes: 4096, budget: 2000, ..Launch::default() };
        let _ = launch.run(&entry, &mut memory, &params);
    }
}

#[test]
fn broken_text() {
    let sources = [
        include_str!("fixtures/small.ptx"),
        include_str!("fixtures/gemm_mma.ptx"),
        include_str!("fixtures/gemm_wgmma.ptx"),
    ];
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n.max(1)
    };
    let bits = [
        "{",
        "}",
        "[",
        "]",
        "-1",
        "0",
        ";",
        ",",
        "@",
        "%r1",
        "%p1",
        "0xffffffffffffffff",
        ".align",
        "4294967295",
        "é",
    ];
    for round in 0..300 {
        let mut lines: Vec<String> = sources[round % 3].lines().map(String::from).collect();
        for _ in 0..1 + random(4) {
            let i = random(lines.len());
            let words: Vec<&str> = lines[i].split(' ').collect();
            let at = random(words.len());
            let mut words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
            match random(4) {
                0 => words[at] = bits[random(bits.len())].into(),
                1 => words.insert(at, bits[random(bits.len())].into()),
                2 => drop(words.remove(at)),
                _ => {
                    let other = random(lines.len());
                    lines.swap(i, other);
                    continue;
                }
            }
            lines[i] = words.join(" ");
        }
        survive(&lines.join("\n"));
    }
}

#[test]
fn corners() {
    for text in [
        "",
        "{",
        ".entry",
        ".entry e(",
        ".entry e() {",
        ".entry e() { ld.param.u64 }",
        ".entry e() { .reg .b32 %r<99999999999>; }",
        ".global .align 0 .b8 x[4];",
        ".global .b64 x[18446744073709551615];",
        ".shared .align 3 .b8 x[4];",
        ".global .u32 x[2] = {1, {2, {3}}};",
        ".entry e() .maxntid 0, 0, 0 { ret; }",
        ".entry e() { .reg .b32 %r<2>; bar.sync 16; ret; }",
        ".entry e() { .reg .b32 %r<2>; bar.sync 0, 33; ret; }",
        ".entry e() { .local .align 8 .b8 d[67108864]; ret; }",
        "/* no end",
        "\"no end",
        ".entry e() { L: L: bra L; }",
        ".entry e() { .reg .b32 %r<2>; mov.b32 {%r0}, %r1; mov.b64 {%r0,%r0,%r0,%r0}, 5; }",
        ".entry e() { .reg .b32 %r<4>; mov.u32 %r0, 0; ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r0,%r1,%r2,%r3}, [%r0]; }",
        ".entry e() { .reg .b32 %r<2>; mov.u32 %r0, 1; shfl.sync.idx.b32 %r1, %r0, 0, 31, %r0; }",
    ] {
        survive(text);
    }
}
