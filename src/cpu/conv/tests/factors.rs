//! Products of rounded factors are exact where the factors are.

use super::*;

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
        let runs: Vec<_> = (1..=3).map(|threads| data.run(method, &p, threads)).collect();
        compare(bound(Algorithm::Direct), &p, &data, &runs[0], "bf16");
        assert!(runs.iter().all(|y| bits(y) == bits(&runs[0])), "{p:?}");
    }
}

/// What the transforms make of such numbers is whole, and bf16 holds it.
#[test]
fn small_whole_numbers_are_transformed_and_multiplied_exactly() {
    let plain = Conv2dParams::same([2, 21, 19, 37], 19, 3);
    let enlarged = Conv2dParams { upsample: 2, ..Conv2dParams::same([1, 40, 12, 70], 32, 3) };
    for p in [plain, enlarged, Conv2dParams::same([1, 192, 33, 20], 32, 3)] {
        let mut data = Data::new(&p, 12);
        data.x.iter_mut().for_each(|v| *v = v.round());
        data.w.iter_mut().for_each(|v| *v = 576.0 * v.round());
        for method in methods(&p).filter(|m| m.algorithm == Algorithm::Winograd) {
            compare(0.0, &p, &data, &data.run(method, &p, 1), &format!("{method:?}"));
        }
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
