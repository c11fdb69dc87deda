//! The machine's limit, measured beside the kernels it is compared with.

use std::hint::black_box;
use std::time::Instant;

use swath::cpu::isa::Isa;
use swath::kernel::precision::Precision;

/// GFLOP/s of one thread doing nothing but multiply-adds in registers, of factors in a precision that the machine
/// multiplies.
pub fn peak(precision: Precision) -> f64 {
    const STEPS: usize = 1_000_000;
    let start = Instant::now();
    let flop_per_step = match precision {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's machine multiplies them.
        Precision::Bf16 if Isa::current().unwrap() == Isa::Avx512 => unsafe { pairs_avx512(STEPS) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Precision::Int8 if Isa::current().unwrap() == Isa::Avx512 => unsafe { fours_avx512(STEPS) },
        _ => fma_loop(STEPS),
    };
    flop_per_step * STEPS as f64 / start.elapsed().as_secs_f64() * 1e-9
}

/// Runs the loop, returns the floating-point operations of one step.
fn fma_loop(steps: usize) -> f64 {
    match Isa::current().unwrap() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set is available.
        Isa::Avx512 => unsafe { fma_avx512(steps) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set is available.
        Isa::Avx2 => unsafe { fma_avx2(steps) },
        _ => fma_plain(steps),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn fma_avx512(steps: usize) -> f64 {
    use std::arch::x86_64::*;
    let factor = _mm512_set1_ps(black_box(0.999));
    let mut sums = [factor; 24];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    2.0 * 16.0 * 24.0
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn fma_avx2(steps: usize) -> f64 {
    use std::arch::x86_64::*;
    let factor = _mm256_set1_ps(black_box(0.999));
    let mut sums = [factor; 12];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    2.0 * 8.0 * 12.0
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn pairs_avx512(steps: usize) -> f64 {
    use std::arch::x86_64::*;
    let mut sums = [_mm512_set1_ps(black_box(1.0)); 24];
    let factor = _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.5)));
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    4.0 * 16.0 * 24.0
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn fours_avx512(steps: usize) -> f64 {
    use std::arch::x86_64::*;
    let factor = _mm512_set1_epi32(black_box(0x0102_0304));
    let mut sums = [factor; 24];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, factor, factor);
        }
    }
    black_box(sums);
    8.0 * 16.0 * 24.0
}

fn fma_plain(steps: usize) -> f64 {
    let factor = black_box(0.999f32);
    let mut sums = [factor; 48];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * factor + factor;
        }
    }
    black_box(sums);
    2.0 * 48.0
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
