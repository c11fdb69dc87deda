//! What the bits of a result do not depend on: place, batch, processor, and whether transformed channels are shared.

use super::*;

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
    for method in methods(&p) {
        let mut slab = vec![0.0; 2 * 96 * plane];
        let mut random = Random(3);
        for image in slab.chunks_exact_mut(96 * plane) {
            image[..64 * plane].copy_from_slice(&random.floats(64 * plane));
        }
        let mut data = Data::new(&p, 4);
        data.x = slab.clone();
        let mut scratch = vec![0.0; PackedConv::scratch_len(method, &p, 2).unwrap()];
        let conv = PackedConv::new(method, &p, &data.w).unwrap();
        let base = slab.as_mut_ptr();
        // SAFETY: y's channels 64..96 follow those of x in the same slab.
        unsafe {
            let operands = Operands { x: base, ..data.operands(base.add(64 * plane)) };
            conv.run(&p, &operands, &mut scratch, &pool).unwrap();
        }
        let separate = data.run(method, &p, 1);
        for image in 0..2 {
            let at = image * 96 * plane;
            assert_eq!(bits(&slab[at..at + 64 * plane]), bits(&data.x[at..at + 64 * plane]));
            assert_eq!(
                bits(&slab[at + 64 * plane..at + 96 * plane]),
                bits(&separate[at..at + 32 * plane]),
                "{method:?}"
            );
        }
    }
}

/// Convolutions of 40, 55 and 71 channels in one slab, of which 64 are kept: the first makes 40, the
/// second 15, the third finds 55, makes 9 and transforms 7 for itself; of words of two, the second 14 and the third
/// finds 54.
#[test]
fn convolutions_that_share_transformed_channels_compute_the_same_bits() {
    const ROOM: usize = 64;
    let any = Conv2dParams::same([1, 40, 8, 8], 16, 3);
    for (h, w, threads) in [(18, 20, 1), (33, 70, 2), (9, 150, 3), (1, 1, 2)] {
        let plane = (h * w) as usize;
        let of = |c_in| Conv2dParams {
            x_batch_stride: (88 * plane) as u64,
            y_batch_stride: (88 * plane) as u64,
            ..Conv2dParams::same([2, c_in, h, w], 16, 3)
        };
        for winograd in methods(&any).filter(|m| m.algorithm == Algorithm::Winograd) {
            let transform = |p| PackedConv::transform(winograd, &p, threads).unwrap().unwrap();
            assert_eq!(transform(of(40)).kind, transform(of(71)).kind);
            let mut kept = vec![f32::NAN; transform(of(40)).len(ROOM).unwrap() + 15];
            let aligned = kept.as_ptr().align_offset(64);
            let mut slab = Random(2).floats(2 * 88 * plane);
            let mut expected = slab.clone();
            let pool = Pool::new(threads).unwrap();
            for (made, c_in) in [(0, 40), (40, 55), (55, 71)] {
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
                assert_eq!(bits(&slab), bits(&expected), "{winograd:?} {h}x{w}, {c_in} channels");
            }
        }
    }
}

#[test]
fn a_residual_may_be_the_output() {
    let mut p = Conv2dParams::same([2, 16, 11, 13], 19, 3);
    p.epilogue = Epilogue { residuals: 1, residual_scale: [1.0, 0.0], scale: 0.2, ..Epilogue::NONE };
    for method in methods(&p) {
        let data = Data::new(&p, 5);
        let expected = data.run(method, &p, 1);
        let mut y = data.residuals[0].clone();
        let mut scratch = vec![0.0; PackedConv::scratch_len(method, &p, 3).unwrap()];
        let conv = PackedConv::new(method, &p, &data.w).unwrap();
        let at = y.as_mut_ptr();
        let operands = Operands { residuals: [at, at], ..data.operands(at) };
        // SAFETY: the residual coincides with y.
        unsafe { conv.run(&p, &operands, &mut scratch, &Pool::new(3).unwrap()).unwrap() };
        assert_eq!(bits(&y), bits(&expected), "{method:?}");
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
    for method in methods(&whole) {
        let mut data = Data::new(&whole, 6);
        let y = data.run(method, &whole, 1);
        let x = data.x.clone();
        let crops = match method.algorithm {
            Algorithm::Direct => [([5, 7], [20, 32]), ([16, 1], [3, 65]), ([0, 40], [40, 9])],
            Algorithm::Winograd => [([3, 7], [20, 32]), ([15, 3], [4, 64]), ([3, 39], [40, 8])],
        };
        for (at, size) in crops {
            let with_halo = [size[0] + 2, size[1] + 2];
            let mut p = Conv2dParams::same([1, c_in, with_halo[0] as u32, with_halo[1] as u32], c_out, 3);
            (p.pad, p.h_out, p.w_out) = ([0, 0], size[0] as u32, size[1] as u32);
            data.x = crop(&x, 70, c_in as usize, at, with_halo);
            let expected = crop(&y, 70, c_out as usize, [at[0] + 1, at[1] + 1], size);
            let cut = data.run(method, &sized(p).unwrap(), 2);
            assert_eq!(bits(&cut), bits(&expected), "{method:?} {at:?}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_batch() {
    let one = Conv2dParams::same([1, 20, 16, 16], 18, 3);
    let many = Conv2dParams { batch: 5, ..one };
    for method in methods(&one) {
        let mut data = Data::new(&many, 8);
        let all = data.run(method, &many, 2);
        let x = data.x.clone();
        for (image, y) in x.chunks_exact(one.x_span()).zip(all.chunks_exact(one.y_span())) {
            data.x = image.to_vec();
            assert_eq!(bits(&data.run(method, &one, 1)), bits(y), "{method:?}");
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
            let y = data.run(method(algorithm, isa), &p, 2);
            let hash = bits(&y).into_iter().fold(0xcbf2_9ce4_8422_2325, fnv);
            assert_eq!(hash, expected, "{algorithm:?} {}", isa.name());
        }
    }
}
