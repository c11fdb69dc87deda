//! The CPU convolution against a plain loop in f64, on every instruction set of the machine.

use super::{Algorithm, Kept, Method, Operands, PackedConv};
use half::bf16;

use crate::cpu::isa::Isa;
use crate::cpu::pool::Pool;
use crate::cpu::scales::{weigh, Scales};
use crate::kernel::conv::{Activation, Conv2dParams, Epilogue, PadMode};
use crate::kernel::levels::Levels;
use crate::kernel::precision::Precision;

/// Marks elements that a convolution must leave alone.
const UNTOUCHED: f32 = 12345.5;

/// In f32.
fn method(algorithm: Algorithm, isa: Isa) -> Method {
    Method { algorithm, precision: Precision::F32, isa }
}

/// Deterministic numbers.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    fn below(&mut self, n: u32) -> u32 {
        self.bits() % n
    }

    fn one_of<const N: usize>(&mut self, from: [u32; N]) -> u32 {
        from[self.below(N as u32) as usize]
    }

    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.bits() as f32 / (1u32 << 30) as f32 - 1.0).collect()
    }
}

/// The tensors of one convolution.
struct Data {
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Vec<f32>,
    slope: Vec<f32>,
    residuals: [Vec<f32>; 2],
}

impl Data {
    fn new(p: &Conv2dParams, seed: u64) -> Self {
        let mut random = Random(seed);
        let c_out = p.c_out as usize;
        Self {
            x: random.floats(p.x_span()),
            w: random.floats(p.weight_len()),
            bias: random.floats(c_out),
            slope: random.floats(c_out),
            residuals: [random.floats(p.r_span(0)), random.floats(p.r_span(1))],
        }
    }

    fn operands(&self, y: *mut f32) -> Operands<'_> {
        let residuals = [self.residuals[0].as_ptr(), self.residuals[1].as_ptr()];
        let kept = Kept::NONE;
        Operands { x: self.x.as_ptr(), y, bias: &self.bias, slope: &self.slope, residuals, kept }
    }

    fn run(&self, algorithm: Algorithm, p: &Conv2dParams, isa: Isa, threads: usize) -> Vec<f32> {
        self.run_by(method(algorithm, isa), p, threads)
    }

    fn run_by(&self, method: Method, p: &Conv2dParams, threads: usize) -> Vec<f32> {
        self.run_with(method, p, threads, None)
    }

    fn run_with(
        &self,
        method: Method,
        p: &Conv2dParams,
        threads: usize,
        levels: Option<&Levels>,
    ) -> Vec<f32> {
        let conv = PackedConv::with_levels(method, p, &self.w, levels, &Pool::new(threads).unwrap()).unwrap();
        assert_eq!(conv.weights.len() + conv.scales.len(), PackedConv::form(method, p).unwrap().1);
        let mut scratch = vec![f32::NAN; PackedConv::scratch_len(method, p, threads).unwrap()];
        let mut y = vec![UNTOUCHED; p.y_span()];
        let operands = self.operands(y.as_mut_ptr());
        // SAFETY: the tensors have the spans of the parameters and are separate.
        unsafe { conv.run(p, &operands, &mut scratch, &Pool::new(threads).unwrap()).unwrap() };
        y
    }
}

/// The coordinate a tap reads along one axis, None where it is zero.
fn source(p: &Conv2dParams, axis: usize, out: usize, tap: usize) -> Option<usize> {
    let extent = [p.h_in, p.w_in][axis] as i64;
    let at = out as i64 * i64::from(p.stride[axis]) + tap as i64 * i64::from(p.dilation[axis])
        - i64::from(p.pad[axis]);
    let reflect = p.pad_mode == PadMode::Reflect as u32;
    let at = match at {
        _ if (0..extent).contains(&at) => at,
        _ if !reflect => return None,
        _ if at < 0 => -at,
        _ => 2 * extent - 2 - at,
    };
    Some(at as usize / p.upsample as usize)
}

