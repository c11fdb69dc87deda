//! Hashes and value noise: the random numbers of the landscape, functions of a position and nothing else,
//! so that any window can be made without its surroundings.

/// A well-mixed 32-bit hash of a seed and an integer position (Wellons' `lowbias32` after each word).
pub fn hash(seed: u32, x: i32, y: i32) -> u32 {
    let mut h = mix(seed ^ 0x9e37_79b9);
    h = mix(h ^ x as u32);
    mix(h ^ (y as u32).rotate_left(16))
}

fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x21f0_aaad);
    h ^= h >> 15;
    h = h.wrapping_mul(0xd35a_2d97);
    h ^ (h >> 15)
}

/// The next hash of a chain: one position, many independent numbers.
pub fn next(h: u32) -> u32 {
    mix(h.wrapping_add(0x9e37_79b9))
}

/// A hash as a number in `0..1`.
pub fn unit(h: u32) -> f32 {
    (h >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// `unit` of the hash of a position.
pub fn unit_at(seed: u32, x: i32, y: i32) -> f32 {
    unit(hash(seed, x, y))
}

/// A standard normal number of a position (Box and Muller).
pub fn normal_at(seed: u32, x: i32, y: i32) -> f32 {
    let h = hash(seed, x, y);
    let radius = (-2.0 * unit(h).max(1e-7).ln()).sqrt();
    radius * (std::f32::consts::TAU * unit(next(h))).cos()
}

/// Value noise and its gradient.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// In `-1..1`.
    pub value: f32,
    /// Change per metre eastwards.
    pub dx: f32,
    /// Change per metre northwards.
    pub dy: f32,
}

/// Value noise of one wavelength (metres) with quintic interpolation.
pub fn value(seed: u32, x: f64, y: f64, wavelength: f64) -> Sample {
    let (px, py) = (x / wavelength, y / wavelength);
    let (fx, fy) = (px.floor(), py.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let (u, v) = ((px - fx) as f32, (py - fy) as f32);
    let corner = |cx, cy| unit_at(seed, ix + cx, iy + cy) * 2.0 - 1.0;
    let (a, b, c, d) = (corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1));
    let (su, sv) = (fade(u), fade(v));
    let k = a - b - c + d;
    let scale = 1.0 / wavelength as f32;
    Sample {
        value: a + (b - a) * su + (c - a) * sv + k * su * sv,
        dx: fade_slope(u) * ((b - a) + k * sv) * scale,
        dy: fade_slope(v) * ((c - a) + k * su) * scale,
    }
}

/// Fractional Brownian motion: `octaves` of value noise, each half as long and `gain` as strong.
pub fn fbm(seed: u32, x: f64, y: f64, wavelength: f64, octaves: u32, gain: f32) -> Sample {
    let (mut sum, mut weight, mut total, mut length) = (Sample::default(), 1.0, 0.0, wavelength);
    for octave in 0..octaves {
        let s = value(seed.wrapping_add(octave.wrapping_mul(0x632b_e5ab)), x, y, length);
        sum.value += weight * s.value;
        sum.dx += weight * s.dx;
        sum.dy += weight * s.dy;
        total += weight;
        weight *= gain;
        length *= 0.5;
    }
    let norm = 1.0 / total;
    Sample { value: sum.value * norm, dx: sum.dx * norm, dy: sum.dy * norm }
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

fn fade_slope(t: f32) -> f32 {
    30.0 * t * t * (t * (t - 2.0) + 1.0)
}

/// 0 below `from`, 1 above `to`, smooth between.
pub fn smoothstep(from: f32, to: f32, v: f32) -> f32 {
    let t = ((v - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Distance (cells) to the nearest of one jittered point a cell, and that point's hash.
pub fn nearest_point(seed: u32, x: f64, y: f64, cell: f64) -> (f32, u32) {
    let (px, py) = (x / cell, y / cell);
    let (fx, fy) = (px.floor(), py.floor());
    let (u, v) = ((px - fx) as f32, (py - fy) as f32);
    // The nearest point lies in the half of the neighbourhood that the position leans to.
    let (sx, sy) = (if u < 0.5 { -1 } else { 1 }, if v < 0.5 { -1 } else { 1 });
    let mut best = (f32::MAX, 0);
    for (cx, cy) in [(0, 0), (sx, 0), (0, sy), (sx, sy)] {
        let h = hash(seed, fx as i32 + cx, fy as i32 + cy);
        let dx = cx as f32 + 0.2 + 0.6 * unit(h) - u;
        let dy = cy as f32 + 0.2 + 0.6 * unit(next(h)) - v;
        let d = dx * dx + dy * dy;
        if d < best.0 {
            best = (d, h);
        }
    }
    (best.0.sqrt(), best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        for i in 0..50 {
            let (x, y) = (f64::from(i) * 37.3 - 400.0, f64::from(i) * 91.7);
            let at = |x, y| f64::from(fbm(7, x, y, 300.0, 3, 0.5).value);
            let s = fbm(7, x, y, 300.0, 3, 0.5);
            let dx = (at(x + 0.5, y) - at(x - 0.5, y)) as f32;
            let dy = (at(x, y + 0.5) - at(x, y - 0.5)) as f32;
            assert!((dx - s.dx).abs() < 2e-4 && (dy - s.dy).abs() < 2e-4, "{i}: {dx} {dy} {s:?}");
        }
    }

    #[test]
    fn units_are_uniform_and_normals_are_normal() {
        let n = 20_000;
        let units: Vec<f32> = (0..n).map(|i| unit_at(3, i, -i)).collect();
        let mean = units.iter().sum::<f32>() / n as f32;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let square = (0..n).map(|i| normal_at(5, i, 2).powi(2)).sum::<f32>() / n as f32;
        assert!((square - 1.0).abs() < 0.05, "{square}");
    }
}
