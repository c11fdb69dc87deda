//! Numbers the reference computes with.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// f32, or f64 for an oracle whose own rounding does not matter.
pub trait Element:
    Copy
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Sum
    + 'static
{
    /// From a parameter or input.
    fn from_f32(v: f32) -> Self;
    /// From a weight computed in double precision.
    fn from_f64(v: f64) -> Self;
    /// To an output, rounded.
    fn to_f32(self) -> f32;
    /// In double precision.
    fn to_f64(self) -> f64;
    /// e to its power.
    fn exp(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// Order in which NaN has a place.
    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering;

    /// Times the normal distribution at it.
    fn gelu(self) -> Self {
        let at = self / Self::from_f64(std::f64::consts::SQRT_2);
        self * Self::from_f64(0.5) * (Self::from_f64(1.0) + at.erf())
    }
}

macro_rules! element {
    ($t:ty, $erf:path) => {
        impl Element for $t {
            fn from_f32(v: f32) -> Self {
                Self::from(v)
            }
            fn from_f64(v: f64) -> Self {
                v as Self
            }
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
                <$t>::total_cmp(self, other)
            }
        }
    };
}

element!(f32, libm::erff);
element!(f64, libm::erf);