/// Value and sum of magnitudes of one element of y, by the definition.
fn naive(p: &Conv2dParams, data: &Data, image: usize, o: usize, row: usize, column: usize) -> (f64, f64) {
    let per_group = (p.c_in / p.groups) as usize;
    let group = o / (p.c_out / p.groups) as usize;
    let [k_rows, k_columns] = [p.kernel[0] as usize, p.kernel[1] as usize];
    let width = (p.w_in / p.upsample) as usize;
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for i in 0..per_group {
        let plane = image * p.x_batch_stride as usize + (group * per_group + i) * p.x_plane();
        for k in 0..k_rows * k_columns {
            let at = (source(p, 0, row, k / k_columns), source(p, 1, column, k % k_columns));
            if let (Some(row), Some(column)) = at {
                let product = f64::from(data.x[plane + row * width + column])
                    * f64::from(data.w[(o * per_group + i) * k_rows * k_columns + k]);
                sum += product;
                magnitude += product.abs();
            }
        }
    }
    let e = &p.epilogue;
    let mut v = sum + if e.has_bias == 1 { f64::from(data.bias[o]) } else { 0.0 };
    v = match e.activation().unwrap() {
        Activation::None => v,
        Activation::Relu => v.max(0.0),
        Activation::LeakyRelu => v.max(0.0) + f64::from(e.slope) * v.min(0.0),
        Activation::PreluShared => v.max(0.0) + f64::from(data.slope[0]) * v.min(0.0),
        Activation::PreluChannel => v.max(0.0) + f64::from(data.slope[o]) * v.min(0.0),
        Activation::Sigmoid => 1.0 / (1.0 + (-v).exp()),
    };
    v *= f64::from(e.scale);
    for r in 0..e.residuals as usize {
        let at = image * p.r_batch_stride[r] as usize + o * p.y_plane() + row * p.w_out as usize + column;
        v += f64::from(e.residual_scale[r]) * f64::from(data.residuals[r][at]);
    }
    if e.rectified == 1 {
        v = v.max(0.0);
    }
    (v, magnitude + 2.0)
}

/// Largest error over the magnitudes of what is summed, in f32.
fn bound(algorithm: Algorithm) -> f64 {
    match algorithm {
        Algorithm::Direct => 4e-7,
        Algorithm::Winograd => 4e-6,
    }
}

/// Compares y with the definition; elements between images must be untouched.
fn compare(bound: f64, p: &Conv2dParams, data: &Data, y: &[f32], what: &str) {
    let plane = p.y_plane();
    let mut touched = vec![false; y.len()];
    for image in 0..p.batch as usize {
        for o in 0..p.c_out as usize {
            for pixel in 0..plane {
                let (row, column) = (pixel / p.w_out as usize, pixel % p.w_out as usize);
                let (expected, magnitude) = naive(p, data, image, o, row, column);
                let at = image * p.y_batch_stride as usize + o * plane + pixel;
                touched[at] = true;
                let error = (f64::from(y[at]) - expected).abs();
                assert!(
                    error <= bound * magnitude * f64::from(1.0 + p.epilogue.scale.abs()),
                    "{what}: {p:?} image {image} channel {o} row {row} column {column}: {} is {expected}",
                    y[at]
                );
            }
        }
    }
    let stray = touched.iter().zip(y).any(|(&touched, &v)| !touched && v != UNTOUCHED);
    assert!(!stray, "{what}: {p:?} wrote beyond its planes");
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// The algorithms that take a convolution.
fn algorithms(p: &Conv2dParams) -> impl Iterator<Item = Algorithm> + '_ {
    [Algorithm::Direct, Algorithm::Winograd].into_iter().filter(|a| a.fits(p))
}

/// The algorithms that take a convolution, on every instruction set.
fn kinds(p: &Conv2dParams) -> impl Iterator<Item = (Algorithm, Isa)> + '_ {
    algorithms(p).flat_map(|a| isas().map(move |isa| (a, isa)))
}

/// Runs a case by every algorithm, on every instruction set and on one to three threads.
fn check(p: &Conv2dParams, seed: u64) {
    p.check().unwrap();
    let data = Data::new(p, seed);
    for algorithm in algorithms(p) {
        let mut fused: Option<Vec<u32>> = None;
        for isa in isas() {
            let what = format!("{algorithm:?} {}", isa.name());
            let y = data.run(algorithm, p, isa, 1);
            compare(bound(algorithm), p, &data, &y, &what);
            for threads in [2, 3] {
                let again = data.run(algorithm, p, isa, threads);
                assert_eq!(bits(&again), bits(&y), "{what} on {threads} threads: {p:?}");
            }
            if isa != Isa::Portable {
                let first = fused.get_or_insert_with(|| bits(&y));
                assert_eq!(*first, bits(&y), "{what} differs from the best instruction set: {p:?}");
            }
        }
    }
}

