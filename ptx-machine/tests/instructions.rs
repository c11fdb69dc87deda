//! Instruction by instruction against tables worked out from the PTX manual: one row of lanes each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::{bf16, f16};
use ptx_machine::{Launch, Memory, Module, Params};

/// Runs `instruction d, a, b, …;` with `d` and the sources in registers of the given widths; one lane per
/// column of `sources`. A width of 1 is a predicate.
fn run(instruction: &str, width: u32, sources: &[(u32, Vec<u64>)]) -> Vec<u64> {
    let lanes = sources[0].1.len();
    assert!(lanes <= 32);
    let mut body = String::new();
    let mut memory = Memory::new();
    let mut params = Params::new();
    let mut args = Vec::new();
    for (i, (bits, values)) in sources.iter().enumerate() {
        let mut all = values.clone();
        all.resize(32, values[0]);
        params = params.u64(memory.alloc_from(&all));
        body += &format!(
            ".reg .b64 %a{i}; .reg .b{0} %s{i}; ld.param.u64 %a{i}, [p{i}]; add.s64 %a{i}, %a{i}, %o; ld.global.b{0} %s{i}, [%a{i}];\n",
            (*bits).max(16)
        );
        if *bits == 1 {
            body += &format!(".reg .pred %q{i}; setp.ne.b16 %q{i}, %s{i}, 0;\n");
            args.push(format!("%q{i}"));
        } else {
            args.push(format!("%s{i}"));
        }
    }
    let out = memory.alloc(256);
    params = params.u64(out);
    let n = sources.len();
    let (declare, store) = match width {
        1 => (".reg .pred %d;".into(), "selp.b32 %w, 1, 0, %d; st.global.b32 [%out], %w;".into()),
        _ => (format!(".reg .b{width} %d;"), format!("st.global.b{width} [%out], %d;")),
    };
    let list: String = (0..=n).map(|i| format!(".param .u64 p{i}")).collect::<Vec<_>>().join(", ");
    let text = format!(
        ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry e({list}) {{
        .reg .b32 %w; .reg .b64 %o; .reg .b64 %out; {declare}
        mov.u32 %w, %laneid; mul.wide.u32 %o, %w, 8;
        {body}
        {instruction} %d, {};
        ld.param.u64 %out, [p{n}]; add.s64 %out, %out, %o;
        {store}
        ret; }}",
        args.join(", ")
    );
    let entry = Module::parse(&text).unwrap().entry("e").unwrap_or_else(|e| panic!("{e}\n{text}"));
    Launch::default().run(&entry, &mut memory, &params.bytes()).unwrap_or_else(|e| panic!("{e}"));
    let bytes = width.max(32) as usize / 8;
    let read = |i: u64| match if width == 1 { 4 } else { width as usize / 8 } {
        2 => memory.read::<u16>(out + i * 8, 1).unwrap()[0] as u64,
        4 => memory.read::<u32>(out + i * 8, 1).unwrap()[0] as u64,
        _ => memory.read::<u64>(out + i * 8, 1).unwrap()[0],
    };
    assert!(bytes <= 8);
    (0..lanes as u64).map(read).collect()
}

/// Checks a table of rows `(sources…, result)`.
fn table<const N: usize>(instruction: &str, width: u32, widths: [u32; N], rows: &[([u64; N], u64)]) {
    let sources: Vec<(u32, Vec<u64>)> =
        (0..N).map(|i| (widths[i], rows.iter().map(|r| r.0[i]).collect())).collect();
    let got = run(instruction, width, &sources);
    for ((sources, want), got) in rows.iter().zip(got) {
        assert_eq!(got, *want, "{instruction} of {sources:x?}: {got:#x} instead of {want:#x}");
    }
}

fn f(x: f32) -> u64 {
    x.to_bits() as u64
}

fn h(x: f32) -> u64 {
    f16::from_f32(x).to_bits() as u64
}

fn b(x: f32) -> u64 {
    bf16::from_f32(x).to_bits() as u64
}

const NAN: u64 = 0x7fff_ffff;
const M1: u64 = 0xffff_ffff;

