//! Cumulus fields: how much of the ground they hide, how bright they are, where their shadows fall.

use super::noise::{fbm, hash, smoothstep};
use super::sensor::Acquisition;
use super::SHADOW;

/// Height of the clouds above ground, metres.
const HEIGHT: f64 = 1300.0;

/// The sky of a date.
pub struct Clouds {
    seed: u32,
    /// Noise level from which there is cloud; none on a clear day.
    level: Option<f32>,
}

/// The sky over a point.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sky {
    /// Share of the ground hidden, `0..1`.
    pub opacity: f32,
    /// Reflectance of the cloud.
    bright: f32,
    /// Share of direct light taken by a cloud's shadow.
    shadow: f32,
}

impl Clouds {
    /// The sky of an acquisition.
    pub fn new(date: &Acquisition) -> Self {
        // Level that leaves about the wanted share of the noise above it.
        let level = (date.cloud_cover > 0.0).then_some(0.42 - 0.80 * date.cloud_cover);
        Self { seed: hash(date.seed, 0xc1, 0x0d), level }
    }

    /// The sky over a point of the product's coordinates.
    pub fn at(&self, x: f64, y: f64) -> Sky {
        let Some(level) = self.level else { return Sky::default() };
        let density = self.density(x, y);
        let (dx, dy) = (f64::from(SHADOW.0) * HEIGHT, f64::from(SHADOW.1) * HEIGHT);
        let above = self.density(x - dx, y - dy);
        Sky {
            opacity: 0.97 * smoothstep(level, level + 0.14, density),
            bright: 0.34 + 0.8 * (density - level).clamp(0.0, 0.5),
            shadow: 0.55 * smoothstep(level, level + 0.12, above),
        }
    }

    fn density(&self, x: f64, y: f64) -> f32 {
        fbm(self.seed, x, y, 4200.0, 7, 0.56).value
    }
}

impl Sky {
    /// Reflectance of the ground as seen through this sky; `air` is what the air alone reflects.
    pub fn over(&self, ground: f32, air: f32) -> f32 {
        let shaded = air + (ground - air) * (1.0 - self.shadow);
        shaded + (self.bright - shaded) * self.opacity
    }
}