/// With y's extents from PyTorch's formula and dense strides.
fn sized(mut p: Conv2dParams) -> Option<Conv2dParams> {
    let extent = |axis: usize, extent| {
        Conv2dParams::out_extent(extent, p.kernel[axis], p.stride[axis], p.dilation[axis], p.pad[axis] as u32)
    };
    (p.h_out, p.w_out) = (extent(0, p.h_in)?, extent(1, p.w_in)?);
    p.x_batch_stride = p.c_in as u64 * p.x_plane() as u64;
    p.y_batch_stride = p.c_out as u64 * p.y_plane() as u64;
    p.r_batch_stride = [p.y_batch_stride; 2];
    p.check().is_ok().then_some(p)
}

#[test]
fn sizes_around_the_vectors_and_tiles() {
    for (i, w) in [1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 40].into_iter().enumerate() {
        for (c_in, c_out) in [(1, 1), (3, 8), (5, 9), (17, 4)] {
            check(&Conv2dParams::same([1, c_in, 1 + i as u32, w], c_out, 3), i as u64);
        }
    }
    check(&Conv2dParams::same([1, 2, 3, 700], 3, 3), 1);
    check(&Conv2dParams::same([2, 70, 9, 20], 24, 1), 2);
    check(&Conv2dParams::same([1, 40, 40, 33], 33, 3), 3);
}

#[test]
fn more_channels_than_are_gathered_at_once_and_more_blocks_than_one() {
    check(&Conv2dParams::same([1, 4100, 3, 20], 9, 1), 1);
    let wide = Conv2dParams::same([2, 130, 20, 48], 7, 1);
    check(&Conv2dParams { stride: [2; 2], h_out: 10, w_out: 24, ..wide }, 2);
    check(&wide, 3);
}

#[test]
fn many_channels_and_small_kernels() {
    let mut random = Random(21);
    let mut done = 0;
    while done < 14 {
        let upsample = random.one_of([1, 1, 2]);
        let extent = |random: &mut Random, n| upsample * (1 + random.below(n / upsample));
        let base = Conv2dParams::same(
            [1 + random.below(2), 16 + random.below(25), extent(&mut random, 18), extent(&mut random, 70)],
            16 + random.below(25),
            3,
        );
        let pad = [random.below(3) as i32, random.below(3) as i32];
        let Some(mut p) = sized(Conv2dParams { upsample, pad, pad_mode: random.below(2), ..base }) else {
            continue;
        };
        p.epilogue = Epilogue {
            has_bias: random.below(2),
            act: random.below(6),
            slope: 0.2,
            residuals: random.below(3),
            residual_scale: [1.0, -0.25],
            rectified: random.below(2),
            ..Epilogue::NONE
        };
        check(&p, done);
        done += 1;
    }
    check(&Conv2dParams::same([1, 16, 5, 230], 150, 3), 1);
    check(&Conv2dParams::same([1, 140, 9, 33], 20, 3), 2);
}

#[test]
fn random_shapes() {
    let mut random = Random(7);
    let mut done = 0;
    while done < 80 {
        let groups = random.one_of([1, 1, 2, 3]);
        let upsample = random.one_of([1, 1, 1, 2, 3]);
        let base = Conv2dParams::same(
            [
                1 + random.below(3),
                groups * (1 + random.below(6)),
                upsample * (1 + random.below(20)),
                upsample * (1 + random.below(40 / upsample)),
            ],
            groups * (1 + random.below(10)),
            1,
        );
        let pair = |random: &mut Random, n| [1 + random.below(n), 1 + random.below(n)];
        let p = Conv2dParams {
            groups,
            upsample,
            kernel: pair(&mut random, 5),
            stride: pair(&mut random, 3),
            dilation: pair(&mut random, 3),
            pad: [random.below(4) as i32, random.below(4) as i32],
            pad_mode: random.below(2),
            ..base
        };
        let Some(mut p) = sized(p) else { continue };
        p.x_batch_stride += u64::from(random.below(9));
        p.y_batch_stride += u64::from(random.below(9));
        p.r_batch_stride = [p.y_batch_stride + u64::from(random.below(9)), p.y_batch_stride];
        p.epilogue = Epilogue {
            has_bias: random.below(2),
            act: random.below(6),
            slope: 0.2,
            scale: random.one_of([1, 2]) as f32 * 0.5,
            residuals: random.below(3),
            residual_scale: [1.0, -0.25],
            rectified: random.below(2),
        };
        check(&p, done);
        done += 1;
    }
}