#[test]
fn integers_wrap_and_saturate() {
    table("add.s32", 32, [32, 32], &[([1, M1], 0), ([0x7fff_ffff, 1], 0x8000_0000)]);
    table("add.sat.s32", 32, [32, 32], &[([0x7fff_ffff, 1], 0x7fff_ffff), ([0x8000_0000, M1], 0x8000_0000)]);
    table("sub.u64", 64, [64, 64], &[([0, 1], u64::MAX)]);
    table("mul.lo.s32", 32, [32, 32], &[([0x10000, 0x10000], 0), ([M1, 7], 0xffff_fff9)]);
    table("mul.hi.s32", 32, [32, 32], &[([M1, M1], 0), ([0x8000_0000, 2], M1)]);
    table("mul.hi.u32", 32, [32, 32], &[([M1, M1], 0xffff_fffe)]);
    table("mul.hi.u64", 64, [64, 64], &[([u64::MAX, u64::MAX], u64::MAX - 1)]);
    table("mul.hi.s64", 64, [64, 64], &[([u64::MAX, u64::MAX], 0), ([1 << 63, 2], u64::MAX)]);
    table("mul.wide.s32", 64, [32, 32], &[([M1, M1], 1), ([M1, 2], (-2i64) as u64)]);
    table("mul.wide.u16", 32, [16, 16], &[([0xffff, 0xffff], 0xfffe_0001)]);
    table("mul.wide.s16", 32, [16, 16], &[([0xffff, 2], 0xffff_fffe)]);
    table("mad.lo.s32", 32, [32, 32, 32], &[([3, M1, 5], 2)]);
    table("mad.wide.u32", 64, [32, 32, 64], &[([M1, M1, 1], 0xffff_fffe_0000_0002)]);
    table("mad.hi.u32", 32, [32, 32, 32], &[([M1, M1, 1], M1)]);
    table("mul24.lo.u32", 32, [32, 32], &[([0xff00_0003, 5], 15)]);
    table("sad.s32", 32, [32, 32, 32], &[([M1, 2, 10], 13), ([5, 3, 0], 2)]);
    table("abs.s32", 32, [32], &[([M1], 1), ([0x8000_0000], 0x8000_0000)]);
    table("neg.s64", 64, [64], &[([1], u64::MAX)]);
    table("min.s32", 32, [32, 32], &[([M1, 1], M1)]);
    table("min.u32", 32, [32, 32], &[([M1, 1], 1)]);
    table("max.s16", 16, [16, 16], &[([0xffff, 1], 1)]);
    table("max.u16", 16, [16, 16], &[([0xffff, 1], 0xffff)]);
    table(
        "dp4a.s32.s32",
        32,
        [32, 32, 32],
        &[([0x01ff_0280, 0x0203_0401, 10], (10 + 2 - 3 + 8 - 128i32) as u32 as u64)],
    );
    table("dp4a.u32.u32", 32, [32, 32, 32], &[([M1, M1, 0], 4 * 255 * 255)]);
}

#[test]
fn divisions() {
    let minus = |x: i32| x as u32 as u64;
    table(
        "div.s32",
        32,
        [32, 32],
        &[([minus(-7), 2], minus(-3)), ([5, 0], M1), ([0x8000_0000, M1], 0x8000_0000)],
    );
    table("rem.s32", 32, [32, 32], &[([minus(-7), 2], M1), ([7, minus(-2)], 1)]);
    table("div.u32", 32, [32, 32], &[([M1, 2], 0x7fff_ffff)]);
    table("rem.u64", 64, [64, 64], &[([100, 7], 2)]);
    table("div.u64", 64, [64, 64], &[([u64::MAX, 10], u64::MAX / 10)]);
}

#[test]
fn shifts_beyond_the_width() {
    table("shl.b32", 32, [32, 32], &[([1, 31], 0x8000_0000), ([1, 32], 0), ([1, M1], 0)]);
    table("shr.u32", 32, [32, 32], &[([M1, 31], 1), ([M1, 32], 0)]);
    table("shr.s32", 32, [32, 32], &[([0x8000_0000, 4], 0xf800_0000), ([0x8000_0000, 99], M1), ([1, 99], 0)]);
    table("shr.s64", 64, [64, 32], &[([1 << 63, 63], u64::MAX), ([1 << 63, 200], u64::MAX)]);
    table("shl.b64", 64, [64, 32], &[([1, 63], 1 << 63), ([1, 64], 0)]);
    table("shr.b16", 16, [16, 32], &[([0x8000, 15], 1), ([0x8000, 16], 0)]);
    table("shf.l.wrap.b32", 32, [32, 32, 32], &[([0x8000_0000, 1, 1], 3), ([5, 7, 32], 7)]);
    table("shf.l.clamp.b32", 32, [32, 32, 32], &[([0x8000_0000, 1, 1], 3), ([5, 7, 40], 5)]);
    table("shf.r.wrap.b32", 32, [32, 32, 32], &[([2, 1, 1], 0x8000_0001), ([5, 7, 32], 5)]);
    table("shf.r.clamp.b32", 32, [32, 32, 32], &[([2, 1, 1], 0x8000_0001), ([5, 7, 40], 7)]);
}

