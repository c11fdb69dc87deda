//! How far a device's results may be from the exact ones, relative to their range.

use crate::kernel::precision::Precision;
use crate::kernel::Accuracy;
use crate::plan::Step;

/// What results of several steps may differ by: what each step's contract allows, and, where factors are rounded,
/// the rounding error of each such step as of independent ones.
pub fn tolerance(steps: &[Step], precision: Precision) -> f32 {
    let step = |accuracy| match accuracy {
        Accuracy::Exact => 0.0,
        Accuracy::Ulp(n) => n as f32,
        Accuracy::Sum { k } => 4.0 * (k as f32).sqrt(),
        Accuracy::Transcendental => 8.0,
    };
    // The result itself is rounded to f32.
    let units = steps.iter().map(|s| step(s.kernel.accuracy())).fold(1.0, |a, b| a + b);
    f32::EPSILON * units + 4.0 * precision.rounding() * (rounding_steps(steps) as f32).sqrt()
}

/// Steps that round their factors.
pub fn rounding_steps(steps: &[Step]) -> usize {
    steps.iter().filter(|s| rounds(s.choice.entry)).count()
}

/// Whether an implementation rounds its factors.
pub fn rounds(entry: &str) -> bool {
    Precision::of(entry) != Precision::F32
}

/// Largest difference over the largest absolute value of the exact numbers; infinite where only one of two numbers
/// is one, or where they are not as many.
pub fn difference(ours: &[f32], exact: &[f32]) -> f32 {
    let finite = exact.iter().filter(|v| v.is_finite());
    let range = finite.fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let apart = |(a, b): (&f32, &f32)| match (a - b).abs() {
        _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        d if d.is_nan() => f32::INFINITY,
        d => d,
    };
    let missing = if ours.len() == exact.len() { 0.0 } else { f32::INFINITY };
    ours.iter().zip(exact).map(apart).fold(missing, f32::max) / range
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_of_the_range_and_never_hidden() {
        let inf = f32::INFINITY;
        assert_eq!(difference(&[1.0, 3.0], &[1.0, 4.0]), 0.25);
        assert_eq!(difference(&[-inf, 2.0], &[-inf, 2.0]), 0.0);
        assert_eq!(difference(&[f32::NAN], &[1.0]), inf);
        assert_eq!(difference(&[1.0], &[f32::NAN]), inf);
        assert_eq!(difference(&[inf], &[1.0]), inf);
        assert_eq!(difference(&[], &[1.0]), inf);
    }
}