#[test]
fn strides_dilations_and_patches() {
    let of = |h, w, kernel, stride, dilation, pad| Conv2dParams {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [dilation; 2],
        pad: [pad; 2],
        ..Conv2dParams::same([2, 3, h, w], 10, 1)
    };
    for p in [
        of(33, 35, 4, 2, 1, 1),
        of(20, 37, 3, 1, 6, 6),
        of(32, 48, 16, 16, 1, 0),
        of(9, 9, 1, 2, 1, 0),
        of(29, 31, 7, 4, 1, 3),
    ] {
        check(&sized(p).unwrap(), 11);
    }
    let depthwise = Conv2dParams { groups: 12, ..Conv2dParams::same([1, 12, 14, 21], 12, 7) };
    check(&depthwise, 12);
}

#[test]
fn a_dense_block_grows_in_its_own_slab() {
    let (h, w) = (18, 20);
    let plane = h * w;
    let pool = Pool::new(2).unwrap();
    let p = Conv2dParams {
        x_batch_stride: (96 * plane) as u64,
        y_batch_stride: (96 * plane) as u64,
        ..Conv2dParams::same([2, 64, h as u32, w as u32], 32, 3)
    };
    for (algorithm, isa) in kinds(&p) {
        let mut slab = vec![0.0; 2 * 96 * plane];
        let mut random = Random(3);
        for image in slab.chunks_exact_mut(96 * plane) {
            image[..64 * plane].copy_from_slice(&random.floats(64 * plane));
        }
        let mut data = Data::new(&p, 4);
        data.x = slab.clone();
        let mut scratch = vec![0.0; PackedConv::scratch_len(method(algorithm, isa), &p, 2).unwrap()];
        let conv = PackedConv::new(method(algorithm, isa), &p, &data.w).unwrap();
        let base = slab.as_mut_ptr();
        // SAFETY: y's channels 64..96 follow those of x in the same slab.
        unsafe {
            let operands = Operands { x: base, ..data.operands(base.add(64 * plane)) };
            conv.run(&p, &operands, &mut scratch, &pool).unwrap();
        }
        let separate = data.run(algorithm, &p, isa, 1);
        for image in 0..2 {
            let at = image * 96 * plane;
            assert_eq!(bits(&slab[at..at + 64 * plane]), bits(&data.x[at..at + 64 * plane]));
            assert_eq!(
                bits(&slab[at + 64 * plane..at + 96 * plane]),
                bits(&separate[at..at + 32 * plane]),
                "{}",
                isa.name()
            );
        }
    }
}