#[test]
fn fields_and_bytes() {
    table("bfe.u32", 32, [32, 32, 32], &[([0xabcd_1234, 8, 8], 0x12), ([M1, 28, 8], 0xf), ([M1, 4, 0], 0)]);
    table(
        "bfe.s32",
        32,
        [32, 32, 32],
        &[([0x0000_0f00, 8, 4], M1), ([0x8000_0000, 28, 16], 0xffff_fff8), ([7, 0, 0], 0)],
    );
    table("bfe.u64", 64, [64, 32, 32], &[([u64::MAX, 60, 8], 0xf)]);
    table(
        "bfi.b32",
        32,
        [32, 32, 32, 32],
        &[
            ([0xff, 0, 4, 4], 0xf0),
            ([1, M1, 8, 8], 0xffff_01ff),
            ([M1, 5, 0, 0], 5),
            ([M1, 0, 28, 32], 0xf000_0000),
        ],
    );
    table("bfi.b64", 64, [64, 64, 32, 32], &[([5, 0, 40, 8], 5 << 40)]);
    table(
        "lop3.b32",
        32,
        [32, 32, 32, 32],
        &[
            ([0xf0, 0xcc, 0xaa, 0x80], 0x80),
            ([0xf0, 0xcc, 0xaa, 0x96], 0x96),
            ([0xf0, 0xcc, 0xaa, 0xfe], 0xfe),
        ],
    );
    table(
        "prmt.b32",
        32,
        [32, 32, 32],
        &[
            ([0x3322_1100, 0x7766_5544, 0x7531], 0x7755_3311),
            ([0x3322_1180, 0, 0x8888], M1),
            ([0x3322_1100, 0x7766_5544, 0x5410], 0x5544_1100),
        ],
    );
    table("prmt.b32.f4e", 32, [32, 32, 32], &[([0x3322_1100, 0x7766_5544, 1], 0x4433_2211)]);
    table("prmt.b32.rc16", 32, [32, 32, 32], &[([0x3322_1100, 0, 1], 0x3322_3322)]);
    table("popc.b64", 32, [64], &[([u64::MAX], 64)]);
    table("clz.b32", 32, [32], &[([0], 32), ([1], 31)]);
    table("brev.b32", 32, [32], &[([1], 0x8000_0000)]);
    table("bfind.u32", 32, [32], &[([0], M1), ([0x10], 4)]);
    table("bfind.s32", 32, [32], &[([M1], M1), ([0xffff_ffef], 4)]);
    table("bfind.shiftamt.u32", 32, [32], &[([0x10], 27)]);
    table("not.b16", 16, [16], &[([0xff00], 0xff)]);
    table("cnot.b32", 32, [32], &[([0], 1), ([5], 0)]);
}

