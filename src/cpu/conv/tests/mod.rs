//! The CPU convolution against a plain loop in f64, on every instruction set of the machine.

mod bits;
mod factors;
mod shapes;

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

    fn run(&self, method: Method, p: &Conv2dParams, threads: usize) -> Vec<f32> {
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

/// The methods without levels that take a convolution, on every instruction set.
fn methods(p: &Conv2dParams) -> impl Iterator<Item = Method> + '_ {
    let each = |algorithm| isas().map(move |isa| method(algorithm, isa));
    algorithms(p).flat_map(each).flat_map(|f32| {
        let precisions = [Precision::F32, Precision::Bf16].into_iter();
        let known = precisions.filter(move |&precision| f32.isa.multiplies(precision));
        known.map(move |precision| Method { precision, ..f32 })
    })
}

/// Runs a case by every algorithm, on every instruction set and on one to three threads.
fn check(p: &Conv2dParams, seed: u64) {
    p.check().unwrap();
    let data = Data::new(p, seed);
    for algorithm in algorithms(p) {
        let mut fused: Option<Vec<u32>> = None;
        for isa in isas() {
            let what = format!("{algorithm:?} {}", isa.name());
            let y = data.run(method(algorithm, isa), p, 1);
            compare(bound(algorithm), p, &data, &y, &what);
            for threads in [2, 3] {
                let again = data.run(method(algorithm, isa), p, threads);
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