/// Convolutions of 40, 56 and 72 channels in one slab, of which 64 are kept: the first makes 40, the
/// second 16, the third finds 56, makes 8 and transforms 8 for itself.
#[test]
fn convolutions_that_share_transformed_channels_compute_the_same_bits() {
    const ROOM: usize = 64;
    for (h, w, threads) in [(18, 20, 1), (33, 70, 2), (9, 150, 3), (1, 1, 2)] {
        let plane = (h * w) as usize;
        let of = |c_in| Conv2dParams {
            x_batch_stride: (88 * plane) as u64,
            y_batch_stride: (88 * plane) as u64,
            ..Conv2dParams::same([2, c_in, h, w], 16, 3)
        };
        for isa in isas() {
            let winograd = method(Algorithm::Winograd, isa);
            let transform = |p| PackedConv::transform(winograd, &p, threads).unwrap().unwrap();
            assert_eq!(transform(of(40)).kind, transform(of(72)).kind);
            let mut kept = vec![f32::NAN; transform(of(40)).len(ROOM).unwrap() + 15];
            let aligned = kept.as_ptr().align_offset(64);
            let mut slab = Random(2).floats(2 * 88 * plane);
            let mut expected = slab.clone();
            let pool = Pool::new(threads).unwrap();
            for (made, c_in) in [(0, 40), (40, 56), (56, 72)] {
                let p = of(c_in);
                let data = Data::new(&p, u64::from(c_in));
                let conv = PackedConv::new(winograd, &p, &data.w).unwrap();
                let len = PackedConv::scratch_len(winograd, &p, threads).unwrap();
                for (slab, room) in [(&mut slab, ROOM), (&mut expected, 0)] {
                    let base = slab.as_mut_ptr();
                    // SAFETY: y's channels follow those of x in the same slab.
                    unsafe {
                        let y = base.add(c_in as usize * plane);
                        let kept = Kept { at: kept[aligned..].as_mut_ptr(), room, made: made.min(room) };
                        let operands = Operands { x: base, kept, ..data.operands(y) };
                        conv.run(&p, &operands, &mut vec![f32::NAN; len], &pool).unwrap();
                    }
                }
                assert_eq!(bits(&slab), bits(&expected), "{} {h}x{w}, {c_in} channels", isa.name());
            }
        }
    }
}

#[test]
fn a_residual_may_be_the_output() {
    let mut p = Conv2dParams::same([2, 16, 11, 13], 19, 3);
    p.epilogue = Epilogue { residuals: 1, residual_scale: [1.0, 0.0], scale: 0.2, ..Epilogue::NONE };
    for (algorithm, isa) in kinds(&p) {
        let data = Data::new(&p, 5);
        let expected = data.run(algorithm, &p, isa, 1);
        let mut y = data.residuals[0].clone();
        let mut scratch = vec![0.0; PackedConv::scratch_len(method(algorithm, isa), &p, 3).unwrap()];
        let conv = PackedConv::new(method(algorithm, isa), &p, &data.w).unwrap();
        let at = y.as_mut_ptr();
        let operands = Operands { residuals: [at, at], ..data.operands(at) };
        // SAFETY: the residual coincides with y.
        unsafe { conv.run(&p, &operands, &mut scratch, &Pool::new(3).unwrap()).unwrap() };
        assert_eq!(bits(&y), bits(&expected), "{}", isa.name());
    }
}

/// The rows and columns from (top, left) of each of `planes` planes.
fn crop(values: &[f32], width: usize, planes: usize, at: [usize; 2], size: [usize; 2]) -> Vec<f32> {
    let plane = values.len() / planes;
    let rows = |c: usize| (at[0]..at[0] + size[0]).map(move |r| c * plane + r * width + at[1]);
    (0..planes).flat_map(|c| rows(c).flat_map(|start| values[start..start + size[1]].to_vec())).collect()
}

