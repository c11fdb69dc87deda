//! The exponential and what activations are made of, as polynomials on vectors of any instruction set.

use super::Lanes;

/// c[0] + c[1]·x + c[2]·x² + …
#[inline(always)]
unsafe fn polynomial<L: Lanes, const N: usize>(x: L, c: [f32; N]) -> L {
    // SAFETY: the caller's instruction set.
    unsafe {
        let mut sum = L::splat(c[N - 1]);
        for &c in c[..N - 1].iter().rev() {
            sum = sum.fma(x, L::splat(c));
        }
        sum
    }
}

/// e to its power; below -87 as at -87, above 88 as at 88. Error about two units in the last place.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
pub(in crate::cpu) unsafe fn exp<L: Lanes>(x: L) -> L {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // A least-squares fit of relative error on ±0.35.
    const C: [f32; 7] = [1.0, 1.0, 0.499_999_9, 0.166_664_11, 0.041_668_29, 0.008_375_645, 0.001_383_579_8];
    // SAFETY: the caller's instruction set.
    unsafe {
        // A NaN is the second operand, so that it stays one.
        let x = L::splat(88.0).min(L::splat(-87.0).max(x));
        let whole = x.mul(L::splat(std::f32::consts::LOG2_E)).round();
        let rest = whole.fma(L::splat(-LN2_HIGH), x);
        let rest = whole.fma(L::splat(-LN2_LOW), rest);
        polynomial(rest, C).mul(whole.exp2_whole())
    }
}

/// The error function, to about two units in the last place of one.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn erf<L: Lanes>(x: L) -> L {
    // erf(x)/x by x² below one; ln(1 - erf(x)) by x from there to four. Both least-squares fits.
    const NEAR: [f32; 8] = [
        std::f32::consts::FRAC_2_SQRT_PI,
        -0.376_126_38,
        0.112_837_83,
        -0.026_865_445,
        0.005_221_075,
        -0.000_848_471_1,
        0.000_112_705_44,
        -9.680_136e-6,
    ];
    const FAR: [f32; 9] = [
        0.000_178_124_17,
        -1.129_527_3,
        -0.633_332_85,
        -0.108_278_48,
        0.025_101_762,
        -0.004_153_776_4,
        0.000_426_505_43,
        -1.926_274_1e-5,
        -1.697_454_8e-7,
    ];
    // SAFETY: the caller's instruction set.
    unsafe {
        let zero = L::splat(0.0);
        let size = x.max(zero.sub(x));
        let near = x.mul(polynomial(x.mul(x), NEAR));
        let tail = exp(polynomial(L::splat(4.0).min(size), FAR));
        let far = L::splat(1.0).sub(tail);
        let far = x.if_below(zero, zero.sub(far), far);
        size.if_below(L::splat(1.0), near, far)
    }
}

/// x·Φ(x), the Gaussian error linear unit by the error function.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
pub(in crate::cpu) unsafe fn gelu<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's instruction set.
    unsafe {
        let erf = erf(x.mul(L::splat(std::f32::consts::FRAC_1_SQRT_2)));
        x.mul(L::splat(0.5)).mul(L::splat(1.0).add(erf))
    }
}

/// As [`gelu`], to 4.5e-6 of |x|: for results that become bf16, which are off by up to 2e-3 of themselves, or bytes.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
pub(in crate::cpu) unsafe fn gelu_for_rounding<L: Lanes>(x: L) -> L {
    // Beyond so many deviations Φ is none or one.
    const BOUND: f32 = 4.5;
    // (Φ(x) - ½)/x by x², spread over ±1; a fit of least error in Φ that is ½ at the bound.
    const C: [f32; 10] = [
        0.156_906_07,
        -0.077_183_59,
        0.054_636_545,
        -0.040_272_966,
        0.028_862_387,
        -0.018_335_506,
        0.009_646_033,
        -0.006_292_463,
        0.004_965_910_7,
        -0.001_821_310_3,
    ];
    // SAFETY: the caller's instruction set.
    unsafe {
        // A NaN is the second operand, so that it stays one.
        let near = L::splat(BOUND).min(L::splat(-BOUND).max(x));
        let spread = near.mul(near).fma(L::splat(2.0 / (BOUND * BOUND)), L::splat(-1.0));
        x.mul(near.fma(polynomial(spread, C), L::splat(0.5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa::Isa;
    use crate::cpu::simd::per_isa;

    #[inline(always)]
    unsafe fn curves<L: Lanes>(x: &[f32], out: [&mut [f32]; 3]) {
        let [exps, erfs, gelus] = out;
        for i in (0..x.len()).step_by(L::N) {
            // SAFETY: the test's slices are multiples of any number of lanes.
            unsafe {
                let v = L::load(x[i..].as_ptr());
                exp(v).store(exps[i..].as_mut_ptr());
                erf(v).store(erfs[i..].as_mut_ptr());
                gelu_for_rounding(v).store(gelus[i..].as_mut_ptr());
            }
        }
    }

    per_isa!(unsafe fn run_curves = curves(x: &[f32], out: [&mut [f32]; 3]));

    #[test]
    fn curves_are_close_on_every_instruction_set() {
        let x: Vec<f32> = (-4000..4000).map(|i| i as f32 / 400.0).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let [mut exps, mut erfs, mut gelus] = [(); 3].map(|()| vec![0.0; x.len()]);
            // SAFETY: the instruction set is there, the slices are of one length.
            unsafe { run_curves(isa, &x, [&mut exps, &mut erfs, &mut gelus]) };
            for (i, &x) in x.iter().enumerate() {
                let (e, f) = (f64::from(x).exp(), libm::erf(f64::from(x)));
                assert!((f64::from(exps[i]) / e - 1.0).abs() < 3e-7, "{isa:?} exp {x}: {}", exps[i]);
                assert!((f64::from(erfs[i]) - f).abs() < 2e-7, "{isa:?} erf {x}: {}", erfs[i]);
                let v = f64::from(x);
                let g = v * 0.5 * (1.0 + libm::erf(v * std::f64::consts::FRAC_1_SQRT_2));
                assert!(
                    (f64::from(gelus[i]) - g).abs() <= 4.5e-6 * v.abs(),
                    "{isa:?} gelu {x}: {}",
                    gelus[i]
                );
            }
        }
    }
}