#[test]
fn floats_round_as_told() {
    let third = 1.0f32 / 3.0;
    table(
        "div.rn.f32",
        32,
        [32, 32],
        &[([f(1.0), f(3.0)], f(third)), ([f(1.0), 0], f(f32::INFINITY)), ([0, 0], NAN)],
    );
    table(
        "div.rz.f32",
        32,
        [32, 32],
        &[([f(1.0), f(3.0)], f(third.next_down())), ([f(-1.0), f(3.0)], f(-third.next_down()))],
    );
    table(
        "div.rp.f32",
        32,
        [32, 32],
        &[([f(-1.0), f(3.0)], f(-third.next_down())), ([f(1.0), f(3.0)], f(third))],
    );
    let tiny = 1e-20f32;
    table("add.rn.f32", 32, [32, 32], &[([f(1.0), f(tiny)], f(1.0))]);
    table(
        "add.rp.f32",
        32,
        [32, 32],
        &[([f(1.0), f(tiny)], f(1.0f32.next_up())), ([f(1.0), f(-tiny)], f(1.0))],
    );
    table(
        "add.rz.f32",
        32,
        [32, 32],
        &[([f(1.0), f(-tiny)], f(1.0f32.next_down())), ([f(-1.0), f(tiny)], f(-(1.0f32.next_down())))],
    );
    table("sub.rm.f32", 32, [32, 32], &[([f(1.0), f(tiny)], f(1.0f32.next_down()))]);
    table(
        "mul.rz.f32",
        32,
        [32, 32],
        &[([f(1.0f32.next_up()), f(1.0f32.next_up())], f(1.0 + 2.0 * f32::EPSILON))],
    );
    table(
        "fma.rn.f32",
        32,
        [32, 32, 32],
        &[([f(1.0 + f32::EPSILON), f(1.0 - f32::EPSILON), f(-1.0)], f(-f32::EPSILON * f32::EPSILON))],
    );
    table("fma.rm.f32", 32, [32, 32, 32], &[([f(1.0), f(1.0), f(-tiny)], f(1.0f32.next_down()))]);
    table("sqrt.rn.f32", 32, [32], &[([f(2.0)], f(2.0f32.sqrt())), ([f(-1.0)], NAN)]);
    table("rcp.rn.f32", 32, [32], &[([f(0.0)], f(f32::INFINITY)), ([f(-4.0)], f(-0.25))]);
    table("ex2.approx.f32", 32, [32], &[([f(3.0)], f(8.0)), ([f(f32::NEG_INFINITY)], 0)]);
    table("lg2.approx.f32", 32, [32], &[([f(8.0)], f(3.0)), ([0], f(f32::NEG_INFINITY))]);
    table("rsqrt.approx.f32", 32, [32], &[([f(4.0)], f(0.5)), ([0], f(f32::INFINITY))]);
    table("add.sat.f32", 32, [32, 32], &[([f(0.7), f(0.7)], f(1.0)), ([f(-1.0), 0], 0), ([NAN, 0], 0)]);
    table("add.ftz.f32", 32, [32, 32], &[([1, 1], 0), ([0x8000_0001, 0x8000_0001], 0x8000_0000)]);
    table("neg.f32", 32, [32], &[([f(0.0)], f(-0.0))]);
    table("abs.f32", 32, [32], &[([f(-2.0)], f(2.0))]);
    table("copysign.f32", 32, [32, 32], &[([f(-1.0), f(3.0)], f(-3.0))]);
    table("add.f64", 64, [64, 64], &[([0.1f64.to_bits(), 0.2f64.to_bits()], (0.1f64 + 0.2).to_bits())]);
    table(
        "fma.rn.f64",
        64,
        [64, 64, 64],
        &[([3f64.to_bits(), 4f64.to_bits(), 5f64.to_bits()], 17f64.to_bits())],
    );
}

#[test]
fn extremes_and_nan() {
    table(
        "max.f32",
        32,
        [32, 32],
        &[([NAN, f(1.0)], f(1.0)), ([f(-0.0), f(0.0)], f(0.0)), ([NAN, NAN], NAN)],
    );
    table("min.f32", 32, [32, 32], &[([f(1.0), NAN], f(1.0)), ([f(0.0), f(-0.0)], f(-0.0))]);
    table("max.NaN.f32", 32, [32, 32], &[([NAN, f(1.0)], NAN)]);
    table("min.NaN.f32", 32, [32, 32], &[([f(2.0), f(1.0)], f(1.0)), ([f(1.0), NAN], NAN)]);
    table("max.f16", 16, [16, 16], &[([0x7e00, h(1.0)], h(1.0)), ([h(-0.0), h(0.0)], 0)]);
    table("min.NaN.f16", 16, [16, 16], &[([0x7e00, h(1.0)], 0x7fff)]);
    table(
        "max.bf16x2",
        32,
        [32, 32],
        &[([b(1.0) << 16 | b(-3.0), b(2.0) << 16 | b(-4.0)], b(2.0) << 16 | b(-3.0))],
    );
}