#[test]
fn bits_do_not_depend_on_the_position_in_an_image() {
    let (c_in, c_out) = (37, 20);
    let whole = Conv2dParams::same([1, c_in, 48, 70], c_out, 3);
    for (algorithm, isa) in kinds(&whole) {
        let mut data = Data::new(&whole, 6);
        let y = data.run(algorithm, &whole, isa, 1);
        let x = data.x.clone();
        let crops = match algorithm {
            Algorithm::Direct => [([5, 7], [20, 32]), ([16, 1], [3, 65]), ([0, 40], [40, 9])],
            Algorithm::Winograd => [([3, 7], [20, 32]), ([15, 3], [4, 64]), ([3, 39], [40, 8])],
        };
        for (at, size) in crops {
            let with_halo = [size[0] + 2, size[1] + 2];
            let mut p = Conv2dParams::same([1, c_in, with_halo[0] as u32, with_halo[1] as u32], c_out, 3);
            (p.pad, p.h_out, p.w_out) = ([0, 0], size[0] as u32, size[1] as u32);
            data.x = crop(&x, 70, c_in as usize, at, with_halo);
            let expected = crop(&y, 70, c_out as usize, [at[0] + 1, at[1] + 1], size);
            let cut = data.run(algorithm, &sized(p).unwrap(), isa, 2);
            assert_eq!(bits(&cut), bits(&expected), "{algorithm:?} {} {at:?}", isa.name());
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_batch() {
    let one = Conv2dParams::same([1, 20, 16, 16], 18, 3);
    let many = Conv2dParams { batch: 5, ..one };
    for (algorithm, isa) in kinds(&one) {
        let mut data = Data::new(&many, 8);
        let all = data.run(algorithm, &many, isa, 2);
        let x = data.x.clone();
        for (image, y) in x.chunks_exact(one.x_span()).zip(all.chunks_exact(one.y_span())) {
            data.x = image.to_vec();
            assert_eq!(bits(&data.run(algorithm, &one, isa, 1)), bits(y), "{}", isa.name());
        }
    }
}

/// The hashes were made with AVX-512; other processors run this test too.
#[test]
fn bits_are_the_same_on_every_processor_with_fused_multiply_add() {
    let narrow = Conv2dParams { batch: 2, ..Conv2dParams::same([1, 19, 13, 21], 11, 3) };
    let wide = Conv2dParams { batch: 2, ..Conv2dParams::same([1, 19, 13, 21], 17, 3) };
    for (algorithm, p, expected) in [
        (Algorithm::Direct, narrow, 10_952_560_088_030_691_799),
        (Algorithm::Winograd, wide, 18_209_578_260_546_087_251),
    ] {
        let data = Data::new(&p, 10);
        for isa in isas().filter(|&isa| isa != Isa::Portable) {
            let fnv = |hash: u64, b: u32| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
            let y = data.run(algorithm, &p, isa, 2);
            let hash = bits(&y).into_iter().fold(0xcbf2_9ce4_8422_2325, fnv);
            assert_eq!(hash, expected, "{algorithm:?} {}", isa.name());
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let p = Conv2dParams::same([1, 4, 8, 8], 4, 3);
    let data = Data::new(&p, 9);
    let isa = Isa::current().unwrap();
    let direct = method(Algorithm::Direct, isa);
    assert!(PackedConv::new(direct, &p, &data.w[1..]).is_err());
    assert!(PackedConv::new(method(Algorithm::Winograd, isa), &p, &data.w).is_err());
    let conv = PackedConv::new(direct, &p, &data.w).unwrap();
    let mut scratch = vec![0.0; PackedConv::scratch_len(direct, &p, 1).unwrap()];
    let pool = Pool::new(1).unwrap();
    let mut y = vec![0.0; p.y_span()];
    let operands = data.operands(y.as_mut_ptr());
    let biased = Conv2dParams { epilogue: Epilogue { has_bias: 1, ..Epilogue::NONE }, ..p };
    // SAFETY: the tensors have the spans of the parameters.
    unsafe {
        let short = scratch.len() - 1;
        assert!(conv.run(&p, &operands, &mut scratch[..short], &pool).is_err());
        assert!(conv.run(&Conv2dParams { kernel: [3, 1], ..p }, &operands, &mut scratch, &pool).is_err());
        assert!(conv.run(&biased, &Operands { bias: &[], ..operands }, &mut scratch, &pool).is_err());
        assert!(conv.run(&biased, &operands, &mut scratch, &pool).is_ok());
    }
}

#[test]
fn numbers_that_bf16_holds_are_multiplied_exactly() {
    let isa = Isa::Avx512;
    if !isa.multiplies(Precision::Bf16) {
        return;
    }
    let rounded = |values: &mut [f32]| values.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32());
    let plain = Conv2dParams::same([2, 21, 19, 37], 19, 3);
    let grouped = Conv2dParams { groups: 2, ..Conv2dParams::same([1, 18, 9, 50], 10, 1) };
    let strided = Conv2dParams { stride: [2; 2], h_out: 10, w_out: 19, ..plain };
    for p in [plain, grouped, strided, Conv2dParams::same([1, 64, 33, 70], 40, 3)] {
        let mut data = Data::new(&p, 11);
        rounded(&mut data.x);
        rounded(&mut data.w);
        let method = Method { algorithm: Algorithm::Direct, precision: Precision::Bf16, isa };
        let runs: Vec<_> = (1..=3).map(|threads| data.run_by(method, &p, threads)).collect();
        compare(bound(Algorithm::Direct), &p, &data, &runs[0], "bf16");
        assert!(runs.iter().all(|y| bits(y) == bits(&runs[0])), "{p:?}");
    }
}

/// The levels' distances from zero that the bytes of x are, as an input of its own, and weights as the bytes that they
/// are: a convolution of both in f64 sums whole numbers without rounding.
fn whole(p: &Conv2dParams, data: &Data, levels: &Levels) -> (Data, Vec<f32>) {
    let mut whole = Data::new(p, 0);
    let per_filter = p.weight_len() / p.c_out as usize;
    let (taps, groups) = ((p.kernel[0] * p.kernel[1]) as usize, p.groups as usize);
    let [inputs, outputs] = [p.c_in as usize / groups, p.c_out as usize / groups];
    let channel = |i: usize| i / per_filter / outputs * inputs + i % per_filter / taps;
    whole.w.clone_from(&data.w);
    let scales = weigh(&mut whole.w, p.c_out as usize, p.c_in as usize, Some(levels), channel).unwrap();
    for (i, x) in whole.x.iter_mut().enumerate() {
        // What lies between images is never read.
        let channel = (i % p.x_batch_stride as usize / p.x_plane()).min(p.c_in as usize - 1);
        *x = f32::from(levels.byte(channel, data.x[i])) - levels.zero()[channel];
    }
    (whole, Scales::of(&scales, p.c_in as usize).factor.to_vec())
}

#[test]
fn bytes_are_multiplied_exactly() {
    let plain = Conv2dParams { pad: [1, 2], ..Conv2dParams::same([2, 21, 19, 37], 19, 3) };
    let grouped = Conv2dParams { groups: 2, ..Conv2dParams::same([1, 18, 9, 50], 10, 1) };
    let strided = Conv2dParams { stride: [2; 2], ..plain };
    let patch = Conv2dParams { kernel: [4; 2], stride: [4; 2], pad: [0; 2], ..plain };
    let seven = Conv2dParams {
        kernel: [7; 2],
        stride: [2; 2],
        pad: [3; 2],
        ..Conv2dParams::same([1, 9, 30, 40], 24, 7)
    };
    let enlarged = Conv2dParams { upsample: 2, pad_mode: 1, ..Conv2dParams::same([1, 6, 12, 20], 8, 3) };
    let many = Conv2dParams::same([1, 64, 33, 70], 40, 3);
    for p in [plain, grouped, strided, patch, seven, enlarged, many] {
        let mut p = sized(p).unwrap();
        p.x_batch_stride += 5;
        p.epilogue = Epilogue {
            has_bias: 1,
            act: 2,
            slope: 0.2,
            residuals: 1,
            residual_scale: [0.5, 0.0],
            ..Epilogue::NONE
        };
        let data = Data::new(&p, 11);
        // Some numbers of x are beyond their levels.
        let ranges: Vec<_> = (0..p.c_in).map(|i| [-0.8, 0.2 + (i % 5) as f32 / 4.0]).collect();
        let levels = Levels::of_ranges(&ranges, 0.5).unwrap();
        let (whole, factor) = whole(&p, &data, &levels);
        let sums = Conv2dParams { epilogue: Epilogue::NONE, ..p };
        for isa in Isa::ALL.into_iter().filter(|isa| isa.multiplies(Precision::Int8)) {
            let method = Method { algorithm: Algorithm::Direct, precision: Precision::Int8, isa };
            let y = data.run_with(method, &p, 1, Some(&levels));
            for image in 0..p.batch as usize {
                for at in 0..p.c_out as usize * p.y_plane() {
                    let (o, pixel) = (at / p.y_plane(), at % p.y_plane());
                    let (row, column) = (pixel / p.w_out as usize, pixel % p.w_out as usize);
                    let v = naive(&sums, &whole, image, o, row, column).0 as f32 * factor[o] + data.bias[o];
                    let v = if v > 0.0 { v } else { v * 0.2 };
                    let at = image * p.y_batch_stride as usize + at;
                    assert_eq!(
                        y[at],
                        v + 0.5 * data.residuals[0][at],
                        "{} {p:?} {o} {row} {column}",
                        isa.name()
                    );
                }
            }
            for threads in [2, 3] {
                assert_eq!(bits(&data.run_with(method, &p, threads, Some(&levels))), bits(&y), "{p:?}");
            }
        }
    }
}
