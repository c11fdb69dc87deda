//! Contract of the separable Gaussian blur with mirrored borders (kornia's pre-blur before shrinking).

use bytemuck::{Pod, Zeroable};

/// Parameters of one blur of `planes` gap-free images; both axes in the order (vertical, horizontal).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct BlurParams {
    /// Images times channels.
    pub planes: u32,
    /// Rows.
    pub h: u32,
    /// Columns.
    pub w: u32,
    /// Taps per axis; odd, at most twice the extent less one.
    pub taps: [u32; 2],
    /// Standard deviations in pixels.
    pub sigma: [f32; 2],
}

/// A normalised Gaussian sampled at `taps` whole pixels about its centre.
pub fn gaussian(taps: usize, sigma: f64) -> Vec<f64> {
    let centre = (taps / 2) as f64;
    let raw: Vec<f64> =
        (0..taps).map(|i| (-(i as f64 - centre).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|v| v / sum).collect()
}

/// The index inside 0..n that a mirrored index -n < i < 2n - 1 means; the edge is not repeated.
pub fn mirror(i: i64, n: i64) -> usize {
    let i = i.abs();
    (if i >= n { 2 * (n - 1) - i } else { i }) as usize
}