#[test]
fn halves() {
    table("add.f16", 16, [16, 16], &[([h(1.0), h(0.0004)], h(1.0)), ([h(65504.0), h(65504.0)], 0x7c00)]);
    table(
        "mul.f16x2",
        32,
        [32, 32],
        &[([h(2.0) << 16 | h(3.0), h(4.0) << 16 | h(5.0)], h(8.0) << 16 | h(15.0))],
    );
    table("sub.rn.bf16", 16, [16, 16], &[([b(1.0), b(3.0)], b(-2.0))]);
    // 1 + 2^-11 is halfway between 1 and its neighbour; the least bit more tips it.
    table(
        "fma.rn.f16",
        16,
        [16, 16, 16],
        &[([h(1.0), h(2f32.powi(-11)), h(1.0)], h(1.0)), ([0x3c01, h(2f32.powi(-11)), h(1.0)], 0x3c01)],
    );
    table("fma.rn.relu.f16", 16, [16, 16, 16], &[([h(1.0), h(-2.0), h(1.0)], 0)]);
    table("fma.rn.sat.f16", 16, [16, 16, 16], &[([h(2.0), h(2.0), h(1.0)], h(1.0))]);
    table(
        "fma.rn.bf16x2",
        32,
        [32, 32, 32],
        &[([b(2.0) << 16 | b(1.0), b(3.0) << 16 | b(1.0), b(1.0) << 16 | b(1.0)], b(7.0) << 16 | b(2.0))],
    );
    table("neg.f16x2", 32, [32], &[([h(1.0) << 16 | h(-1.0)], h(-1.0) << 16 | h(1.0))]);
    table("abs.bf16", 16, [16], &[([b(-1.5)], b(1.5))]);
    table("ex2.approx.f16", 16, [16], &[([h(2.0)], h(4.0))]);
}

#[test]
fn conversions() {
    table(
        "cvt.rzi.s32.f32",
        32,
        [32],
        &[([f(-1.9)], M1), ([f(3e9)], 0x7fff_ffff), ([f(-3e9)], 0x8000_0000), ([NAN], 0)],
    );
    table("cvt.rni.s32.f32", 32, [32], &[([f(2.5)], 2), ([f(3.5)], 4), ([f(-0.5)], 0)]);
    table("cvt.rmi.s32.f32", 32, [32], &[([f(-0.5)], M1)]);
    table("cvt.rpi.s32.f32", 32, [32], &[([f(0.1)], 1)]);
    table("cvt.rzi.u32.f32", 32, [32], &[([f(-5.0)], 0), ([f(4e9)], 4_000_000_000), ([f(1e20)], M1)]);
    table("cvt.rni.f32.f32", 32, [32], &[([f(2.5)], f(2.0)), ([f(-1.5)], f(-2.0))]);
    table("cvt.rn.f32.s32", 32, [32], &[([M1], f(-1.0)), ([16_777_217], f(16_777_216.0))]);
    table("cvt.rz.f32.s32", 32, [32], &[([16_777_219], f(16_777_218.0))]);
    table("cvt.rn.f32.u32", 32, [32], &[([M1], f(4_294_967_296.0))]);
    table("cvt.rn.f32.u16", 32, [16], &[([0xffff], f(65535.0))]);
    table("cvt.rn.f32.u64", 32, [64], &[([u64::MAX], f(18_446_744_073_709_551_616.0))]);
    table(
        "cvt.rn.f16.f32",
        16,
        [32],
        &[([f(1.0 + 2f32.powi(-11))], h(1.0)), ([f(70000.0)], 0x7c00), ([NAN], 0x7fff)],
    );
    table("cvt.rz.f16.f32", 16, [32], &[([f(70000.0)], 0x7bff), ([f(1.0009)], h(1.0))]);
    table("cvt.rn.relu.f16.f32", 16, [32], &[([f(-1.0)], 0), ([f(2.0)], h(2.0))]);
    table("cvt.f32.f16", 32, [16], &[([h(0.1)], f(f16::from_f32(0.1).to_f32())), ([1], f(2f32.powi(-24)))]);
    table(
        "cvt.rn.bf16.f32",
        16,
        [32],
        &[([f(1.0 + 2f32.powi(-8))], b(1.0)), ([f(1.0 + 3.0 * 2f32.powi(-8))], 0x3f82)],
    );
    table("cvt.f32.bf16", 32, [16], &[([b(3.0)], f(3.0))]);
    table("cvt.rn.f16x2.f32", 32, [32, 32], &[([f(1.0), f(2.0)], h(1.0) << 16 | h(2.0))]);
    table("cvt.rn.bf16x2.f32", 32, [32, 32], &[([f(1.0), f(-2.0)], b(1.0) << 16 | b(-2.0))]);
    table("cvt.rn.relu.bf16x2.f32", 32, [32, 32], &[([f(1.0), f(-2.0)], b(1.0) << 16)]);
    table("cvt.rz.bf16x2.f32", 32, [32, 32], &[([f(1.999), f(-1.999)], 0x3fff_bfff)]);
    table("cvt.rna.tf32.f32", 32, [32], &[([0x3f80_1000], 0x3f80_2000), ([0x3f80_0fff], 0x3f80_0000)]);
    table("cvt.s64.s32", 64, [32], &[([M1], u64::MAX)]);
    table("cvt.u64.u32", 64, [32], &[([M1], M1)]);
    table("cvt.u32.u64", 32, [64], &[([0x1_0000_0005], 5)]);
    table("cvt.s32.s8", 32, [32], &[([0x1ff], M1), ([0x7f], 0x7f)]);
    table("cvt.u32.u8", 32, [32], &[([0x1ff], 0xff)]);
    table("cvt.s8.s32", 32, [32], &[([0x80], 0xffff_ff80)]);
    table("cvt.sat.u8.s32", 32, [32], &[([M1], 0), ([300], 255)]);
    table("cvt.sat.f32.f32", 32, [32], &[([f(2.0)], f(1.0)), ([f(-2.0)], 0)]);
    table("cvt.rzi.u16.f32", 16, [32], &[([f(70000.0)], 0xffff)]);
    table("cvt.f64.f32", 64, [32], &[([f(0.1)], (0.1f32 as f64).to_bits())]);
    table("cvt.rn.f32.f64", 32, [64], &[([0.1f64.to_bits()], f(0.1))]);
    table("cvt.rp.f32.f64", 32, [64], &[([(1.0 + 1e-12f64).to_bits()], f(1.0f32.next_up()))]);
}

