//! Convolutions of all kinds and sizes, and what is none.

use super::*;

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