#[test]
fn comparisons() {
    table("setp.lt.s32", 1, [32, 32], &[([M1, 0], 1), ([0, M1], 0)]);
    table("setp.lo.u32", 1, [32, 32], &[([M1, 0], 0), ([0, M1], 1)]);
    table("setp.eq.f32", 1, [32, 32], &[([f(0.0), f(-0.0)], 1), ([NAN, NAN], 0)]);
    table("setp.neu.f32", 1, [32, 32], &[([NAN, NAN], 1), ([f(1.0), f(1.0)], 0)]);
    table("setp.ne.f32", 1, [32, 32], &[([NAN, f(1.0)], 0), ([f(2.0), f(1.0)], 1)]);
    table("setp.ltu.f32", 1, [32, 32], &[([NAN, f(1.0)], 1), ([f(2.0), f(1.0)], 0)]);
    table("setp.gt.f32", 1, [32, 32], &[([NAN, f(1.0)], 0), ([f(2.0), f(1.0)], 1)]);
    table("setp.num.f32", 1, [32, 32], &[([NAN, f(1.0)], 0), ([f(2.0), f(1.0)], 1)]);
    table("setp.nan.f16", 1, [16, 16], &[([0x7e00, h(1.0)], 1), ([h(1.0), h(1.0)], 0)]);
    table("setp.ge.u64", 1, [64, 64], &[([u64::MAX, 1], 1)]);
    table("setp.gt.s16", 1, [16, 16], &[([0xffff, 0], 0)]);
    table("setp.lt.and.s32", 1, [32, 32, 1], &[([1, 2, 1], 1), ([1, 2, 0], 0)]);
    table("set.lt.u32.s32", 32, [32, 32], &[([1, 2], M1), ([2, 1], 0)]);
    table("selp.b32", 32, [32, 32, 1], &[([5, 6, 1], 5), ([5, 6, 0], 6)]);
}

#[test]
fn what_is_not_understood_is_named() {
    let parse = |line: &str| {
        let text = format!(".version 8.0\n.target sm_80\n.address_size 64\n.entry e() {{ .reg .b32 %r<4>; .reg .f32 %f<4>;\n{line}\n ret; }}");
        Module::parse(&text).unwrap().entry("e").unwrap_err().to_string()
    };
    for (line, names) in [
        ("frobnicate.b32 %r1, %r2;", "frobnicate.b32"),
        ("add.cc.u32 %r1, %r2, %r3;", "cc"),
        ("add.s32 %r1, %r2;", "expected ','"),
        ("add.s32 %r1, %r2, %r9;", "%r9"),
        ("bra NOWHERE;", "NOWHERE"),
        ("call helper;", "call"),
        ("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%r1}, {%r1}, {%r1}, {%r1};", "m8n8k4"),
        ("ld.global.v3.f32 %f1, [%r1];", "v3"),
    ] {
        let message = parse(line);
        assert!(message.contains(names), "{message}");
        assert!(message.starts_with("PTX line 5"), "{message}");
    }
}
